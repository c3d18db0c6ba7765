"""Wave to spectrum: frames, windowed, transformed.

A frame is `window_length` samples, frames begin every `hop_length` samples, and nothing is padded:

    samples  0 1 2 3 4 5 6 7 8 9      window_length 4, hop_length 3
    frame 0  |-----|
    frame 1        |-----|
    frame 2              |-----|      (10 - 4) // 3 + 1 = 3 frames
"""

from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Window: TypeAlias = Literal["hann", "rectangular"]


def num_frames(num_samples: int, window_length: int, hop_length: int) -> int:
    """Frames that fit into `num_samples`; samples behind the last one are left out."""
    return max(0, (num_samples - window_length) // hop_length + 1)


@lru_cache(maxsize=16)
def window_weights(window: Window, length: int) -> NDArray[np.float64]:
    """Weights float64 `[length]`, read-only; `hann` is symmetric: it begins and ends with 0."""
    weights = np.hanning(length) if window == "hann" else np.ones(length)
    weights.flags.writeable = False
    return weights


def spectrum(
    samples: NDArray[np.floating],
    window_length: int,
    hop_length: int,
    n_fft: int,
    window: Window = "hann",
) -> NDArray[np.complexfloating]:
    """The spectrum of each frame, `[frames, n_fft // 2 + 1]`.

    Args:
        samples: `[n]`, n at least `window_length`; the result is complex64 for float32, complex128
            for float64.
        window_length: samples in a frame, at most `n_fft`.
        hop_length: samples from one frame to the next.
        n_fft: length of the transform; frames are extended to it by zeros.
        window: what each frame is multiplied by.
    """
    from scipy.fft import rfft

    assert window_length <= n_fft, (window_length, n_fft)
    assert len(samples) >= window_length, (len(samples), window_length)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window_length)[::hop_length]
    weights = window_weights(window, window_length).astype(samples.dtype)
    return rfft(frames * weights, n=n_fft, axis=1)
