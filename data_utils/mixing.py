"""Speech and noise at an exact signal-to-noise ratio."""

import math

import numpy as np
from numpy.typing import NDArray

LEVEL_DB = -25.0
"""RMS level (dBFS) to which a mixture is brought before a network hears it: its parts are scaled by
the same factor. The peaks of most mixtures then stay below full scale, and quiet parts count in a
loss as loud ones do."""


def mix(
    clean: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add `noise` to `clean`, scaled so that their ratio is `snr_db`.

    The ratio is 10 log10(power of clean / power of the noise that was added), where power is the
    mean square over the whole length. Nothing is clipped. Where one of the two is silent there is
    no such ratio, and nothing is added.

    Args:
        clean: float32 `[samples]`.
        noise: float32 `[samples]`, as long as `clean`.
        snr_db: the ratio, in dB.

    Returns:
        The mixture and the noise in it, both float32 `[samples]`; mixture = clean + noise.
    """
    if clean.shape != noise.shape:
        raise ValueError(f"clean {clean.shape} and noise {noise.shape} differ in length")
    gain = math.sqrt(_power(clean)) * 10.0 ** (-snr_db / 20.0)
    noise_rms = math.sqrt(_power(noise))
    if gain == 0.0 or noise_rms == 0.0:
        return clean.astype(np.float32), np.zeros_like(clean, dtype=np.float32)
    scaled = (noise.astype(np.float64) * (gain / noise_rms)).astype(np.float32)
    return (clean + scaled).astype(np.float32), scaled


def _power(samples: NDArray[np.float32]) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
