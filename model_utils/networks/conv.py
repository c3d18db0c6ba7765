"""Strided convolutions over (frequency, time), with batch statistics of valid frames alone.

Padded frames never count: they are zero before every convolution, as silence beyond the clip's end
would be, and they are left out of the batch statistics. With them in, an utterance's output would
depend on its batch mates, and training and evaluation would drift apart.
"""

import paddle
from paddle import Tensor, nn
from paddle.autograd import PyLayer, PyLayerContext
from paddle.nn import functional

from model_utils import distributed
from model_utils.networks.sizes import (
    CEILING,
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


def _affine(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`x * scale + shift` per channel; Paddle's batch norm kernel is its fastest way on CPU."""
    zeros, ones = paddle.zeros_like(scale), paddle.ones_like(scale)
    return functional.batch_norm(x, zeros, ones, scale, shift, training=False, epsilon=0.0)


class _NormaliseValid(PyLayer):
    """Batch norm over valid frames, then a clip to [0, ceiling] if there is one, then the mask.

    The statistics are those of all processes that train together. In one layer with its gradient in
    closed form (Ioffe and Szegedy 2015, section 3): written with broadcast operations it takes
    several times as long, most of it in their gradients.
    """

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        mask: Tensor,
        count: Tensor,
        epsilon: float,
        ceiling: float | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """`x` [batch, channels, bins, frames], mask [batch, 1, 1, frames], count [1]."""
        # Paddle's product with a broadcast operand takes 30 times as long as one of equal shapes.
        mask = mask.expand(x.shape)
        mean = distributed.sum_over_ranks(paddle.sum(x * mask, axis=[0, 2, 3])) / count
        centred = _affine(x, paddle.ones_like(mean), -mean).multiply_(mask)
        squares = paddle.sum(centred * centred, axis=[0, 2, 3])
        variance = distributed.sum_over_ranks(squares) / count
        inverse = paddle.rsqrt(variance + epsilon)
        y = _affine(centred, inverse * scale, shift)
        if ceiling is not None:
            y = y.clip_(0.0, ceiling)
        y = y.multiply_(mask)
        ctx.save_for_backward(centred, inverse, scale, mask, count, y)
        ctx.ceiling = ceiling
        ctx.set_materialize_grads(False)
        return y, mean, variance

    @staticmethod
    def backward(ctx: PyLayerContext, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        centred, inverse, scale, mask, count, y = ctx.saved_tensor()
        if ctx.ceiling is None:
            grad = grad * mask
        else:  # y is 0 in the padding, so this masks too
            inside = paddle.logical_and(y > 0.0, y < ctx.ceiling)
            grad = grad * inside.astype(grad.dtype)
        grad_shift = paddle.sum(grad, axis=[0, 2, 3])
        grad_scale = paddle.sum(grad * centred, axis=[0, 2, 3]) * inverse
        step = scale * inverse
        # Through the statistics each process's input moves the losses of all of them.
        all_shift, all_scale = distributed.sum_over_ranks(paddle.stack([grad_shift, grad_scale]))
        grad_x = _affine(grad, step, -step * all_shift / count).multiply_(mask)
        along = _affine(centred, -step * inverse * all_scale / count, paddle.zeros_like(step))
        return grad_x.add_(along), grad_scale, grad_shift, None, None


class ValidBatchNorm(nn.Layer):
    """Batch normalisation whose statistics see valid frames alone, with an optional clipped ReLU.

    Args:
        channels: size of axis 1.
        ceiling: upper bound of the clipped ReLU behind it, None for no activation.
        momentum: weight of the past in the running mean and variance.
    """

    def __init__(
        self,
        channels: int,
        ceiling: float | None = CEILING,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        self.scale = self.create_parameter(
            [channels], default_initializer=nn.initializer.Constant(1.0)
        )
        self.shift = self.create_parameter([channels], is_bias=True)
        self.register_buffer("mean", paddle.zeros([channels]))
        self.register_buffer("variance", paddle.ones([channels]))
        self.ceiling, self.momentum, self.epsilon = ceiling, momentum, epsilon

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, channels, bins, frames], mask [batch, 1, 1, frames] of 1 and 0 -> like x."""
        if self.training:
            count = distributed.sum_over_ranks(paddle.sum(mask) * x.shape[2]).clip(min=1.0)
            y, mean, variance = _NormaliseValid.apply(
                x, self.scale, self.shift, mask, count, self.epsilon, self.ceiling
            )
            with paddle.no_grad():
                for running, batch in ((self.mean, mean), (self.variance, variance)):
                    moved = self.momentum * running + (1 - self.momentum) * batch
                    # A step whose loss overflows is skipped; this is its only trace otherwise.
                    running.set_value(paddle.where(paddle.isfinite(moved), moved, running))
            return y
        inverse = paddle.rsqrt(self.variance + self.epsilon) * self.scale
        y = _affine(x, inverse, self.shift - self.mean * inverse)
        return (y if self.ceiling is None else paddle.clip(y, 0.0, self.ceiling)) * mask


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
        compile_convolutions: run each convolution as a region compiled for oneDNN.
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
            self.norms.append(ValidBatchNorm(channels))

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """features [batch, frames, bins], lengths [batch] -> [batch, frames', width], [batch]."""
        frames = features.shape[1]
        x = features * frame_mask(lengths, frames).unsqueeze(-1)
        if self.compile_convolutions:
            x = functional.pad(x, [0, bucket(frames) - frames], data_format="NLC")
        x = time_taps(x)
        for layer in range(self.num_layers):
            lengths = output_size(lengths, KERNELS[layer][1], STRIDES[layer][1])
            x = self.convolutions[layer](x)
            x = self.norms[layer](x, frame_mask(lengths, x.shape[3]).unsqueeze([1, 2]))
        if self.compile_convolutions:
            x = x[:, :, :, : output_frames(frames, self.num_layers)]
        return x.transpose([0, 3, 1, 2]).flatten(2), lengths
