"""Losses of networks that compute masks: over valid frames, an item at a time."""

import paddle
from paddle import Tensor

from model_utils.settings import MaskError


def mean_error(found: Tensor, wanted: Tensor, frames: Tensor, error: MaskError) -> Tensor:
    """The mean error of each item over its valid frames and their bins, [batch].

    Args:
        found: [batch, frames, bins].
        wanted: likewise.
        frames: valid frames, int64 [batch]; what lies behind them counts nothing.
        error: l1, the absolute difference, or mse, its square.
    """
    difference = found - wanted
    errors = difference.abs() if error == "l1" else difference.square()
    valid = paddle.arange(found.shape[1]).unsqueeze(0) < frames.unsqueeze(1)
    sums = (errors.mean(axis=2) * valid.astype(errors.dtype)).sum(axis=1)
    return sums / frames.astype(errors.dtype)
