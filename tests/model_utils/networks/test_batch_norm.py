"""Batch norm that sees valid frames alone, by either engine."""

import numpy as np
import paddle
import pytest
from paddle import nn

from model_utils.networks.batch_norm import ValidBatchNorm
from model_utils.networks.sizes import CEILING

BATCH, CHANNELS, BINS, FRAMES = 3, 2, 4, 7
LENGTHS = np.array([7, 3, 1])


class _Norm:
    """One forward and backward pass of batch norm over a padded batch."""

    def __init__(self, ceiling: float | None, fast: bool = False, dtype: str = "float32") -> None:
        rng = np.random.default_rng(3)
        self.mask = (np.arange(FRAMES) < LENGTHS[:, None])[:, None, None, :]
        self.x = rng.normal(2, 3, (BATCH, CHANNELS, BINS, FRAMES)).astype(dtype)
        self.scale = rng.uniform(0.5, 2, CHANNELS).astype(dtype)
        self.shift = rng.normal(0, 1, CHANNELS).astype(dtype)
        self.weights = rng.normal(0, 1, self.x.shape).astype(dtype)  # of the loss: no sum is zero
        self.ceiling = ceiling
        self.fast = fast
        self.dtype = dtype

    def layer(self) -> ValidBatchNorm:
        default = paddle.get_default_dtype()
        paddle.set_default_dtype(self.dtype)
        try:
            layer = ValidBatchNorm(CHANNELS, self.ceiling, fast=self.fast)
            layer.mean, layer.variance = (
                t.astype(self.dtype) for t in (layer.mean, layer.variance)
            )
        finally:
            paddle.set_default_dtype(default)
        layer.scale.set_value(paddle.to_tensor(self.scale))
        layer.shift.set_value(paddle.to_tensor(self.shift))
        return layer

    def run(self, x: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Output and all gradients of the layer itself."""
        layer = self.layer()
        given = paddle.to_tensor(self.x if x is None else x, stop_gradient=False)
        y = layer(given, paddle.to_tensor(self.mask.astype(self.dtype)))
        (y * paddle.to_tensor(self.weights)).sum().backward()
        gradients = (given.grad, layer.scale.grad, layer.shift.grad)
        values = (value.numpy() for value in (y, *gradients))
        return dict(zip(("y", "x", "scale", "shift"), values, strict=True))

    def loss(self, x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> float:
        """The same from the definition: gather the valid values of each channel, float64."""
        total = 0.0
        keep = np.broadcast_to(self.mask[:, 0], (BATCH, BINS, FRAMES))
        for channel in range(CHANNELS):
            valid = x[:, channel][keep].astype(np.float64)
            y = (valid - valid.mean()) / np.sqrt(valid.var() + 1e-5)
            y = y * scale[channel] + shift[channel]
            if self.ceiling is not None:
                y = np.clip(y, 0, self.ceiling)
            total += float(y @ self.weights[:, channel][keep])
        return total


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("ceiling", [None, 1.0, CEILING])
def test_batch_norm_equals_autograd_over_gathered_frames(ceiling: float | None, fast: bool) -> None:
    norm = _Norm(ceiling, fast)
    x = paddle.to_tensor(norm.x, stop_gradient=False)
    scale = paddle.to_tensor(norm.scale, stop_gradient=False)
    shift = paddle.to_tensor(norm.shift, stop_gradient=False)
    places = paddle.to_tensor(np.argwhere(np.broadcast_to(norm.mask[:, 0], (BATCH, BINS, FRAMES))))
    valid = paddle.gather_nd(x.transpose([0, 2, 3, 1]), places)
    deviation = valid - valid.mean(axis=0)
    y = deviation / paddle.sqrt((deviation**2).mean(axis=0) + 1e-5) * scale + shift
    if ceiling is not None:
        y = paddle.clip(y, 0.0, ceiling)
    weights = paddle.gather_nd(paddle.to_tensor(norm.weights.transpose(0, 2, 3, 1)), places)
    (y * weights).sum().backward()
    expected = paddle.scatter_nd(places, y, [BATCH, BINS, FRAMES, CHANNELS]).transpose([0, 3, 1, 2])

    result = norm.run()
    assert np.allclose(result["y"], expected.numpy(), atol=1e-5)
    for name, tensor in (("x", x), ("scale", scale), ("shift", shift)):
        assert np.allclose(result[name], tensor.grad.numpy(), rtol=1e-4, atol=1e-4), name


@pytest.mark.parametrize("ceiling", [None, 1.0])
def test_batch_norm_gradients_equal_finite_differences(ceiling: float | None) -> None:
    norm = _Norm(ceiling, dtype="float64")
    result = norm.run()
    values = {"x": norm.x, "scale": norm.scale, "shift": norm.shift}
    assert np.isclose((result["y"] * norm.weights).sum(), norm.loss(**values))
    for name, value in values.items():
        for place in np.ndindex(*value.shape):
            step = np.zeros_like(value)
            step[place] = 1e-6
            up, down = (norm.loss(**{**values, name: value + s}) for s in (step, -step))
            assert np.isclose(result[name][place], (up - down) / 2e-6, atol=1e-6), (name, place)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("ceiling", [None, CEILING])
def test_batch_norm_equals_paddles_own_without_padding(ceiling: float | None, fast: bool) -> None:
    norm = _Norm(ceiling, fast)
    norm.mask = np.ones_like(norm.mask)
    own = nn.BatchNorm2D(CHANNELS, momentum=0.9)
    own.weight.set_value(norm.scale)
    own.bias.set_value(norm.shift)
    x = paddle.to_tensor(norm.x, stop_gradient=False)
    y = own(x) if ceiling is None else paddle.clip(own(x), 0.0, ceiling)
    (y * paddle.to_tensor(norm.weights)).sum().backward()

    result = norm.run()
    assert np.allclose(result["y"], y.numpy(), atol=1e-5)
    for name, gradient in (("x", x.grad), ("scale", own.weight.grad), ("shift", own.bias.grad)):
        assert np.allclose(result[name], gradient.numpy(), rtol=1e-4, atol=1e-4), name

    layer = norm.layer()
    mask = paddle.to_tensor(norm.mask.astype("float32"))
    own.train()
    for _ in range(2):  # the first pass above counts for Paddle's own
        layer(x, mask)
    own(x)
    assert np.allclose(layer.mean.numpy(), own._mean.numpy(), atol=1e-5)
    assert np.allclose(layer.variance.numpy(), own._variance.numpy(), rtol=1e-4)


@pytest.mark.parametrize("fast", [False, True])
def test_running_statistics_are_of_valid_frames_and_used_in_evaluation(fast: bool) -> None:
    norm = _Norm(None, fast)
    layer, mask = norm.layer(), paddle.to_tensor(norm.mask.astype("float32"))
    keep = np.broadcast_to(norm.mask[:, 0], (BATCH, BINS, FRAMES))
    valid = np.stack([norm.x[:, c][keep] for c in range(CHANNELS)]).astype(np.float64)
    mean, variance = np.zeros(CHANNELS), np.ones(CHANNELS)
    for _ in range(3):
        layer(paddle.to_tensor(norm.x), mask)
        mean = 0.9 * mean + 0.1 * valid.mean(axis=1)
        variance = 0.9 * variance + 0.1 * valid.var(axis=1)
    assert np.allclose(layer.mean.numpy(), mean, rtol=1e-5)
    assert np.allclose(layer.variance.numpy(), variance, rtol=1e-5)

    layer.eval()
    y = layer(paddle.to_tensor(norm.x), mask).numpy()
    shape = (1, CHANNELS, 1, 1)
    expected = (norm.x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + 1e-5)
    expected = expected * norm.scale.reshape(shape) + norm.shift.reshape(shape)
    assert np.allclose(y, expected * norm.mask, atol=1e-5)
    assert np.allclose(layer.mean.numpy(), mean, rtol=1e-5), "evaluation must not move them"


@pytest.mark.parametrize("fast", [False, True])
def test_an_overflow_leaves_no_trace_in_the_running_statistics(fast: bool) -> None:
    norm = _Norm(None, fast)
    layer, mask = norm.layer(), paddle.to_tensor(norm.mask.astype("float32"))
    layer(paddle.to_tensor(norm.x), mask)
    before = layer.mean.numpy().copy(), layer.variance.numpy().copy()
    for value in (np.nan, np.inf, 1e30):
        x = norm.x.copy()
        x[0, 0, 0, 0] = value
        layer(paddle.to_tensor(x), mask)
        assert np.isfinite(layer.mean.numpy()).all() and np.isfinite(layer.variance.numpy()).all()
    assert layer.variance.numpy()[0] == before[1][0] and layer.variance.numpy()[1] != before[1][1]


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("ceiling", [None, 1.0])
def test_what_stands_in_the_padding_changes_nothing_in_training(
    ceiling: float | None, fast: bool
) -> None:
    norm = _Norm(ceiling, fast)
    clean, garbage = norm.run(np.where(norm.mask, norm.x, 0)), None
    garbage = norm.run(np.where(norm.mask, norm.x, 1e4).astype("float32"))
    for name in clean:
        assert np.allclose(clean[name], garbage[name], rtol=1e-5, atol=1e-5), name
    padding = np.broadcast_to(~norm.mask, norm.x.shape)
    assert not garbage["y"][padding].any() and not garbage["x"][padding].any()
