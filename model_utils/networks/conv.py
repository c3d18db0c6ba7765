"""Strided convolutions over (frequency, time).

Padded frames never count: they are zero before every convolution, as silence beyond the clip's end
would be, and they are left out of the batch statistics (`batch_norm`).
"""

import paddle
from paddle import Tensor, nn
from paddle.nn import functional

from model_utils.fast import images
from model_utils.networks.batch_norm import ValidBatchNorm
from model_utils.networks.sizes import (
    KERNELS,
    STRIDES,
    output_bins,
    output_frames,
    output_size,
)


def time_taps(features: Tensor) -> Tensor:
    """Each output frame of the first convolution with all frames that its kernel covers.

    With them as channels the kernel needs to move over the bins alone. The sums are the same, and
    oneDNN is slow with one input channel: 32 kernels, forward and backward, took 207 ms with one
    thread and 87 with three, so 89 and 47, this copy included; 8 kernels 51 and 24, so 30 and 21.
    The plain engine takes up to a sixth longer so.

    Args:
        features: [batch, frames, bins].

    Returns:
        [batch, taps, bins, frames'], beyond both ends 0.
    """
    taps, stride = KERNELS[0][1], STRIDES[0][1]
    count = output_size(features.shape[1], taps, stride)
    padded = functional.pad(features, [taps // 2, taps // 2], data_format="NLC")
    padded = padded.transpose([0, 2, 1]).unsqueeze(1)
    last = stride * (count - 1) + 1
    return paddle.concat([padded[..., tap : tap + last : stride] for tap in range(taps)], axis=1)


class Convolution(nn.Layer):
    """One convolution without bias (the normalisation behind it has one).

    The first one gets `time_taps`. The clip changes nothing: oneDNN's compiled region has to end in
    an operation of its own, a bare convolution there ends in a segmentation fault (Paddle 3.3.1).
    """

    def __init__(self, channels: int, layer: int) -> None:
        super().__init__()
        kernel, stride = KERNELS[layer], STRIDES[layer]
        self.in_channels = channels
        if layer == 0:
            self.in_channels, kernel, stride = kernel[1], (kernel[0], 1), (stride[0], 1)
        self.conv = nn.Conv2D(
            self.in_channels,
            channels,
            kernel,
            stride=stride,
            padding=(kernel[0] // 2, kernel[1] // 2),
            bias_attr=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """[batch, in_channels, bins, frames] -> [batch, channels, bins', frames']."""
        return paddle.clip(self.conv(x), -1e30, 1e30)


def compiled(convolution: Convolution, bins: int) -> nn.Layer:
    """`convolution` as a region of its own compiled for oneDNN; any batch, any number of frames.

    Brings something only where `runtime.prepare` set Paddle's flag before the import. Without the
    input's shape every new length would be traced again.
    """
    shape = [None, convolution.in_channels, bins, None]
    spec = paddle.static.InputSpec(shape, dtype="float32")
    return paddle.jit.to_static(convolution, full_graph=True, input_spec=[spec])


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """1.0 at valid frames, 0.0 in the padding; [batch] -> float32 [batch, frames]."""
    return (paddle.arange(frames) < lengths.astype("int64").unsqueeze(1)).astype("float32")


def bucket(frames: int) -> int:
    """`frames` rounded up to one of eight sizes an octave: 65 to 72, 130 to 144, 1001 to 1024.

    Compiled regions keep memory for every new size (10 MB with 8 channels, more with 32) until the
    process ends. With sizes of their own for every batch a run would grow without end; with these
    it is flat after the first epoch, and at most an eighth of the frames is padding.
    """
    step = max(1, 1 << max(0, frames.bit_length() - 4))
    return -(-frames // step) * step


class ConvolutionStack(nn.Layer):
    """One to three convolutions, each with batch norm and clipped ReLU.

    Args:
        num_bins: feature bins of a frame.
        channels: channels of every layer.
        num_layers: 1 to 3.
        compile_convolutions: build for the fast engine: each convolution a region compiled for
            oneDNN, and `model_utils.fast` around it, which has no gradient of the features.
    """

    def __init__(
        self, num_bins: int, channels: int, num_layers: int, compile_convolutions: bool = False
    ) -> None:
        super().__init__()
        self.num_layers = num_layers
        self.compile_convolutions = compile_convolutions
        self.output_width = channels * output_bins(num_bins, num_layers)
        self.convolutions = nn.LayerList()
        self.norms = nn.LayerList()
        for layer in range(num_layers):
            convolution: nn.Layer = Convolution(channels, layer)
            if compile_convolutions:
                convolution = compiled(convolution, output_bins(num_bins, layer))
            self.convolutions.append(convolution)
            self.norms.append(ValidBatchNorm(channels, fast=compile_convolutions))

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """features [batch, frames, bins], lengths [batch] -> [batch, frames', width], [batch]."""
        frames = features.shape[1]
        if self.compile_convolutions:
            x = images.time_taps(features, lengths, bucket(frames), KERNELS[0][1], STRIDES[0][1])
        else:
            x = time_taps(features * frame_mask(lengths, frames).unsqueeze(-1))
        for layer in range(self.num_layers):
            lengths = output_size(lengths, KERNELS[layer][1], STRIDES[layer][1])
            x = self.convolutions[layer](x)
            x = self.norms[layer](x, frame_mask(lengths, x.shape[3]).unsqueeze([1, 2]))
        if self.compile_convolutions:
            return images.frames_first(x, output_frames(frames, self.num_layers)), lengths
        return x.transpose([0, 3, 1, 2]).flatten(2), lengths
