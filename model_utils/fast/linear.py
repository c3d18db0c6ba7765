"""A linear layer on CPU: one product forward and two backward, the bias on the way."""

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.autograd import PyLayer, PyLayerContext

from model_utils.fast.memory import values
from model_utils.fast.mkl import library, multiply


class _Linear(PyLayer):
    """y = x @ weight + bias."""

    @staticmethod
    def forward(ctx: PyLayerContext, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """`x` [..., inputs], `weight` [inputs, outputs], `bias` [outputs]."""
        x = x.contiguous()
        y = paddle.empty([*x.shape[:-1], weight.shape[1]])
        rows, found = (values(tensor).reshape(-1, tensor.shape[-1]) for tensor in (x, y))
        found[:] = values(bias)
        multiply(rows, values(weight), found, add=True)
        ctx.save_for_backward(x, weight)
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, weight, bias)]
        return y

    @staticmethod
    def backward(ctx: PyLayerContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensor()
        grad = grad.contiguous()
        rows, given = (values(tensor).reshape(-1, tensor.shape[-1]) for tensor in (x, grad))
        found = [paddle.empty(shape) for shape in (x.shape, weight.shape, weight.shape[1:])]
        of_x, of_weight, of_bias = map(values, found)
        is_wanted_x, is_wanted_weight, is_wanted_bias = ctx.wanted
        if is_wanted_x:
            multiply(given, values(weight).T, of_x.reshape(rows.shape))
        if is_wanted_weight:
            multiply(rows.T, given, of_weight)
        if is_wanted_bias:
            multiply(np.ones((1, len(given)), "float32"), given, of_bias[None])
        return tuple(
            gradient if wanted else None for gradient, wanted in zip(found, ctx.wanted, strict=True)
        )


class Linear(nn.Linear):
    """Paddle's layer with its parameters, computed here; with more rows than a few faster."""

    def forward(self, x: Tensor) -> Tensor:
        """float32 [..., inputs] -> [..., outputs]."""
        return _Linear.apply(x, self.weight, self.bias)


def is_available() -> bool:
    """Whether `Linear` can be used here."""
    return library() is not None
