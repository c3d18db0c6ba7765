"""Dropout (Srivastava et al. 2014), on CPU drawn by NumPy, whichever the engine.

Paddle draws a value for each element on one thread, 16 ns each; sixteen bits of a generator of
NumPy take a tenth of that. It was 8 % of a step of the quickstart.
"""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.autograd import PyLayer, PyLayerContext

from model_utils.fast.memory import values

_STEPS = 1 << 16
"""Shares that can be told apart."""


class _Dropout(PyLayer):
    """Values that are kept grow by what is lost with the others."""

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def forward(ctx: PyLayerContext, x: Tensor, share: int) -> Tensor:
        x = x.contiguous()
        ctx.kept = _draw(int(x.size), share).reshape(x.shape)
        ctx.gain = np.float32(_STEPS / (_STEPS - share))
        return _thinned(ctx, x)

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def backward(ctx: PyLayerContext, grad: Tensor) -> Tensor:
        return _thinned(ctx, grad.contiguous())


def _draw(count: int, share: int) -> NDArray[np.bool_]:
    """Which of `count` values are kept, where `share` of `_STEPS` are not."""
    # Paddle's own generator says which: what seeds that one seeds this.
    bits = np.random.SFC64(paddle.randint(0, 2**31 - 1, [1]).item())
    return bits.random_raw(count // 4 + 1).view("uint16")[:count] >= share


def _thinned(ctx: PyLayerContext, x: Tensor) -> Tensor:
    y = paddle.empty(x.shape)
    found = values(y)
    np.multiply(values(x), ctx.kept, out=found)
    found *= ctx.gain
    return y


class Dropout(nn.Dropout):
    """Paddle's layer, which sets a share `p` of the values to zero in training; `p` below 1.

    Those that stay are divided by how many do. On CPU `p` is taken to 1/65536.
    """

    def forward(self, x: Tensor) -> Tensor:
        """float32 of any shape -> like x."""
        if not self.training or not self.p:
            return x
        if not x.place.is_cpu_place():
            return super().forward(x)
        return _Dropout.apply(x, min(round(self.p * _STEPS), _STEPS - 1))
