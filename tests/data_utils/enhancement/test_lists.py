"""Lists as users write them, and what is said where they are wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.enhancement.lists import read_list
from data_utils.errors import InputError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with recordings of 1.5 s, 0.5 s and 2 s at different rates."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "audio" / "deep").mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    wave = np.random.default_rng(0).normal(0, 0.1, 88200)
    soundfile.write("audio/a.wav", wave[:24000], 16000)
    soundfile.write("audio/b c.flac", wave[:4000], 8000)
    soundfile.write("audio/deep/丁.wav", wave, 44100)
    return tmp_path


def write(path: str, *lines: str, encoding: str = "utf-8") -> str:
    Path(path).write_bytes("\n".join(lines).encode(encoding))
    return path


def test_paths_comments_and_columns(folder: Path) -> None:
    path = write(
        "speech.txt",
        "# my corpus",
        "audio/a.wav",
        "",
        "  audio/b c.flac\twhat is said\tspeaker\r",
        str(folder / "audio/deep/丁.wav"),
        "audio\\a.wav",
    )
    found = read_list(path)
    assert [recording.audio for recording in found] == [
        *("audio/a.wav", "audio/b c.flac", "audio/deep/丁.wav", "audio/a.wav")
    ]
    assert [found.where(index) for index in range(len(found))] == [
        *("speech.txt:2", "speech.txt:4", "speech.txt:5", "speech.txt:6")
    ]
    assert found.durations.tolist() == [1.5, 0.5, 2.0, 1.5]
    assert found.durations.dtype == np.float32
    assert found.problems == ()


def test_paths_from_the_list_and_from_the_folder_above(folder: Path) -> None:
    soundfile.write("lists/own.wav", np.zeros(800), 8000)
    found = read_list(write("lists/noise.txt", "own.wav", "audio/a.wav"))
    assert [recording.audio for recording in found] == ["lists/own.wav", "audio/a.wav"]
    Path("elsewhere").mkdir()
    assert [r.audio for r in read_list(write("elsewhere/n.txt", "audio/a.wav"))] == ["audio/a.wav"]


def test_the_nearer_folder_wins(folder: Path) -> None:
    soundfile.write("lists/a.wav", np.zeros(800), 8000)
    soundfile.write("a.wav", np.zeros(800), 8000)
    assert [r.audio for r in read_list(write("lists/l.txt", "a.wav"))] == ["a.wav"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_other_encodings(folder: Path, encoding: str) -> None:
    found = read_list(write("l.txt", "audio/deep/丁.wav", encoding=encoding))
    assert [recording.audio for recording in found] == ["audio/deep/丁.wav"]


def test_manifests_bring_durations_and_parts(folder: Path) -> None:
    rows = [
        {"audio_filepath": "audio/a.wav", "duration": 1.25, "text": "字", "start": 0.25},
        {"audio_filepath": "audio/a.wav", "duration": 0.5, "start": 0.5, "end": 1.0},
    ]
    path = write("lists/manifest.train", *map(json.dumps, rows), "")
    first, second = read_list(path)
    assert (first.duration, first.start, first.end) == (1.25, 0.25, None)
    assert (second.duration, second.start, second.end) == (0.5, 0.5, 1.0)
    assert first.key != second.key


def test_a_folder_is_all_its_recordings(folder: Path) -> None:
    Path("audio/README").write_text("not a recording")
    found = read_list("audio")
    names = ["audio/a.wav", "audio/b c.flac", "audio/deep/丁.wav"]
    assert [recording.audio for recording in found] == names
    assert found.where(1) == "audio"


def test_what_cannot_be_used_is_collected(folder: Path) -> None:
    Path("audio/empty.wav").touch()
    Path("audio/text.wav").write_text("words")
    path = write(
        *("lists/l.txt", "audio/gone.wav", "audio/a.wav"),
        *("audio/empty.wav", "audio/text.wav", "audio"),
    )
    found = read_list(path)
    assert [recording.audio for recording in found] == ["audio/a.wav"]
    assert found.where(0) == "lists/l.txt:2"
    assert list(found.problems) == [
        "lists/l.txt:1: audio/gone.wav: file not found (searched in ., lists)",
        "lists/l.txt:3: audio/empty.wav: empty file",
        "lists/l.txt:4: audio/text.wav: not audio that libsndfile can read",
        "lists/l.txt:5: audio: is a folder, not a recording",
    ]


def test_lists_that_are_refused(folder: Path) -> None:
    cases = {
        write("none.txt", "# nothing", ""): r"^none\.txt: no recording in it; write a path a line",
        write("bad.txt", "x.wav", "y.wav"): r"^bad\.txt: none of its 2 recordings can be used "
        r"\(bad\.txt:1: x\.wav: file not found \(searched in \.\)\)",
        write("m.json", '{"audio_filepath": 3}'): r"^m\.json:1: audio_filepath missing or empty",
        "gone.txt": r"^gone\.txt: list not found; write a path a line",
        "audio/a.wav": r"^audio/a\.wav:1: no \w+ text; save the list as UTF-8",
        "lists": r"^lists: no recording in it",
    }
    for path, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            read_list(path)
        assert "\n" not in str(caught.value)
