"""The GRU of the fast engine: against Paddle's layer, and against the cell's definition."""

from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from model_utils.fast import gru as module
from model_utils.fast import mkl
from model_utils.fast.gru import GRU, SMALLEST, is_faster
from model_utils.networks.rnn import RecurrentStack
from model_utils.settings import NetworkSettings

if mkl.library() is None:
    pytest.skip("this Paddle has no MKL", allow_module_level=True)

WIDTH, UNITS = 5, 3
LENGTHS = [[9, 1, 6], [7], [4, 4], [2, 0, 9], [3, 5, 5, 5, 8]]


def build(direction: str, units: int = UNITS) -> GRU:
    paddle.seed(1)
    return GRU(WIDTH, units, direction=direction)


def gru(layer: nn.GRU, x: paddle.Tensor, lengths: paddle.Tensor) -> paddle.Tensor:
    """What the layer computes."""
    return layer(x, sequence_length=lengths)[0]


def batch(lengths: list[int], frames: int = 9) -> np.ndarray:
    """Features, 0 in the padding."""
    x = np.random.default_rng(5).standard_normal((len(lengths), frames, WIDTH))
    return (x * (np.arange(frames) < np.array(lengths)[:, None])[:, :, None]).astype("float32")


def results(layer: nn.GRU, features: np.ndarray, lengths: list[int]) -> dict:
    """Output and all gradients of a sum with random weights."""
    x = paddle.to_tensor(features, stop_gradient=False)
    given = paddle.to_tensor(lengths)
    y = gru(layer, x, given)
    weights = np.random.default_rng(6).standard_normal(y.shape).astype("float32")
    layer.clear_gradients()
    (y * paddle.to_tensor(weights)).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in layer.named_parameters()}
    return {"output": y.numpy(), "input": x.grad.numpy(), **gradients}


@pytest.mark.parametrize("units", [UNITS, 130])
@pytest.mark.parametrize("direction", ["bidirect", "forward"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_it_is_paddles_layer(lengths: list[int], direction: str, units: int) -> None:
    layer, paddles = build(direction, units), nn.GRU(WIDTH, units, direction=direction)
    for own, other in zip(layer.parameters(), paddles.parameters(), strict=True):
        other.set_value(own.numpy())
    # Paddle's own has no outputs of an utterance without frames that could be compared.
    heard = [row for row, length in enumerate(lengths) if length]
    x = batch(lengths)
    expected = results(paddles, x[heard], [lengths[row] for row in heard])
    found = results(layer, x[heard], [lengths[row] for row in heard])
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() < 3e-6 * max(1, np.abs(value).max()), name
    with_all = gru(layer, paddle.to_tensor(x), paddle.to_tensor(lengths)).numpy()
    assert np.allclose(with_all[heard], found["output"], atol=1e-6)


def defined(layer: nn.GRU, x: np.ndarray) -> np.ndarray:
    """One utterance [frames, width] by the equations, in float64, both directions."""
    arrays = [p.numpy().astype("float64") for p in layer.parameters()]
    outputs = []
    for number in range(2):
        input_weight, weight, input_bias, bias = arrays[4 * number : 4 * number + 4]
        state, states = np.zeros(UNITS), []
        for frame in x[:: -1 if number else 1]:
            reset, update, new = np.split(input_weight @ frame + input_bias, 3)
            own_reset, own_update, own_new = np.split(weight @ state + bias, 3)
            reset, update = (1 / (1 + np.exp(-v)) for v in (reset + own_reset, update + own_update))
            new = np.tanh(new + reset * own_new)
            state = update * state + (1 - update) * new
            states.append(state)
        outputs.append(states[:: -1 if number else 1])
    return np.concatenate(outputs, axis=1)


def test_it_is_what_the_equations_say() -> None:
    layer, lengths = build("bidirect"), [9, 1, 6]
    x = batch(lengths)
    y = gru(layer, paddle.to_tensor(x), paddle.to_tensor(lengths)).numpy()
    for row, length in enumerate(lengths):
        assert np.allclose(y[row, :length], defined(layer, x[row, :length]), atol=1e-6)
        assert not y[row, length:].any()


def test_gradients_are_slopes_of_the_equations() -> None:
    layer, lengths = build("bidirect"), [5, 2]
    x = batch(lengths)
    found = results(layer, x, lengths)
    weights = np.random.default_rng(6).standard_normal((2, 9, 2 * UNITS)).astype("float32")

    def value() -> float:
        return sum(
            float((defined(layer, x[row, :n]) * weights[row, :n]).sum())
            for row, n in enumerate(lengths)
        )

    for name, parameter in layer.named_parameters():
        at = parameter.numpy()
        for index in list(np.ndindex(at.shape))[:: max(1, at.size // 7)]:
            sides = []
            for step in (1e-2, -1e-2):
                moved = at.copy()
                moved[index] += step
                parameter.set_value(moved)
                sides.append(value())
            parameter.set_value(at)
            slope = (sides[0] - sides[1]) / 2e-2
            assert found[name][index] == pytest.approx(slope, rel=1e-2, abs=2e-3), (name, index)


def test_what_stands_in_the_padding_is_not_seen() -> None:
    layer, lengths = build("bidirect"), [9, 1, 6]
    x = batch(lengths)
    expected = results(layer, x, lengths)
    spoilt = x.copy()
    spoilt[1, 1:] = np.nan
    for name, value in results(layer, spoilt, lengths).items():
        assert np.array_equal(value, expected[name]), name


def test_a_batch_without_a_frame_has_gradients_of_zero() -> None:
    layer = build("bidirect")
    for name, value in results(layer, batch([0, 0]), [0, 0]).items():
        assert not value.any(), name


def test_the_same_again_to_the_last_bit() -> None:
    layer, lengths = build("bidirect", 130), [9, 1, 6]
    first, second = (results(layer, batch(lengths), lengths) for _ in range(2))
    for name, value in first.items():
        assert np.array_equal(second[name], value), name


def test_frozen_weights_get_no_gradient() -> None:
    layer = build("bidirect")
    frozen, *trained = layer.parameters()
    frozen.stop_gradient = True
    x = paddle.to_tensor(batch([9, 2]))
    gru(layer, x, paddle.to_tensor([9, 2])).sum().backward()
    assert frozen.grad is None and all(p.grad is not None for p in trained)


# Where it is used


def stack(
    fast: bool,
    units: int = SMALLEST["bidirectional"],
    cell: Any = "gru",
    direction: Any = "bidirectional",
) -> RecurrentStack:
    settings = NetworkSettings(
        num_rnn_layers=2, rnn_layer_size=units, rnn_type=cell, rnn_direction=direction
    )
    return RecurrentStack(WIDTH, settings, fast)


def is_ours(layers: RecurrentStack) -> bool:
    """Whether all of its layers are; Paddle's if none is."""
    [kind] = {type(layer) for layer in layers.layers}
    return kind is GRU


def test_where_it_is_used() -> None:
    for direction, units in SMALLEST.items():
        assert is_faster(units, direction) and not is_faster(units - 1, direction)
        assert is_ours(stack(True, units, direction=direction))
        for other in (
            stack(False, units, direction=direction),
            stack(True, units - 1, direction=direction),
            stack(True, units, "lstm", direction),
        ):
            assert not is_ours(other)


def test_without_mkl_paddles_layer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mkl, "library", lambda: None)
    assert not is_ours(stack(fast=True))


def test_the_stack_computes_by_it_and_keeps_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, fast = stack(False), stack(True)
    assert list(plain.state_dict()) == list(fast.state_dict())
    fast.set_state_dict(plain.state_dict())
    x, lengths = paddle.to_tensor(batch([9, 1, 6])), paddle.to_tensor([9, 1, 6])
    calls = []
    compute = module._Gru.apply
    monkeypatch.setattr(module._Gru, "apply", lambda *a: (calls.append(1), compute(*a))[1])
    for training in (True, False):
        for one in (plain, fast):
            one.train() if training else one.eval()
        with paddle.no_grad():
            expected, found = plain(x, lengths).numpy(), fast(x, lengths).numpy()
        assert np.allclose(found, expected, atol=1e-5)
    assert len(calls) == 4
