"""Recordings that a command was given, and where their results go."""

from pathlib import Path

import pytest

from data_utils.errors import InputError
from inference.files import Targets


@pytest.fixture
def songs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("songs/a/mixture.wav", "songs/b/mixture.wav", "mixture.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"RIFF")


def test_below_a_folder_its_folders_are_kept(songs: None) -> None:
    targets = Targets(["songs", "mixture.wav"], "out")
    found = [
        targets.of(name, "vocals.wav")
        for name in ("songs/a/mixture.wav", "songs/b/mixture.wav", "mixture.wav")
    ]
    assert found == [
        [Path("out/a/mixture/vocals.wav")],
        [Path("out/b/mixture/vocals.wav")],
        [Path("out/mixture/vocals.wav")],
    ]
    assert Targets(["mixture.wav"], "out").of("mixture.wav", ".wav") == [Path("out/mixture.wav")]


def test_no_result_takes_the_place_of_another_or_of_its_recording(songs: None) -> None:
    targets = Targets(["songs/a/mixture.wav", "songs/b/mixture.wav"], "out")
    targets.of("songs/a/mixture.wav", ".wav")
    with pytest.raises(InputError, match=r"would be out/mixture\.wav, songs/a/mixture\.wav too"):
        targets.of("songs/b/mixture.wav", ".wav")
    with pytest.raises(InputError, match="the recording itself stands there"):
        Targets(["mixture.wav"], ".").of("mixture.wav", ".wav")
