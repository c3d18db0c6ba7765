"""Layers of the fast engine: against those of Paddle with the same parameters."""

from collections.abc import Callable

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle import Tensor, nn

from model_utils import runtime
from model_utils.fast import images, layer_norm, mkl
from model_utils.fast.linear import Linear
from model_utils.networks import conv
from model_utils.networks.rnn import MaskedLayerNorm

LENGTHS = [9, 1, 6, 0]


def both_ways(
    layer: nn.Layer, compute: Callable[[Tensor], Tensor], x: np.ndarray
) -> dict[str, np.ndarray]:
    """Output and all gradients of a sum with random weights."""
    given_ = paddle.to_tensor(x, stop_gradient=False)
    y = compute(given_)
    weights = np.random.default_rng(6).standard_normal(y.shape).astype("float32")
    (y * paddle.to_tensor(weights)).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in layer.named_parameters() if p.grad is not None}
    return {"output": y.numpy(), "input": given_.grad.numpy(), **gradients}


def agree(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() < 1e-5 * max(1.0, np.abs(value).max()), name


def frames(width: int, padding: float = 0.0) -> np.ndarray:
    """[batch, frames, width], away from zero."""
    x = np.random.default_rng(1).normal(3.0, 2.0, (len(LENGTHS), max(LENGTHS), width))
    valid = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    return np.where(valid[:, :, None], x, padding).astype("float32")


@pytest.mark.parametrize("width", [1, 5, 700])
def test_layer_norm(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, fast = (MaskedLayerNorm(width, fast) for fast in (False, True))
    random = np.random.default_rng(2)
    for parameter in plain.parameters():
        parameter.set_value(random.standard_normal(parameter.shape).astype("float32"))
    fast.set_state_dict(plain.state_dict())
    mask = conv.frame_mask(paddle.to_tensor(LENGTHS), max(LENGTHS))
    for size in (layer_norm.BLOCK, 2 * width):  # all frames at once, two at a time
        monkeypatch.setattr(layer_norm, "BLOCK", size)
        for norm in (plain, fast):
            norm.clear_gradients()
        expected, found = (
            both_ways(norm, lambda x, norm=norm: norm(x, mask), frames(width))
            for norm in (plain, fast)
        )
        agree(found, expected)
    fast.clear_gradients()
    agree(both_ways(fast, lambda x: fast(x, mask), frames(width, np.nan)), found)


@pytest.mark.skipif(bool(runtime.known_wrong()), reason="Paddle 2 has no gradients of nothing")
def test_layer_norm_of_no_frames() -> None:
    norm = MaskedLayerNorm(5, fast=True)
    x = paddle.zeros([0, 3, 5])
    x.stop_gradient = False
    norm(x, paddle.zeros([0, 3])).sum().backward()
    assert not norm.norm.weight.grad.numpy().any() and x.grad.shape == [0, 3, 5]


def test_layer_norm_with_frozen_parameters() -> None:
    norm = MaskedLayerNorm(5, fast=True)
    norm.norm.weight.stop_gradient = True
    norm(paddle.ones([2, 3, 5]), paddle.ones([2, 3])).sum().backward()
    assert norm.norm.weight.grad is None and norm.norm.bias.grad.numpy().tolist() == [6.0] * 5


@pytest.mark.skipif(mkl.library() is None, reason="this Paddle has no MKL")
@pytest.mark.parametrize("frozen", [(), ("weight",), ("bias",)])
@pytest.mark.parametrize("rows", [(), (1,), (4, 9), (0, 3)])
def test_linear(rows: tuple[int, ...], frozen: tuple[str, ...]) -> None:
    plain, fast = nn.Linear(5, 3), Linear(5, 3)
    fast.set_state_dict(plain.state_dict())
    for name in frozen:
        for layer in (plain, fast):
            getattr(layer, name).stop_gradient = True
    x = np.random.default_rng(3).standard_normal((*rows, 5)).astype("float32")
    if not x.size:
        assert fast(paddle.to_tensor(x)).shape == [*rows, 3]
        return
    agree(*(both_ways(layer, layer, x) for layer in (fast, plain)))
    with paddle.no_grad():
        turned = paddle.to_tensor(x.T.copy()).transpose(range(x.ndim)[::-1])
        assert np.allclose(fast(turned).numpy(), plain(turned).numpy(), atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=4),
    st.integers(0, 30),
    st.integers(1, 5),
)
def test_time_taps(lengths: list[int], more: int, bins: int) -> None:
    size = max(1, *lengths)
    features = np.random.default_rng(4).standard_normal((len(lengths), size, bins))
    features = features.astype("float32")
    valid = np.arange(size) < np.array(lengths)[:, None]
    masked = np.pad(features * valid[:, :, None], [(0, 0), (0, more), (0, 0)])
    expected = conv.time_taps(paddle.to_tensor(masked)).numpy()
    found = images.time_taps(
        paddle.to_tensor(features), paddle.to_tensor(lengths), size + more, 11, 3
    )
    assert np.array_equal(found.numpy(), expected)


@pytest.mark.parametrize("kept", [7, 5, 1])
def test_frames_first(kept: int) -> None:
    x = np.random.default_rng(5).standard_normal((2, 3, 4, 7)).astype("float32")
    own, paddles = (
        both_ways(nn.Layer(), compute, x)
        for compute in (
            lambda x: images.frames_first(x, kept),
            lambda x: x[..., :kept].transpose([0, 3, 1, 2]).flatten(2),
        )
    )
    agree(own, paddles)
