"""Gradients of parts are those of the whole, each item weighing the same."""

import math

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn

from model_utils.settings import OptimisationSettings
from model_utils.trainer import gradients
from model_utils.trainer.gradients import Outcome
from model_utils.trainer.optimisation import kept_share


def network() -> nn.Layer:
    paddle.seed(3)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))


def losses(layer: nn.Layer, x: np.ndarray) -> Tensor:
    return layer(paddle.to_tensor(x)).square().flatten()


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(8).normal(0, 1, (count, 4)).astype("float32")


@pytest.mark.parametrize("cuts", [[8, 16, 24], [1, 31], [20]])
@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_parts_equal_the_whole(cuts: list[int], scale: float) -> None:
    whole, x = network(), rows(32)
    losses(whole, x).mean().backward()
    layer = network()
    total = 0.0
    for part in np.split(x, cuts):
        loss = losses(layer, part).sum()
        (loss * scale).backward()
        total += float(loss)
    outcome = gradients.combine(layer.parameters(), total, 32, scale, False)
    expected = [p.grad.numpy() for p in whole.parameters()]
    norm = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in expected))
    assert outcome.norm == pytest.approx(norm, rel=1e-5)
    assert outcome.loss == pytest.approx(float(losses(whole, x).mean()), rel=1e-6)
    assert outcome.items == 32 and outcome.is_good and not outcome.is_asked_to_stop
    gradients.scale(layer.parameters(), 1 / (outcome.items * scale))
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        assert np.allclose(parameter.grad.numpy(), gradient, rtol=1e-4, atol=1e-7)


def test_clipping_leaves_a_gradient_of_that_norm() -> None:
    layer = network()
    (losses(layer, rows(3)).sum() * 50).backward()
    outcome = gradients.combine(layer.parameters(), 1.0, 1, 1.0, False)
    settings = OptimisationSettings(grad_clip=outcome.norm / 7)
    gradients.scale(layer.parameters(), kept_share(settings, outcome.norm))
    squares = sum(float(np.square(p.grad.numpy()).sum()) for p in layer.parameters())
    assert math.sqrt(squares) == pytest.approx(outcome.norm / 7, rel=1e-5)
    assert kept_share(settings, outcome.norm / 8) == 1.0
    assert kept_share(OptimisationSettings(grad_clip=None), 1e9) == 1.0


def test_the_norm_of_a_large_matrix_is_exact() -> None:
    parameter = paddle.create_parameter([3000, 2000], "float32")
    value = np.random.default_rng(7).standard_normal(parameter.shape).astype("float32")
    parameter.grad = paddle.to_tensor(value)
    norm = gradients.combine([parameter], 1.0, 1, 1.0, False).norm
    assert norm == pytest.approx(np.linalg.norm(value.astype(np.float64)), rel=1e-6)


def test_what_is_not_trained_is_left_alone() -> None:
    layer = network()
    layer[0].weight.stop_gradient = True
    losses(layer, rows(3)).sum().backward()
    outcome = gradients.combine(layer.parameters(), 1.0, 3, 1.0, True)
    gradients.scale(layer.parameters(), 2.0)
    assert layer[0].weight.grad is None and outcome.is_asked_to_stop


@pytest.mark.parametrize(
    ("outcome", "good", "finite"),
    [
        (Outcome(1.0, 4, 2.0, 1.0, False), True, True),
        (Outcome(math.nan, 4, 2.0, 1.0, False), False, False),
        (Outcome(1.0, 4, math.inf, 1.0, False), False, False),
        (Outcome(math.nan, 0, 0.0, 1.0, False), False, True),
    ],
)
def test_what_can_be_followed(outcome: Outcome, good: bool, finite: bool) -> None:
    assert (outcome.is_good, outcome.is_finite) == (good, finite)


def test_without_any_gradient_there_is_no_norm() -> None:
    outcome = gradients.combine(network().parameters(), 0.0, 0, 1.0, False)
    assert outcome.items == 0 and not outcome.is_good and outcome.norm == 0.0
