"""Triangular filters on the mel scale of Slaney's Auditory Toolbox (1998), as librosa has them.

Fifteen lines in place of librosa, whose import takes longer than recognising a clip does; a test
holds both together to the last bit.
"""

import numpy as np
from numpy.typing import NDArray

_LINEAR_HZ = 1000.0
"""Up to here the scale is linear..."""
_HZ_PER_MEL = 200 / 3
"""...in such steps; above it is logarithmic,"""
_LOG_STEP = np.log(6.4) / 27.0
"""27 mels for a factor of 6.4."""


def filters(rate: int, n_fft: int, num_filters: int) -> NDArray[np.float32]:
    """Filters of equal area between 0 Hz and half the rate, float32 [num_filters, n_fft // 2 + 1].

    Args:
        rate: of the samples, in Hz.
        n_fft: samples of a transform.
        num_filters: how many.
    """
    knee = _LINEAR_HZ / _HZ_PER_MEL
    top = knee + np.log(rate / 2 / _LINEAR_HZ) / _LOG_STEP  # rates are above 2 kHz
    mels = np.linspace(0.0, top, num_filters + 2)
    edges = _HZ_PER_MEL * mels
    above = mels >= knee
    edges[above] = _LINEAR_HZ * np.exp(_LOG_STEP * (mels[above] - knee))
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(n=n_fft, d=1.0 / rate))
    widths = np.diff(edges)[:, np.newaxis]
    rising, falling = -ramps[:-2] / widths[:-1], ramps[2:] / widths[1:]
    found = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    found *= (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis]
    return found
