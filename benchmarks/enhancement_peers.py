"""Classical speech enhancement by other libraries, for `benchmarks.enhancement`.

Runs in an environment that has nothing of this package but this file and `answering`.
"""

import numpy as np

from benchmarks.answering import answer

_DELAY = 256
"""Samples by which the methods of pyroomacoustics come late: half of their transform."""


def enhance(method: str, noisy: str, path: str, rate: int) -> None:
    """Write what `method` makes of the samples `[n]` in a file (npy): `[n]` again."""
    samples = np.load(noisy).astype(np.float64)
    if method == "spectral gating":
        import noisereduce

        found = noisereduce.reduce_noise(samples, rate, stationary=False, n_fft=512)
    elif method == "spectral subtraction":
        from pyroomacoustics.denoise import apply_spectral_sub

        padded = np.pad(samples, (0, 2 * _DELAY))
        late = apply_spectral_sub(padded, nfft=512, db_reduc=10, lookback=12, beta=20, alpha=3)
        found = late[_DELAY:]
    else:
        from pyroomacoustics.denoise import apply_iterative_wiener

        padded = np.pad(samples, (0, 2 * _DELAY))
        late = apply_iterative_wiener(padded, frame_len=512, lpc_order=20, iterations=2)
        found = late[_DELAY:]
    found = np.pad(found, (0, max(0, len(samples) - len(found))))[: len(samples)]
    np.save(path, found.astype(np.float32))


if __name__ == "__main__":
    answer(enhance=enhance)
