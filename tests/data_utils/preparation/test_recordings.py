import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.errors import InputError
from data_utils.preparation import recordings
from data_utils.preparation.recordings import (
    check_recording,
    check_recordings,
    locate,
    recordings_below,
)


def tone(path: Path, seconds: float = 0.5, level: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * 16000)) / 16000
    soundfile.write(path, level * np.sin(2 * np.pi * 440 * times), 16000)
    return path


def test_paths_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [Path("dataset/annotation"), Path("dataset")]
    tone(Path("dataset/a.wav"))
    assert locate("a.wav", folders) == "dataset/a.wav"
    tone(Path("dataset/annotation/a.wav"))
    assert locate("a.wav", folders) == "dataset/annotation/a.wav"
    tone(Path("a.wav"))
    assert locate("./a.wav", folders) == "a.wav"
    assert locate("annotation\\a.wav", folders) == "dataset/annotation/a.wav"
    assert locate(str(tmp_path / "a.wav"), folders) == "a.wav"
    assert locate("none.wav", folders) is None
    assert locate("dataset", folders) == "dataset"
    assert check_recording("dataset").reason == "is a folder, not a recording"
    (tmp_path / "a.wav").unlink()
    (tmp_path / "a.wav").mkdir()
    assert locate("a.wav", folders) == "dataset/annotation/a.wav", "a file goes before a folder"
    assert locate("长" * 5000, folders) is None
    assert locate("a\0b", folders) is None


def test_outside_the_current_folder_paths_are_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = tone(tmp_path / "elsewhere" / "😀.wav")
    assert locate("../elsewhere/😀.wav", []) == path.as_posix()
    Path("link").symlink_to(tmp_path / "elsewhere")
    assert locate("link/😀.wav", []) == "link/😀.wav"


def test_files_are_checked_to_their_end(tmp_path: Path) -> None:
    whole = tone(tmp_path / "whole.wav")
    (tmp_path / "short.wav").write_bytes(whole.read_bytes()[:5000])
    (tmp_path / "zero.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no audio")
    tone(tmp_path / "silent.wav", level=0)
    assert check_recording(str(whole)) == recordings.Recording(0.5)
    for name, reason in {
        "short": "truncated",
        "zero": "empty file",
        "text": "not audio",
        "silent": "silent",
        "missing": "file not found",
    }.items():
        checked = check_recording(str(tmp_path / f"{name}.wav"))
        assert checked.reason.startswith(reason)
    assert "not UTF-8" in check_recording("bad\udcff.wav").reason


def test_processes_find_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(tone(tmp_path / f"{i}.wav", 0.1 * (i + 1))) for i in range(5)]
    alone = list(check_recordings(paths, 1))
    monkeypatch.setattr(recordings, "_SERIAL", 0)
    assert list(check_recordings(paths, 2)) == alone
    assert [path for path, _ in alone] == paths


def die(path: str) -> None:
    os._exit(1)


def test_a_dead_process_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_SERIAL", 0)
    monkeypatch.setattr(recordings, "check_recording", die)
    with pytest.raises(InputError, match=r"worker process died.*nothing was written"):
        list(check_recordings(["a.wav"], 2))


def test_only_audio_is_taken_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("noise/b.WAV", "noise/sub/a.flac", "noise/LICENSE", "noise/.a.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("")
    assert recordings_below(Path("noise")) == ["noise/b.WAV", "noise/sub/a.flac"]
