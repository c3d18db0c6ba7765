"""Songs made of lists: lengths, ratio, sums, draws, and all of them or none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.audio import level_db
from data_utils.errors import InputError
from data_utils.mixing import LEVEL_DB
from data_utils.separation import mixing_songs
from data_utils.separation.mixing_songs import mix_songs
from data_utils.separation.settings import MixedSongSettings
from data_utils.separation.songs import find_songs

RATE = 8000


@pytest.fixture
def settings(tmp_path: Path) -> MixedSongSettings:
    rng = np.random.default_rng(0)
    for name, seconds in (("speech", (0.4, 0.7)), ("music", (0.5, 3.0))):
        (tmp_path / name).mkdir()
        for number, length in enumerate(seconds):
            wave = rng.normal(0, 0.02 * (number + 1), round(length * RATE))
            soundfile.write(tmp_path / name / f"{number}.wav", wave, RATE)
    return MixedSongSettings(
        speech=str(tmp_path / "speech"),
        music=str(tmp_path / "music"),
        train_dataset=str(tmp_path / "songs"),
        num_songs=3,
        song_seconds=2.0,
        snrs=(-3.0,),
        sample_rate=RATE,
    )


def stems(folder: Path) -> np.ndarray:
    names = ("mixture", "vocals", "instrumental")
    return np.stack([soundfile.read(folder / f"{name}.wav")[0] for name in names])


def test_songs_are_what_the_separator_reads(settings: MixedSongSettings) -> None:
    done: list[int] = []
    folder, hours = mix_songs(settings, lambda: done.append(1))
    assert len(done) == 3 and hours == pytest.approx(6 / 3600)
    songs, problems = find_songs(folder)
    assert [song.duration for song in songs] == [2.0] * 3 and not problems
    for path in sorted(folder.iterdir()):
        mixture, vocals, music = stems(path)
        assert np.allclose(mixture, vocals + music, atol=1e-6)
        assert level_db(vocals) - level_db(music) == pytest.approx(-3, abs=0.01)
        assert level_db(mixture) == pytest.approx(LEVEL_DB, abs=0.01)
        assert (vocals == 0).mean() > 0.1, "pauses"


def test_songs_follow_from_the_seed_and_their_number(settings: MixedSongSettings) -> None:
    first, _ = mix_songs(settings)
    parent = first.parent
    again, _ = mix_songs(replace(settings, train_dataset=str(parent / "again"), num_songs=1))
    other, _ = mix_songs(replace(settings, train_dataset=str(parent / "other"), seed=2))
    assert np.array_equal(stems(first / "song_00001"), stems(again / "song_00001"))
    assert not np.array_equal(stems(first / "song_00001"), stems(first / "song_00002"))
    assert not np.array_equal(stems(first / "song_00001"), stems(other / "song_00001"))


def test_every_ratio_is_drawn(settings: MixedSongSettings) -> None:
    folder, _ = mix_songs(replace(settings, num_songs=20, song_seconds=1.0, snrs=(-5.0, 5.0)))
    found = set()
    for path in folder.iterdir():
        _, vocals, music = stems(path)
        found.add(round(level_db(vocals) - level_db(music)))
    assert found == {-5, 5}


def test_what_is_there_is_left_alone(settings: MixedSongSettings) -> None:
    folder = Path(settings.train_dataset)
    folder.mkdir()
    (folder / "mine.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match="there already; name a new folder"):
        mix_songs(settings)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_folders_above_are_made(settings: MixedSongSettings, tmp_path: Path) -> None:
    new = tmp_path / "new"
    folder, _ = mix_songs(replace(settings, train_dataset=str(new / "er" / "songs"), num_songs=1))
    assert [path.name for path in folder.iterdir()] == ["song_00001"]
    assert [path.name for path in folder.parent.iterdir()] == ["songs"], "nothing else is left"
    assert folder.stat().st_mode == new.stat().st_mode, "others may read it where they may read new"


def test_a_folder_that_cannot_be_made_is_refused_in_a_line(
    settings: MixedSongSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mixing_songs.tempfile, "mkdtemp", full)
    with pytest.raises(InputError, match=r"songs: cannot be written .*No space left") as error:
        mix_songs(settings)
    assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == {"speech", "music"}


def test_a_run_that_stops_leaves_nothing(settings: MixedSongSettings, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mix_songs(settings, stop)
    assert {path.name for path in tmp_path.iterdir()} == {"speech", "music"}


@pytest.mark.parametrize("name", ["speech", "music"])
def test_silence_is_refused(settings: MixedSongSettings, name: str) -> None:
    for path in Path(getattr(settings, name)).iterdir():
        soundfile.write(path, np.zeros(RATE), RATE)
    with pytest.raises(
        InputError, match=f"{name}: 100 draws from this list were damaged or silent"
    ):
        mix_songs(settings)


def test_music_is_played_faster_and_higher(settings: MixedSongSettings, tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 400 * np.arange(3 * RATE) / RATE)
    (tmp_path / "tones").mkdir()
    soundfile.write(tmp_path / "tones" / "a.wav", 0.1 * tone, RATE)
    pitches = set()
    made = replace(settings, music=str(tmp_path / "tones"), num_songs=12)
    folder, _ = mix_songs(replace(made, music_speeds=(0.75, 1.0, 1.5)))
    for path in folder.iterdir():
        _, _, music = stems(path)
        assert len(music) == 2 * RATE
        pitches.add(int(np.abs(np.fft.rfft(music)).argmax() / 2))
    assert pitches == {300, 400, 600}


def music_of(settings: MixedSongSettings) -> list[np.ndarray]:
    folder, _ = mix_songs(settings)
    return [stems(path)[2] for path in sorted(folder.iterdir())]


def test_up_to_so_many_pieces_play_at_once(settings: MixedSongSettings, tmp_path: Path) -> None:
    (tmp_path / "tones").mkdir()
    pitches = (200, 300, 500, 700)
    for pitch in pitches:
        tone = np.sin(2 * np.pi * pitch * np.arange(3 * RATE) / RATE)
        soundfile.write(tmp_path / "tones" / f"{pitch}.wav", tone / pitch, RATE)
    made = replace(settings, music=str(tmp_path / "tones"), num_songs=30, music_layers=2)
    counts = []
    for music in music_of(made):
        strength = np.abs(np.fft.rfft(music))[[2 * pitch for pitch in pitches]]
        heard = strength > 0.1 * strength.max()
        # Of two different pieces each is as loud as the other, however they were recorded.
        assert np.ptp(strength[heard]) < 1e-2 * strength.max()
        counts.append(int(heard.sum()))
    assert set(counts) == {1, 2}


def test_octaves_are_raised_and_lowered(settings: MixedSongSettings, tmp_path: Path) -> None:
    (tmp_path / "tones").mkdir()
    times = np.arange(3 * RATE) / RATE
    pitches = np.array([125, 250, 500, 1000, 2000])
    chord = 0.05 * np.sin(2 * np.pi * pitches[:, None] * times).sum(axis=0)
    soundfile.write(tmp_path / "tones" / "a.wav", chord, RATE)
    made = replace(settings, music=str(tmp_path / "tones"), num_songs=30, music_tone_db=6.0)
    levels = np.array(
        [20 * np.log10(np.abs(np.fft.rfft(music))[2 * pitches]) for music in music_of(made)]
    )
    steps = np.diff(levels, axis=1)
    assert 6 < np.abs(steps).max() < 12.2, "two neighbours differ by at most twice the gain"
    assert np.abs(np.corrcoef(steps[:, ::2].T)[0, 1]) < 0.7, "each octave has a draw of its own"


@pytest.mark.parametrize(("speeds", "found"), [((1.0, 2.5), "2.5"), ((float("nan"),), "nan")])
def test_speeds_that_are_no_music(
    settings: MixedSongSettings, speeds: tuple[float, ...], found: str
) -> None:
    with pytest.raises(InputError, match=f"--music_speeds: 0.5 to 2 expected, found {found}"):
        mix_songs(replace(settings, music_speeds=speeds))
    assert not Path(settings.train_dataset).exists()
