"""The mel scale and its bands, as Slaney (1998, Auditory Toolbox, version 2) has them.

The numbers are those of librosa. To import that takes 1.5 s, of every command and of every worker.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_LINEAR_HZ = 200 / 3
"""Hz to a mel where the scale is linear: up to `_KNEE_HZ`."""
_KNEE_HZ = 1000.0
_KNEE = _KNEE_HZ / _LINEAR_HZ
_STEP = np.log(6.4) / 27
"""Above, a mel multiplies the frequency by the exponential of this."""


def to_mel(hertz: ArrayLike) -> NDArray[np.float64]:
    """Frequencies in Hz to mel, float64 of the same shape."""
    hz = np.asarray(hertz, dtype=np.float64)
    above = _KNEE + np.log(np.maximum(hz, _KNEE_HZ) / _KNEE_HZ) / _STEP
    return np.where(hz < _KNEE_HZ, hz / _LINEAR_HZ, above)


def to_hertz(mels: ArrayLike) -> NDArray[np.float64]:
    """Mel to frequencies in Hz, float64 of the same shape."""
    mel = np.asarray(mels, dtype=np.float64)
    above = _KNEE_HZ * np.exp(_STEP * (np.maximum(mel, _KNEE) - _KNEE))
    return np.where(mel < _KNEE, mel * _LINEAR_HZ, above)


def mel_bands(num_bands: int, n_fft: int, rate: int) -> NDArray[np.float32]:
    """Triangles of equal area that stand evenly on the mel scale, from 0 Hz to half the rate.

    Args:
        num_bands: triangles; each ends where the next but one begins.
        n_fft: length of the transform.
        rate: of the samples, in Hz.

    Returns:
        What each band takes of the power in each bin, per Hz: float32 `[bands, n_fft // 2 + 1]`.
    """
    corners = to_hertz(np.linspace(0.0, to_mel(rate / 2), num_bands + 2))
    left, right = corners[:-2, np.newaxis], corners[2:, np.newaxis]
    peak, bins = corners[1:-1, np.newaxis], np.fft.rfftfreq(n_fft, 1 / rate)
    rising, falling = (bins - left) / (peak - left), (right - bins) / (right - peak)
    height = np.maximum(0, np.minimum(rising, falling))
    return (height * 2 / (right - left)).astype(np.float32)
