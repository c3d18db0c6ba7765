"""Batch norm of convolutions on CPU, over valid frames alone: a channel at a time, in its cache.

It is that of `networks.batch_norm`, whose operations each go through all channels before the next
one begins, and so through memory.
"""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.autograd import PyLayer, PyLayerContext

from model_utils import distributed
from model_utils.fast.memory import values

Array = NDArray[np.float32]


class NormaliseValid(PyLayer):
    """Batch norm over valid frames, then a clip to [0, ceiling] if there is one, then the mask.

    The statistics are those of all processes that train together. The gradient is in closed form
    (Ioffe and Szegedy 2015, section 3).
    """

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
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
        images, valid, number = values(x.contiguous()), values(mask)[:, 0], float(count)
        channels = images.shape[1]
        sums = np.stack([_dot(images[:, channel], valid) for channel in range(channels)])
        mean = _over_ranks(sums) / number
        centred = np.empty_like(images)
        squares = np.empty(channels, "float32")
        for channel in range(channels):
            here = centred[:, channel]
            np.subtract(images[:, channel], mean[channel], out=here)
            here *= valid
            squares[channel] = _dot(here, here)
        variance = _over_ranks(squares) / number
        inverse = 1 / np.sqrt(variance + np.float32(epsilon))
        gain, offset = inverse * values(scale), values(shift)
        y = paddle.empty(x.shape)
        found = values(y)
        for channel in range(channels):
            here = found[:, channel]
            np.multiply(centred[:, channel], gain[channel], out=here)
            here += offset[channel]
            if ceiling is not None:
                np.clip(here, 0.0, ceiling, out=here)
            here *= valid
        ctx.save_for_backward(scale, mask, y)
        ctx.centred, ctx.inverse, ctx.number, ctx.ceiling = centred, inverse, number, ceiling
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, scale, shift)]
        ctx.set_materialize_grads(False)
        return y, paddle.to_tensor(mean), paddle.to_tensor(variance)

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def backward(ctx: PyLayerContext, grad: Tensor, *_: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of x, scale and shift."""
        scale, mask, y = ctx.saved_tensor()
        given, outputs, valid = values(grad.contiguous()), values(y), values(mask)[:, 0]
        grad_x = paddle.empty(grad.shape)
        found = values(grad_x)
        channels = found.shape[1]
        of_shift, of_scale = (np.empty(channels, "float32") for _ in range(2))
        for channel in range(channels):
            here, out = found[:, channel], outputs[:, channel]
            # Where there is a ceiling y is 0 in the padding, so this masks too.
            inside = valid if ctx.ceiling is None else (out > 0.0) & (out < ctx.ceiling)
            np.multiply(given[:, channel], inside, out=here)
            of_shift[channel] = here.sum()
            of_scale[channel] = _dot(here, ctx.centred[:, channel]) * ctx.inverse[channel]
        # Through the statistics each process's input moves the losses of all of them.
        all_shift, all_scale = _over_ranks(np.stack([of_shift, of_scale])) / ctx.number
        step = values(scale) * ctx.inverse
        for channel in range(channels):
            here = found[:, channel]
            here -= all_shift[channel]
            here -= ctx.centred[:, channel] * (ctx.inverse[channel] * all_scale[channel])
            here *= step[channel] * valid
        found_all = (grad_x, paddle.to_tensor(of_scale), paddle.to_tensor(of_shift))
        gradients = zip(found_all, ctx.wanted, strict=True)
        return (*(value if wanted else None for value, wanted in gradients), None, None)


def _dot(a: Array, b: Array) -> np.float32:
    """Sum of the products of two channels, [batch, bins, frames].

    By pairs, and by one thread: the sums of NumPy's BLAS depend on how many it takes.
    """
    return np.float32((a * b).sum())


def _over_ranks(sums: Array) -> Array:
    """Summed over the processes that train together."""
    return distributed.sum_over_ranks(paddle.to_tensor(sums)).numpy()
