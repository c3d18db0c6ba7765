"""The command on a small corpus: what it says and draws, and that it leaves nothing else."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import small
import soundfile
import tones
from tones import Corpus

from data_utils.errors import InputError
from tools import lr_finder

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    texts = ["一", "二三", "四", "一二", "三四", "二"]
    return tones.make_corpus(tmp_path_factory.mktemp("corpus"), texts)


@pytest.fixture
def run(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.chdir(tmp_path)

    def command(*argv: str) -> None:
        # The test scores nothing, so it needs no manifest for it.
        options = [*small.data(corpus), *small.NETWORK, "--batch_size=2", "--test_manifest=nowhere"]
        monkeypatch.setattr(sys, "argv", ["lr_finder.py", *options, *argv])
        lr_finder.main()

    return command


def test_it_suggests_a_rate_and_leaves_a_picture(
    run: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("--num_steps=25", "--lr_start=1e-3", "--lr_end=0.1", "--lr=7", "--optimizer=adamw")
    lowest, suggested, again = capsys.readouterr().out.splitlines()[-3:]
    rate = float(lowest.removeprefix("lowest loss at a rate of "))
    found = re.fullmatch(r"suggestion: (\S+), a tenth of it; the picture: (\S+)", suggested)
    assert found and float(found[1]) == pytest.approx(rate / 10, rel=0.06)
    assert again.startswith("to train with it: python train.py --train_manifest=")
    assert again.endswith(f" --optimizer=adamw --learning_rate={found[1]}")
    assert "--lr=" not in again and "--lr_start" not in again
    assert matplotlib.image.imread(found[2]).std() > 0.05
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["lr_finder.png"]


def test_batches_by_duration_are_kept(run: Callable[..., None], tmp_path: Path) -> None:
    run(
        "--batch_seconds=1",
        "--num_steps=20",
        "--lr_start=1e-3",
        "--lr_end=0.1",
        "--optimizer=adamw",
    )
    assert (tmp_path / "log" / "lr_finder.png").is_file()


def test_any_task_may_be_tested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder, texts in (("clean", ["一二", "三四", "二一"]), ("noise", ["四"])):
        (tmp_path / folder).mkdir()
        for text in texts:
            wave = tones.spoken(text, rng)
            soundfile.write(tmp_path / folder / f"{text}.wav", wave, tones.RATE)
    argv = ["--task=enhancement", "--train_clean=clean", "--train_noise=noise", "-bs", "2"]
    argv += ["--network=lstm", "--d_model=8", "--n_level=1", "--num_workers=0"]
    rates = ["--num_steps=20", "--lr_start=1e-3", "--lr_end=1", "--learning_rate", "5"]
    monkeypatch.setattr(sys, "argv", ["lr_finder.py", *argv, *rates])
    lr_finder.main()
    said = capsys.readouterr()
    suggested, again = said.out.splitlines()[-2:]
    rate = suggested.split()[1].rstrip(",")
    shown = shlex.join(argv)
    assert again == f"to train with it: python train.py {shown} --learning_rate={rate}"
    assert "short batch" not in said.err, "training will say what it says of a corpus"
    assert matplotlib.image.imread("log/lr_finder.png").std() > 0.05
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--lr_start=1", "--lr_end=0.1"], "--lr_end=0.1: must be above"),
        (["--resume_model=1.pdparams"], "starts from new weights"),
        (["--pretrained_model=1.pdparams"], "starts from new weights"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Callable[..., None], given: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        run(*given)
    assert not list(tmp_path.iterdir())
