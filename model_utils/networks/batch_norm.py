"""Batch normalisation with the statistics of valid frames alone.

With padded frames in them an utterance's output would depend on its batch mates, and training and
evaluation would drift apart.
"""

import paddle
from paddle import Tensor, nn
from paddle.autograd import PyLayer, PyLayerContext
from paddle.nn import functional

from model_utils import distributed
from model_utils.fast import batch_norm
from model_utils.networks.sizes import CEILING


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
        epsilon: added to the variance.
        fast: train by `model_utils.fast`.
    """

    def __init__(
        self,
        channels: int,
        ceiling: float | None = CEILING,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        fast: bool = False,
    ) -> None:
        super().__init__()
        self.scale = self.create_parameter(
            [channels], default_initializer=nn.initializer.Constant(1.0)
        )
        self.shift = self.create_parameter([channels], is_bias=True)
        self.register_buffer("mean", paddle.zeros([channels]))
        self.register_buffer("variance", paddle.ones([channels]))
        self.ceiling, self.momentum, self.epsilon = ceiling, momentum, epsilon
        self.normalise = batch_norm.NormaliseValid if fast else _NormaliseValid

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, channels, bins, frames], mask [batch, 1, 1, frames] of 1 and 0 -> like x."""
        if self.training:
            count = distributed.sum_over_ranks(paddle.sum(mask) * x.shape[2]).clip(min=1.0)
            y, mean, variance = self.normalise.apply(
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
