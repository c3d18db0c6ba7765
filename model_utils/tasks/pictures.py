"""What a score shows beside its number."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RANGE_DB = 80.0
"""From black to white; what is fainter is black."""
GAP = 4
"""Pixels between two spectrograms."""


def spectrograms(magnitudes: Sequence[NDArray[np.float32]]) -> NDArray[np.uint8]:
    """Magnitudes as a picture, one below the other, low frequencies down.

    Args:
        magnitudes: float32 [frames, bins] each, of equal shapes; the largest of all is the
            brightest.

    Returns:
        uint8 [height, width, 3].
    """
    from matplotlib import colormaps

    top = max(float(one.max(initial=0.0)) for one in magnitudes) or 1.0
    rows: list[NDArray[np.float64]] = []
    for one in magnitudes:
        decibels = 20 * np.log10(np.maximum(one / top, 10 ** (-RANGE_DB / 20)))
        rows += [1 + decibels.T[::-1] / RANGE_DB, np.ones((GAP, len(one)))]
    colours = colormaps["magma"](np.concatenate(rows[:-1]), bytes=True)
    return np.ascontiguousarray(colours[..., :3])
