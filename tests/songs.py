"""Small songs: tones as vocals over noise, and the folders that hold them."""

from pathlib import Path

import numpy as np
import soundfile

from data_utils.separation.settings import SongSettings

RATE = 8000
SMALL = SongSettings(
    margin=0.25,
    chunk_duration=1.0,
    n_chunks_per_song=3,
    sample_rate=RATE,
    frame_length=256,
    frame_step=64,
    T=64,
    F=64,
)
"""Settings of which a block lasts half a second."""


def vocals_and_noise(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A tone of changing loudness, and noise: float32 [2, samples]."""
    time = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(seed)
    tone = 0.1 * np.sin(2 * np.pi * (300 + 50 * seed) * time) * (1 + np.sin(2 * np.pi * 3 * time))
    return np.stack([tone, 0.05 * rng.standard_normal(len(time))]).astype(np.float32)


def write_song(
    folder: Path,
    seconds: float,
    seed: int = 0,
    names: tuple[str, str, str] = ("mixture.wav", "vocal.wav", "instrumental.wav"),
    rate: int = RATE,
) -> np.ndarray:
    """Write a song's three recordings; returns them as they were written, [3, samples]."""
    folder.mkdir(parents=True)
    stems = vocals_and_noise(seconds, seed, rate)
    waves = np.stack([stems.sum(axis=0), *stems])
    for name, wave in zip(names, waves, strict=True):
        soundfile.write(folder / name, wave, rate, subtype="FLOAT")
    return waves
