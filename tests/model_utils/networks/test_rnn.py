"""Recurrent layers: normalisation, lookahead, batch mates, and what may stand in the padding."""

import itertools

import numpy as np
import paddle
import pytest

from model_utils.networks.rnn import (
    CELLS,
    Lookahead,
    MaskedLayerNorm,
    RecurrentStack,
    SequenceBatchNorm,
)
from model_utils.settings import NetworkSettings

WIDTH, UNITS = 5, 3
LENGTHS = np.array([9, 1, 6])
MASK = (np.arange(9) < LENGTHS[:, None]).astype("float32")

COMBINATIONS = list(itertools.product(CELLS, ["bidirectional", "forward"], ["layer", "batch"]))


def build(cell: str, direction: str, norm: str, dropout: float = 0.0) -> RecurrentStack:
    settings = NetworkSettings(
        num_rnn_layers=2,
        rnn_layer_size=UNITS,
        rnn_type=cell,
        rnn_direction=direction,
        lookahead=2,
        rnn_norm=norm,
        dropout=dropout,
    )
    return RecurrentStack(WIDTH, settings)


def inputs(padding: float) -> np.ndarray:
    x = np.random.default_rng(5).normal(0, 1, (3, 9, WIDTH))
    return np.where(MASK[:, :, None] > 0, x, padding).astype("float32")


@pytest.mark.parametrize(("cell", "direction", "norm"), COMBINATIONS)
def test_batch_mates_change_nothing_in_evaluation(cell: str, direction: str, norm: str) -> None:
    stack = build(cell, direction, norm)
    stack(paddle.randn([2, 9, WIDTH]) * 2 + 1, paddle.to_tensor([9, 9]))  # moves the statistics
    stack.eval()
    x = inputs(padding=1e3)
    with paddle.no_grad():
        together = stack(paddle.to_tensor(x), paddle.to_tensor(LENGTHS)).numpy()
        for row, length in enumerate(LENGTHS):
            alone = paddle.to_tensor(x[row : row + 1, :length])
            expected = stack(alone, paddle.to_tensor([length])).numpy()
            assert expected.shape == (1, length, stack.output_width)
            assert np.allclose(together[row, :length], expected[0], atol=1e-5)
            assert not together[row, length:].any()


@pytest.mark.parametrize(("cell", "direction", "norm"), COMBINATIONS)
def test_padding_changes_neither_output_nor_gradients_in_training(
    cell: str, direction: str, norm: str
) -> None:
    # In Paddle's GRU 1e3 in the padding gives gradients of NaN.
    stack = build(cell, direction, norm)
    results = []
    for padding in (0.0, 1e3, 1e6):
        x = paddle.to_tensor(inputs(padding), stop_gradient=False)
        y = stack(x, paddle.to_tensor(LENGTHS))
        stack.clear_gradients()
        (y * paddle.linspace(-1.0, 1.0, y.shape[1]).unsqueeze(-1)).square().sum().backward()
        gradients = {name: p.grad.numpy().copy() for name, p in stack.named_parameters()}
        results.append({"output": y.numpy(), "input": x.grad.numpy(), **gradients})
    for result in results[1:]:
        for name, value in result.items():
            assert np.isfinite(value).all(), name
            assert np.allclose(value, results[0][name], rtol=1e-3, atol=1e-5), name


def test_layer_norm_is_of_each_frame_by_itself() -> None:
    norm = MaskedLayerNorm(WIDTH)
    scale, shift = np.arange(1.0, WIDTH + 1), np.linspace(-1, 1, WIDTH)
    norm.norm.weight.set_value(scale.astype("float32"))
    norm.norm.bias.set_value(shift.astype("float32"))
    x = inputs(padding=7.0)
    y = norm(paddle.to_tensor(x), paddle.to_tensor(MASK)).numpy()
    for item, frame in np.ndindex(3, 9):
        values = x[item, frame].astype(np.float64)
        expected = (values - values.mean()) / np.sqrt(values.var() + 1e-5) * scale + shift
        assert np.allclose(y[item, frame], expected * MASK[item, frame], atol=1e-5)


def test_batch_norm_is_of_each_unit_over_all_valid_frames() -> None:
    norm = SequenceBatchNorm(WIDTH)
    x = inputs(padding=7.0)
    y = norm(paddle.to_tensor(x), paddle.to_tensor(MASK)).numpy()
    frames = np.concatenate([x[i, :length] for i, length in enumerate(LENGTHS)]).astype(np.float64)
    expected = (x - frames.mean(axis=0)) / np.sqrt(frames.var(axis=0) + 1e-5)
    assert np.allclose(y, expected * MASK[:, :, None], atol=1e-5)
    assert np.allclose(norm.norm.mean.numpy(), 0.1 * frames.mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("context", [0, 1, 4, 20])
def test_lookahead_is_its_formula(context: int) -> None:
    layer = Lookahead(WIDTH, context)
    weights = layer.conv.weight.numpy()  # [width, 1, context + 1]
    x = inputs(padding=0.0)
    y = layer(paddle.to_tensor(x)).numpy()
    expected = np.zeros_like(x)
    for frame in range(9):
        for ahead in range(min(context + 1, 9 - frame)):
            expected[:, frame] += weights[:, 0, ahead] * x[:, frame + ahead]
    assert np.allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_forward_stack_sees_no_more_of_the_future_than_its_lookahead(cell: str) -> None:
    stack = build(cell, "forward", "layer")
    stack.eval()
    x = inputs(padding=0.0)[:1]
    changed = x.copy()
    changed[0, 6] *= -1.0
    length = paddle.to_tensor([9])
    with paddle.no_grad():
        before, after = (stack(paddle.to_tensor(v), length).numpy() for v in (x, changed))
    moved = np.abs(before - after).max(axis=(0, 2)) > 1e-6
    assert not moved[:4].any() and moved[4:].all()


def test_dropout_is_of_training_alone() -> None:
    stack = build("gru", "bidirectional", "layer", dropout=0.5)
    x, lengths = paddle.to_tensor(inputs(padding=0.0)), paddle.to_tensor(LENGTHS)
    first, second = (stack(x, lengths).numpy() for _ in range(2))
    assert not np.allclose(first, second)
    stack.eval()
    first, second = (stack(x, lengths).numpy() for _ in range(2))
    assert np.array_equal(first, second)
