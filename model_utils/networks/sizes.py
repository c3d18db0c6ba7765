"""Sizes of the recogniser's convolutions and of what they leave; importable without Paddle.

Those of Deep Speech 2 (Amodei et al. 2016, table 1): 41x11 with stride 2x3, then 21x11 with stride
2x1.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paddle import Tensor

KERNELS = ((41, 11), (21, 11), (21, 11))
STRIDES = ((2, 3), (2, 1), (2, 1))
CEILING = 20.0
"""Upper bound of the clipped ReLU."""


def output_size(size: "int | Tensor", kernel: int, stride: int) -> "int | Tensor":
    """Length of a convolution's output, its input padded by kernel // 2 at both ends."""
    return (size + 2 * (kernel // 2) - kernel) // stride + 1


def output_bins(num_bins: int, num_layers: int) -> int:
    """Frequency bins that `num_layers` convolutions leave of `num_bins`."""
    for (kernel, _), (stride, _) in zip(KERNELS[:num_layers], STRIDES, strict=False):
        num_bins = int(output_size(num_bins, kernel, stride))
    return num_bins


def output_frames(frames: int, num_layers: int) -> int:
    """Frames that `num_layers` convolutions leave of `frames`."""
    for (_, kernel), (_, stride) in zip(KERNELS[:num_layers], STRIDES, strict=False):
        frames = int(output_size(frames, kernel, stride))
    return frames
