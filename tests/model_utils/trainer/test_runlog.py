"""What a run says: the time it will take, and its progress where somebody watches."""

import contextlib
import io
import json
import math
import os
import re
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from PIL import Image
from visualdl import LogReader

from model_utils import runtime
from model_utils.trainer import runlog
from model_utils.trainer.runlog import RunLog
from model_utils.trainer.task import Score, Sound


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time that passes when told: `clock.now` in seconds."""
    clock = SimpleNamespace(now=1000.0, time=time.time)
    clock.monotonic = lambda: clock.now
    monkeypatch.setattr(runlog, "time", clock)
    return clock


def eta(line: str) -> str:
    found = re.search(r"eta: (.*)$", line)
    assert found, line
    return found[1]


def test_the_eta_is_smoothed_and_leaves_out_what_lies_between_epochs(
    clock: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = RunLog(tmp_path, num_epoch=2, num_batches=500)
    log.start_epoch(1, 0)
    for batch, seconds in enumerate((10.0, 2.0, 4.0, 1.0)):
        clock.now += seconds
        log.batch_done()
        log.train(1, batch, batch + 1, 1e-4, 5.0)
    log.end_epoch()
    clock.now += 600.0  # scoring
    log.start_epoch(2, 0)
    clock.now += 2.0
    log.batch_done()
    log.train(2, 0, 501, 1e-4, 5.0)
    log.close()
    # The first two count alone; then 98 % of the past and 2 % of the last batch:
    # 0.98 * 2 + 0.02 * 4 = 2.04; 0.98 * 2.04 + 0.02 * 1 = 2.0192; 0.98 * 2.0192 + 0.04 = 2.018816.
    assert [eta(line) for line in capsys.readouterr().out.splitlines()] == [
        "2:46:30",  # 999 batches at 10 s
        "0:33:16",  # 998 at 2 s
        "0:33:53",  # 997 at 2.04 s: 2033.88 s
        "0:33:31",  # 996 at 2.0192 s: 2011.12 s
        "0:16:47",  # 499 at 2.018816 s: 1007.39 s
    ]


def _all_of(terminal: int) -> str:
    """What was written to the other, closed end; one read may return a part of it."""
    parts = []
    with contextlib.suppress(OSError), open(terminal, "rb", buffering=0) as file:
        while part := file.read(4096):
            parts.append(part)
    return b"".join(parts).decode()


@pytest.mark.skipif(os.name == "nt", reason="pseudo terminals are of Unix")
def test_a_terminal_shows_progress_that_lines_do_not_tear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        log = RunLog(tmp_path, num_epoch=7, num_batches=5)
        log.start_epoch(3, 1)
        for batch in (1, 2):
            log.batch_done()
            log.train(3, batch, batch, 1e-4, 5.0)
        log.warn("look")
        log.close()
    shown = _all_of(ours)
    for progress in ("epoch 3:", " 1/5 ", " 2/5 ", " 3/5 "):
        assert progress in shown
    # Before every line the bar is wiped out, and it is gone in the end.
    before, _, _ = shown.partition("warning: look")
    assert before.endswith("\r") and not re.split(r"[\r\n]", before)[-2].strip()
    assert shown.endswith("\r") and not shown.split("\r")[-2].strip()
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 2 and all(line.startswith("Train [") for line in lines)


def test_elsewhere_there_are_lines_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = RunLog(tmp_path, num_epoch=1, num_batches=2)
    log.start_epoch(1, 0)
    log.batch_done()
    log.score(1, "dev", Score("cer", 0.25, detail="errors 1 / 4"))
    log.left_out("look")
    log.left_out("look")
    log.close()
    printed, complaints = capsys.readouterr()
    assert re.fullmatch(r"Dev \[.*\] epoch: \[1/1\], cer: 0.25000 \(errors 1 / 4\)\n", printed)
    assert complaints == "warning: left out: look\n"
    [row] = [json.loads(line) for line in (log.folder / runlog.METRICS).open(encoding="utf-8")]
    assert (row["tag"], row["step"], row["value"]) == ("Dev cer", 1, 0.25)


def test_what_stands_beside_a_score_is_a_curve_too(tmp_path: Path) -> None:
    log = RunLog(tmp_path, num_epoch=2, num_batches=2)
    log.score(2, "dev", Score("cer", 0.25, beside={"language accuracy": 0.75}))
    log.close()
    lines = (log.folder / runlog.METRICS).read_text(encoding="utf-8").splitlines()
    found = [(row["tag"], row["step"], row["value"]) for row in map(json.loads, lines)]
    assert found == [("Dev cer", 2, 0.25), ("Dev language accuracy", 2, 0.75)]
    reader = LogReader(file_path=str(next(log.folder.glob("vdlrecords*"))))
    assert {"Dev cer", "Dev language accuracy"} <= set(reader.get_tags()["scalar"])


def test_what_came_out_can_be_seen_and_heard(tmp_path: Path) -> None:
    log = RunLog(tmp_path, num_epoch=1, num_batches=2)
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    tone = np.sin(np.arange(8000) / 10).astype(np.float32)
    sounds = {"b": Sound(tone, 8000)}
    log.score(1, "dev", Score("stoi", 0.5, pictures={"a": picture}, sounds=sounds))
    log.close()
    reader = LogReader(file_path=str(next(log.folder.glob("vdlrecords*"))))
    expected = {"scalar": ["Dev stoi"], "image": ["a"], "audio": ["b"]}
    assert expected.items() <= reader.get_tags().items()
    [shown] = reader.get_data("image", "a")
    assert (np.asarray(Image.open(io.BytesIO(shown.image.encoded_image_string))) == picture).all()
    [heard] = reader.get_data("audio", "b")
    samples, rate = soundfile.read(io.BytesIO(heard.audio.encoded_audio_string), dtype="float32")
    assert rate == 8000 and np.allclose(samples, tone, atol=1e-3)


@pytest.mark.parametrize("memory", [12.5, float("nan")])
def test_memory_that_nobody_knows_is_no_curve(
    memory: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "memory_mb", lambda: memory)
    log = RunLog(tmp_path, num_epoch=1, num_batches=2)
    log.train(1, 0, 1, 1e-4, 5.0)
    log.close()
    lines = (log.folder / runlog.METRICS).read_text(encoding="utf-8").splitlines()
    values = [row["value"] for row in map(json.loads, lines) if row["tag"] == runlog.MEMORY]
    assert values == ([] if math.isnan(memory) else [memory])
