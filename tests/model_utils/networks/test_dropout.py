"""Dropout: its share, its gradient, and what it depends on."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle import Tensor

from model_utils.networks.dropout import Dropout

WIDTH = 300


def thinned(layer: Dropout, shape: tuple[int, ...], seed: int) -> tuple[Tensor, Tensor]:
    """Output for ones, and the gradient of its sum."""
    paddle.seed(seed)
    x = paddle.ones(shape)
    x.stop_gradient = False
    y = layer(x)
    y.sum().backward()
    return y, x.grad


@settings(max_examples=25, deadline=None)
@given(p=st.floats(0.01, 0.99), seed=st.integers(0, 2**31 - 1))
def test_a_share_becomes_zero_and_the_mean_stays(p: float, seed: int) -> None:
    y, gradient = thinned(Dropout(p), (WIDTH, WIDTH), seed)
    found = y.numpy()
    kept = found != 0
    # Six standard deviations of a binomial.
    assert abs(kept.mean() - (1 - p)) < 6 * np.sqrt(p * (1 - p) / kept.size) + 1 / 65536
    assert np.allclose(found[kept], 1 / (1 - p), rtol=2e-3)  # 1/65536 of 0.01
    assert np.array_equal(gradient.numpy(), found)


def test_neighbours_and_layers_are_drawn_independently() -> None:
    layer = Dropout(0.5)
    paddle.seed(1)
    first, second = (layer(paddle.ones([WIDTH, WIDTH])).numpy() - 1 for _ in range(2))
    limit = 6 / WIDTH  # six standard deviations of a mean of WIDTH**2 signs
    assert abs((first * second).mean()) < limit
    assert abs((first[:, 1:] * first[:, :-1]).mean()) < limit
    assert abs((first[1:] * first[:-1]).mean()) < limit


def test_paddles_seed_decides() -> None:
    layer = Dropout(0.3)
    a, b, c = (thinned(layer, (7, 5, 3), seed)[0].numpy() for seed in (4, 4, 5))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


@pytest.mark.parametrize("shape", [(1,), (3, 1), (2, 3, 5), (0, 4)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    layer = Dropout(0.5)
    paddle.seed(2)
    assert tuple(layer(paddle.ones(shape)).shape) == shape


def test_in_evaluation_and_at_zero_nothing_happens() -> None:
    x = paddle.rand([4, 4])
    evaluated = Dropout(0.9)
    evaluated.eval()
    assert evaluated(x) is x and Dropout(0.0)(x) is x


def test_a_share_next_to_one_stays_finite() -> None:
    y = Dropout(1 - 1e-7)(paddle.ones([100]))
    assert np.isfinite(y.numpy()).all()
