"""Frames to the images that convolutions see, and back, on CPU: each in one copy.

Paddle's operations for either are five to twenty copies, and the gradient of its cut alone takes
longer than both copies of `frames_first`, forward and backward.
"""

import numpy as np
import paddle
from paddle import Tensor
from paddle.autograd import PyLayer, PyLayerContext

from model_utils.fast.memory import values


class _FramesFirst(PyLayer):
    @staticmethod
    def forward(ctx: PyLayerContext, x: Tensor, frames: int) -> Tensor:
        batch, channels, bins, _ = ctx.shape = x.shape
        y = paddle.empty([batch, frames, channels * bins])
        images = values(x.contiguous())[..., :frames]
        values(y).reshape(batch, frames, channels, bins)[:] = images.transpose([0, 3, 1, 2])
        return y

    @staticmethod
    def backward(ctx: PyLayerContext, grad: Tensor) -> Tensor:
        batch, channels, bins, _ = ctx.shape
        frames = grad.shape[1]
        grad_x = paddle.empty(ctx.shape)
        images = values(grad_x)
        rows = values(grad.contiguous()).reshape(batch, frames, channels, bins)
        images[..., :frames] = rows.transpose([0, 2, 3, 1])
        images[..., frames:] = 0
        return grad_x


def frames_first(x: Tensor, frames: int) -> Tensor:
    """The first `frames` of images, each as one row.

    Args:
        x: float32 [batch, channels, bins, frames or more].
        frames: that are kept.

    Returns:
        [batch, frames, channels * bins].
    """
    return _FramesFirst.apply(x, frames)


def time_taps(features: Tensor, lengths: Tensor, frames: int, taps: int, stride: int) -> Tensor:
    """As `networks.conv.time_taps` of valid frames alone; no gradient reaches the features.

    Args:
        features: float32 [batch, frames, bins].
        lengths: valid frames, int64 [batch].
        frames: at least those of the features, which are filled up with zeros.
        taps: frames that a kernel covers, odd.
        stride: from one kernel to the next.

    Returns:
        [batch, taps, bins, frames'].
    """
    assert features.stop_gradient, "the features of the fast engine have no gradient"
    batch, _, bins = features.shape
    count = (frames - 1) // stride + 1
    padded = np.zeros((batch, frames + taps, bins), "float32")
    given = values(features.contiguous())
    for item, length in enumerate(lengths.numpy()):
        padded[item, taps // 2 : taps // 2 + length] = given[item, :length]
    step, along, across = padded.strides
    view = np.lib.stride_tricks.as_strided(
        padded, (batch, taps, bins, count), (step, along, across, stride * along)
    )
    images = paddle.empty(view.shape)
    values(images)[:] = view
    return images
