"""Folders to songs to a manifest and back; what is wrong is named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from songs import RATE, write_song

from data_utils.errors import InputError
from data_utils.separation.settings import SongFiles, SongSettings, check
from data_utils.separation.songs import (
    Song,
    find_songs,
    prepare_songs,
    read_songs,
    write_manifest,
)

HEADER = "mix,vocal,instrumental,duration,sample_rate\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("dataset").mkdir()
    return tmp_path


def reasons() -> dict[str, str]:
    return {Path(p.where).name: p.reason for p in find_songs("dataset")[1]}


@pytest.mark.parametrize(
    "names",
    [
        ("mixture.wav", "vocal.wav", "instrumental.wav"),
        ("mixture.wav", "vocals.wav", "accompaniment.wav"),
        ("Mixture.flac", "vocals.ogg", "instrumental.WAV"),
    ],
)
def test_every_name_and_format_of_the_layout_is_found(names: tuple[str, str, str]) -> None:
    Path("dataset/a").mkdir()
    for name in names:
        soundfile.write(Path("dataset/a", name), np.full(RATE, 0.1), RATE)
    songs, problems = find_songs("dataset")
    assert not problems
    assert songs == [Song(*(f"a/{name}" for name in names), 1.0, RATE)]


def test_only_folders_with_recordings_are_songs() -> None:
    write_song(Path("dataset/b"), 1.0)
    write_song(Path("dataset/a"), 2.0)
    write_song(Path("dataset/.trash"), 1.0)
    Path("dataset/annotation").mkdir()
    Path("dataset/annotation/train.txt").write_text("a\tb")
    Path("dataset/manifest.train").write_text("{}")
    Path("dataset/a/._mixture.wav").write_text("of another system")
    songs, problems = find_songs("dataset")
    assert [song.mix for song in songs] == ["a/mixture.wav", "b/mixture.wav"]
    assert [song.duration for song in songs] == [2.0, 1.0] and not problems


def test_songs_that_cannot_be_used_are_named_with_the_reason() -> None:
    write_song(Path("dataset/good"), 1.0)
    for name in ("nomix", "novocal", "twice", "rate", "long", "cut"):
        write_song(Path("dataset", name), 1.0)
    Path("dataset/nomix/mixture.wav").unlink()
    Path("dataset/novocal/vocal.wav").rename("dataset/novocal/voice.wav")
    Path("dataset/twice/vocals.flac").write_bytes(Path("dataset/twice/vocal.wav").read_bytes())
    soundfile.write("dataset/rate/vocal.wav", np.zeros(2 * RATE), 2 * RATE)
    soundfile.write("dataset/long/instrumental.wav", np.zeros(RATE * 6 // 5), RATE)
    cut = Path("dataset/cut/mixture.wav")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    songs, _ = find_songs("dataset")
    assert [song.mix for song in songs] == ["good/mixture.wav"]
    expected = {
        "nomix": "no mixture among its recordings",
        "novocal": "no vocal or vocals among its recordings",
        "twice": "both vocal.wav and vocals.flac; keep one",
        "rate": "mixture.wav 8000 Hz, vocal.wav 16000 Hz, instrumental.wav 8000 Hz",
        "long": "mixture.wav 1.00 s, vocal.wav 1.00 s, instrumental.wav 1.20 s",
        "cut": "mixture.wav: truncated: 0.50 s of 1.00 s",
    }
    found = reasons()
    assert found.keys() == expected.keys()
    for name, reason in expected.items():
        assert reason in found[name], name


def test_padding_of_an_encoder_is_no_reason_and_the_shortest_decides() -> None:
    write_song(Path("dataset/a"), 1.0)
    soundfile.write("dataset/a/vocal.wav", np.zeros(RATE + 700), RATE)
    (song,), problems = find_songs("dataset")
    assert song.duration == 1.0 and not problems


def test_the_duration_never_exceeds_what_is_there() -> None:
    Path("dataset/a").mkdir()
    for name in ("mixture", "vocal", "instrumental"):
        soundfile.write(f"dataset/a/{name}.wav", np.zeros(44099), 44100)
    (song,), _ = find_songs("dataset")
    assert 44099 / 44100 - 1e-4 < song.duration <= 44099 / 44100


def test_a_manifest_is_read_as_it_was_written() -> None:
    names = ("mixture.wav", "vocals.wav", "accompaniment.wav")
    write_song(Path('dataset/a, "b" 歌'), 1.25, names=names)
    songs, _ = find_songs("dataset")
    write_manifest("manifest.csv", songs)
    lines = Path("manifest.csv").read_text("utf-8").splitlines()
    assert lines[0] == HEADER.strip() and lines[1].endswith(",1.25,8000")
    (song,) = read_songs("manifest.csv", "dataset")
    assert song == Song(
        *(f'dataset/a, "b" 歌/{name}' for name in names), 1.25, RATE, where="manifest.csv:2"
    )


def test_paths_start_from_the_dataset_or_from_the_current_folder() -> None:
    write_song(Path("dataset/a"), 1.0)
    write_song(Path("a"), 1.0)  # the folder of the data comes first
    write_song(Path("elsewhere/b"), 1.0)
    parts = ("mixture.wav", "vocal.wav", "instrumental.wav")
    rows = [
        [f"a/{part}" for part in parts],
        [f"elsewhere\\b\\{part}" for part in parts],
        [str(Path(f"elsewhere/b/{part}").absolute()) for part in parts],
        [f"gone/{part}" for part in parts],
    ]
    text = HEADER + "".join(f"{','.join(row)},1.0,8000\n" for row in rows)
    Path("manifest.csv").write_text(text)
    songs = read_songs("manifest.csv", "dataset")
    assert [song.mix for song in songs] == [
        "dataset/a/mixture.wav",
        "elsewhere/b/mixture.wav",
        "elsewhere/b/mixture.wav",
        "dataset/gone/mixture.wav",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "manifest.csv:1: no column mix, the first line should be mix,vocal,"),
        ("mix,vocal\na,b\n", "manifest.csv:1: no column instrumental"),
        (HEADER, "manifest.csv: no song in it"),
        (HEADER + "a,b,c,1,8000\na,,c,1,8000\n", "manifest.csv:3: vocal is empty"),
        (HEADER + "a,b,c\n", "manifest.csv:2: duration must be seconds, found None"),
        (HEADER + "a,b,c,long,8000\n", "manifest.csv:2: duration must be seconds, found 'long'"),
        (HEADER + "a,b,c,-1,8000\n", "manifest.csv:2: duration must be seconds, found '-1'"),
        (HEADER + "a,b,c,nan,8000\n", "manifest.csv:2: duration must be seconds, found 'nan'"),
        (HEADER + "a,b,c,1,0\n", "manifest.csv:2: sample_rate must be Hz, found '0'"),
        (HEADER + 'a,b,"c,1,8000\n', "manifest.csv: not CSV"),
    ],
)
def test_a_bad_manifest_says_where_and_what_to_do(text: str, message: str) -> None:
    Path("manifest.csv").write_text(text)
    with pytest.raises(InputError) as raised:
        read_songs("manifest.csv", "dataset")
    assert str(raised.value).startswith(message)
    assert "run_scripts/preprocess.py" in str(raised.value) and "\n" not in str(raised.value)


def test_a_manifest_that_is_missing_or_no_text() -> None:
    with pytest.raises(InputError, match=r"^manifest\.csv: file not found; make it with"):
        read_songs("manifest.csv", "dataset")
    Path("manifest.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"^manifest\.csv: not UTF-8"):
        read_songs("manifest.csv", "dataset")


def test_columns_may_stand_in_any_order_beside_others() -> None:
    text = (
        "\ufeffduration, sample_rate, genre, instrumental, vocal, mix\n1.5, 44100.0, x, c, b, a\n"
    )
    Path("manifest.csv").write_text(text, "utf-8")
    (song,) = read_songs("manifest.csv", "dataset")
    assert song == Song("dataset/a", "dataset/b", "dataset/c", 1.5, 44100, "manifest.csv:2")


def test_preparing_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    write_song(Path("dataset/a"), 3.0)
    write_song(Path("dataset/b"), 1.0)
    Path("dataset/b/vocal.wav").unlink()
    prepare_songs(SongFiles())
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("dataset/b: no vocal or vocals among its recordings")
    assert printed[1:] == ["songs 1, hours 0.00, skipped 1", "written: manifest.csv"]
    assert len(read_songs("manifest.csv", "dataset")) == 1


def test_an_older_manifest_stays_where_nothing_can_be_used() -> None:
    Path("manifest.csv").write_text(HEADER + "a,b,c,1,8000\n")
    with pytest.raises(InputError, match=r"^dataset: no song that can be used \(a song is"):
        prepare_songs(SongFiles())
    write_song(Path("dataset/b"), 1.0)
    Path("dataset/b/vocal.wav").unlink()
    with pytest.raises(InputError, match=r"no song that can be used \(first: dataset/b: no vocal"):
        prepare_songs(SongFiles())
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        prepare_songs(SongFiles(train_dataset="nowhere"))
    assert Path("manifest.csv").read_text().startswith(HEADER + "a,b")


def test_a_file_that_is_no_manifest_is_not_replaced() -> None:
    write_song(Path("dataset/a"), 1.0)
    Path("manifest.csv").write_text("my notes")
    with pytest.raises(InputError, match="a file of another kind stands there"):
        prepare_songs(SongFiles())
    assert Path("manifest.csv").read_text() == "my notes"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"T": 500}, r"--T 500: .* multiple of 64; give 448 or 512"),
        ({"F": 1000}, r"--F 1000: .* multiple of 64; give 960 or 1024"),
        ({"frame_length": 1024, "frame_step": 256}, r"--F 1024: frames of 1024 samples have 513 "),
        ({"frame_step": 2049}, r"--frame_step 2049: at most half of --frame_length 4096"),
        ({"chunk_duration": 0.05}, r"--chunk_duration 0\.05: a single frame lasts 0\.09 s"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(
    changes: dict[str, int], message: str
) -> None:
    check(SongSettings())
    with pytest.raises(InputError, match=message):
        check(dataclasses.replace(SongSettings(), **changes))
