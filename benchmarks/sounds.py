"""Sounds to measure with: made here, the same every time, for nothing depends on what is said."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE
from data_utils.manifest import Utterance, write_manifests

_NOISES = 4
_NOISE_SECONDS = 30
_ROOM_SECONDS = 0.4


def syllables(seconds: float, rate: int = SAMPLE_RATE) -> NDArray[np.float32]:
    """Noise that swells from -60 to -20 dBFS four times a second, float32 `[samples]`."""
    time = np.arange(round(seconds * rate)) / rate
    level_db = -40 - 20 * np.cos(2 * np.pi * 4 * time)
    noise = np.random.default_rng(0).standard_normal(len(time))
    return (noise * 10 ** (level_db / 20)).astype(np.float32)


def write_effect_sounds(folder: Path) -> tuple[Path, Path]:
    """Write noises and the echo of a room; the manifests of both, as effects take them."""
    rng = np.random.default_rng(1)
    noises = []
    for number in range(_NOISES):
        path = folder / f"noise_{number}.wav"
        _write(path, 0.05 * rng.standard_normal(_NOISE_SECONDS * SAMPLE_RATE))
        noises.append(Utterance(str(path), _NOISE_SECONDS, ""))
    time = np.arange(round(_ROOM_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    echo = 0.1 * rng.standard_normal(len(time)) * np.exp(-time / 0.06)  # 60 dB less in 0.4 s
    echo[0] = 0.9
    _write(folder / "room.wav", echo)
    places = folder / "manifest.noise", folder / "manifest.impulse"
    room = [Utterance(str(folder / "room.wav"), _ROOM_SECONDS, "")]
    write_manifests(dict(zip(places, (noises, room), strict=True)))
    return places


def _write(path: Path, samples: NDArray[np.floating]) -> None:
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
