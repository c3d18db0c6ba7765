"""Songs made of other people's recordings: speech over music or noise, to train a separator with.

One song is speech of a list, recording after recording, over pieces of another list. Which
recordings, which pieces, which parts of them, how fast, in which tone and at which ratio follow
from the seed and the number of the song alone.
"""

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from data_utils.atomic import check_place
from data_utils.audio import loudness_gain, resample
from data_utils.augmentation.pipeline import utterance_rng
from data_utils.augmentation.sounds import Sounds
from data_utils.cache import RecordingCache
from data_utils.enhancement.lists import named_list
from data_utils.enhancement.settings import check_ratios
from data_utils.errors import InputError
from data_utils.mixing import LEVEL_DB, mix
from data_utils.separation.settings import MixedSongSettings

LOWEST_HZ = 62.5
"""Below it no octaves are told apart."""

PAUSE = 0.3
"""Seconds between two recordings of speech."""

SLOWEST, FASTEST = 0.5, 2.0
"""An octave down and up; further from it music sounds like none."""

_CACHE = 256 << 20  # bytes of decoded recordings

Wave = NDArray[np.float32]


def mix_songs(
    settings: MixedSongSettings, progress: Callable[[], object] = lambda: None
) -> tuple[Path, float]:
    """Write songs, `song_00001/{mixture,vocals,instrumental}.wav` and so on: all of them or none.

    Args:
        settings: what they are made of.
        progress: called after each song.

    Returns:
        The folder, and the hours in it.

    Raises:
        InputError: a list cannot be used, the folder is there already or cannot be written.
    """
    check_ratios("snrs", settings.snrs)
    _check_speeds(settings.music_speeds)
    folder = Path(settings.train_dataset)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: there already; name a new folder with --train_dataset")
    check_place(folder / "new")
    maker = _Maker(settings)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Songs of a run that was stopped would be taken for all of them.
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
            songs = Path(place) / folder.name
            songs.mkdir()
            for number in range(settings.num_songs):
                maker.write(number, songs / f"song_{number + 1:05d}")
                progress()
            songs.replace(folder)
    except (OSError, soundfile.SoundFileError) as error:
        raise InputError(
            f"{folder}: cannot be written ({error}); make room, or take another folder"
        ) from None
    return folder, settings.num_songs * settings.song_seconds / 3600


class _Maker:
    def __init__(self, settings: MixedSongSettings) -> None:
        self.settings = settings
        rate, cache = settings.sample_rate, RecordingCache(_CACHE)
        self._speech = Sounds(named_list(settings.speech), rate, cache)
        self._music = Sounds(named_list(settings.music), rate, cache)
        self._count = round(settings.song_seconds * rate)

    def write(self, number: int, folder: Path) -> None:
        """Write song `number`."""
        rng = utterance_rng(self.settings.seed, 0, f"song {number}")
        snr_db = _drawn(rng, self.settings.snrs)
        speed = _drawn(rng, self.settings.music_speeds)
        vocals = self._talk(rng)
        layers = int(rng.integers(1, self.settings.music_layers + 1))
        music = np.sum([self._play(rng, speed) for _ in range(layers)], axis=0)
        mixture, music = mix(vocals, music, snr_db)
        gain = loudness_gain(mixture, LEVEL_DB)
        folder.mkdir()
        for name, wave in (("mixture", mixture), ("vocals", vocals), ("instrumental", music)):
            soundfile.write(
                folder / f"{name}.wav", wave * gain, self.settings.sample_rate, subtype="FLOAT"
            )

    def _play(self, rng: np.random.Generator, speed: float) -> Wave:
        """One piece of music, `speed` times faster and higher than it was recorded, in its tone."""
        rate = self.settings.sample_rate
        recorded = round(rate * speed)
        part = self._music.heard_part(rng, math.ceil(self._count * recorded / rate))
        if recorded != rate:
            part = resample(part, recorded, rate)[: self._count]
        if self.settings.music_tone_db:
            part = _in_another_tone(part, rng, rate, self.settings.music_tone_db)
        return part * loudness_gain(part, LEVEL_DB)

    def _talk(self, rng: np.random.Generator) -> Wave:
        """Recordings of speech, each at the same level, with pauses between."""
        talk = np.zeros(self._count, np.float32)
        end = 0
        while end < self._count:
            wave = self._speech.heard_whole(rng)
            wave = (wave * loudness_gain(wave, LEVEL_DB))[: self._count - end]
            talk[end : end + len(wave)] = wave
            end += len(wave) + round(PAUSE * self.settings.sample_rate)
        return talk


def _in_another_tone(wave: Wave, rng: np.random.Generator, rate: int, most_db: float) -> Wave:
    """The wave with each octave raised or lowered by up to `most_db`, smoothly between them."""
    frequencies = np.fft.rfftfreq(len(wave), 1 / rate)
    octaves = np.log2(np.maximum(frequencies, LOWEST_HZ) / LOWEST_HZ)
    centres = np.arange(math.ceil(octaves[-1]) + 1)
    gains_db = np.interp(octaves, centres, rng.uniform(-most_db, most_db, len(centres)))
    return np.fft.irfft(np.fft.rfft(wave) * 10 ** (gains_db / 20), len(wave)).astype(np.float32)


def _drawn(rng: np.random.Generator, values: tuple[float, ...]) -> float:
    return values[int(rng.integers(len(values)))]


def _check_speeds(speeds: tuple[float, ...]) -> None:
    wrong = [speed for speed in speeds if not SLOWEST <= speed <= FASTEST]
    if wrong or not speeds:
        found = f"found {wrong[0]:g}" if wrong else "found none"
        raise InputError(f"--music_speeds: {SLOWEST:g} to {FASTEST:g} expected, {found}")
