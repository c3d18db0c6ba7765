"""Layer norm of frames (Ba et al. 2016) on CPU, with its gradient in closed form.

Some frames at a time, which stay in the processor's cache through all that is done to them.
Paddle's own takes two to four times as long, most of it in the gradient.
"""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.autograd import PyLayer, PyLayerContext

from model_utils.fast.memory import values

Array = NDArray[np.float32]

BLOCK = 1 << 17
"""Values of a block: half a megabyte, three of which stay near the processor. Blocks of a quarter
and of twice that took as long to a third longer, two threads as long as one: they wait for each
other between NumPy's operations."""


class _LayerNorm(PyLayer):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + shift of each valid frame."""

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def forward(
        ctx: PyLayerContext, x: Tensor, scale: Tensor, shift: Tensor, mask: Tensor, epsilon: float
    ) -> Tensor:
        """`x` [..., width], `mask` [...] of 1 and 0, by which frames are multiplied at the end."""
        y = paddle.empty(x.shape)
        rows, found = _rows(x), _rows(y)
        valid, gain, offset = (values(tensor).ravel() for tensor in (mask, scale, shift))
        normalised = np.empty_like(rows)
        inverse = np.empty((len(rows), 1), "float32")

        def normalise(block: slice) -> None:
            here, out = normalised[block], found[block]
            np.subtract(rows[block], rows[block].mean(axis=1, keepdims=True), out=here)
            variance = np.einsum("ij,ij->i", here, here)[:, None] / here.shape[1]
            inverse[block] = 1 / np.sqrt(variance + epsilon)
            here *= inverse[block]
            padding = valid[block] == 0
            here[padding] = inverse[block][padding] = 0
            np.multiply(here, gain, out=out)
            out += offset
            out[padding] = 0

        for block in _blocks(rows):
            normalise(block)
        ctx.save_for_backward(scale)
        ctx.normalised, ctx.inverse, ctx.valid = normalised, inverse, valid
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, scale, shift)]
        return y

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def backward(ctx: PyLayerContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        [scale] = ctx.saved_tensor()
        gain, given = values(scale), _rows(grad)
        grad_x = paddle.empty(grad.shape)
        found = _rows(grad_x)

        def follow(block: slice) -> tuple[Array, Array]:
            here, out = ctx.normalised[block], found[block]
            np.multiply(given[block], ctx.valid[block, None], out=out)
            shift, scale = out.sum(axis=0), np.einsum("ij,ij->j", out, here)
            out *= gain
            along = np.einsum("ij,ij->i", out, here)[:, None] / here.shape[1]
            out -= out.mean(axis=1, keepdims=True)
            out -= here * along
            out *= ctx.inverse[block]
            return shift, scale

        sums = [follow(block) for block in _blocks(found)] or [(0 * gain, 0 * gain)]
        of_shift, of_scale = (
            paddle.to_tensor(np.sum(parts, axis=0)) for parts in zip(*sums, strict=True)
        )
        gradients = zip((grad_x, of_scale, of_shift), ctx.wanted, strict=True)
        return (*(value if wanted else None for value, wanted in gradients), None)


def layer_norm(norm: nn.LayerNorm, x: Tensor, mask: Tensor) -> Tensor:
    """What `norm` makes of each valid frame; 0 in the padding.

    Args:
        norm: whose parameters are used.
        x: float32 [batch, frames, width].
        mask: 1.0 at valid frames, 0.0 in the padding, [batch, frames].

    Returns:
        As `x`.
    """
    return _LayerNorm.apply(x, norm.weight, norm.bias, mask, norm._epsilon)


def _rows(x: Tensor) -> Array:
    """[..., width] -> [rows, width], of the same memory where it is contiguous."""
    return values(x.contiguous()).reshape(-1, x.shape[-1])


def _blocks(rows: Array) -> list[slice]:
    size = max(1, BLOCK // rows.shape[1])
    return [slice(first, first + size) for first in range(0, len(rows), size)]
