"""One gradient of the parts and processes that share a step, each item weighing the same."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import paddle
from paddle import Tensor
from paddle.nn.clip import _squared_l2_norm as squared_l2_norm

from model_utils import distributed


@dataclass(frozen=True)
class Outcome:
    """What a step came to, the same on every process."""

    loss: float
    """Mean over all items of the step; NaN where there were none."""
    items: int
    norm: float
    """Euclidean norm of the mean gradient, before clipping."""
    scale: float
    """What the losses were multiplied with, and the gradients still are."""
    is_asked_to_stop: bool
    """Whether any process was."""

    @property
    def is_finite(self) -> bool:
        """Whether nothing overflowed."""
        return not self.items or (math.isfinite(self.loss) and math.isfinite(self.norm))

    @property
    def is_good(self) -> bool:
        """Whether the weights can follow it."""
        return self.items > 0 and self.is_finite

    @property
    def problem(self) -> str:
        """What is not finite."""
        return "a gradient is not finite" if math.isfinite(self.loss) else f"loss is {self.loss}"


@paddle.no_grad()
def combine(
    parameters: Iterable[Tensor], loss: float, items: int, scale: float, is_asked_to_stop: bool
) -> Outcome:
    """Sum the gradients of all processes in place, in one reduction with what else they share.

    Args:
        parameters: with gradients of `scale` times a sum of losses; one that has none gets zeros,
            for another process may have some.
        loss: sum over the items of this process.
        items: how many.
        scale: what the losses were multiplied with.
        is_asked_to_stop: whether this process was.
    """
    trained = [parameter for parameter in parameters if not parameter.stop_gradient]
    if distributed.world_size() > 1:
        gradients = [p.grad if p.grad is not None else paddle.zeros_like(p) for p in trained]
        shared = paddle.to_tensor([loss, items, is_asked_to_stop], dtype="float32")
        flat = paddle.concat([*(gradient.flatten() for gradient in gradients), shared])
        distributed.sum_over_ranks(flat)
        *pieces, shared = paddle.split(flat, [*(int(g.size) for g in gradients), 3])
        for parameter, piece in zip(trained, pieces, strict=True):
            parameter.grad = piece.reshape(parameter.shape)
        loss, total, asked = (float(value) for value in shared.numpy())
        items, is_asked_to_stop = round(total), asked > 0
    # `paddle.dot` adds all squares of a matrix one after the other: 0.6 % short in nine million.
    squares = [squared_l2_norm(p.grad) for p in trained if p.grad is not None]
    norm = math.sqrt(float(paddle.add_n(squares).sum())) if squares else 0.0
    mean = loss / items if items else math.nan
    return Outcome(mean, items, norm / (max(1, items) * scale), scale, is_asked_to_stop)


@paddle.no_grad()
def scale(parameters: Iterable[Tensor], factor: float) -> None:
    """Multiply every gradient by `factor`, in place."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.scale_(factor)
