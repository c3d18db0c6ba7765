"""The running average of weights against its formula, and its place in a run."""

import numpy as np
import paddle
from paddle import nn

from model_utils.trainer.averaging import RunningAverage


def values(layer: nn.Layer) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in layer.state_dict().items()}


def test_it_follows_its_formula() -> None:
    paddle.seed(1)
    layer = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1D(3))
    average = RunningAverage(layer, 0.9)
    expected = values(layer)
    rng = np.random.default_rng(2)
    for step in range(100):
        for parameter in layer.parameters():
            parameter.set_value(rng.normal(0, 1, parameter.shape).astype("float32"))
        layer(paddle.to_tensor(rng.normal(1, 2, (4, 2)).astype("float32")))  # moves the statistics
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        assert decay == (0.9 if step >= 80 else (1 + step) / (10 + step))
        now = values(layer)
        expected = {name: decay * expected[name] + (1 - decay) * now[name] for name in now}
    trained = values(layer)
    with average.in_place() as kept:
        inside = values(layer)
        assert {name: value.numpy().tolist() for name, value in kept.items()} == {
            name: value.tolist() for name, value in trained.items()
        }
    for name, value in expected.items():
        assert np.allclose(inside[name], value, atol=1e-5), name
        assert np.array_equal(values(layer)[name], trained[name]), "the network has its own again"
    assert any("_mean" in name for name in expected), "running statistics are averaged too"


def test_without_decay_there_is_none() -> None:
    layer = nn.Linear(2, 2)
    average = RunningAverage(layer, 0.0)
    before = values(layer)
    average.update(5)
    with average.in_place() as trained:
        assert trained == {}
        assert all(np.array_equal(values(layer)[name], before[name]) for name in before)


def test_a_failure_inside_leaves_the_weights_in_training() -> None:
    layer = nn.Linear(2, 2)
    average = RunningAverage(layer, 0.5)
    layer.weight.set_value(paddle.ones([2, 2]))
    try:
        with average.in_place():
            raise KeyError
    except KeyError:
        pass
    assert layer.weight.numpy().tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_what_is_frozen_stays_as_it_is() -> None:
    paddle.seed(1)
    layer = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1D(3)), nn.Linear(3, 2))
    rng = np.random.default_rng(2)
    for value in layer.state_dict().values():
        value.set_value(rng.normal(1, 1, value.shape).astype("float32"))
    for parameter in layer[0].parameters():
        parameter.stop_gradient = True
    before = values(layer)
    average = RunningAverage(layer, 0.9)
    for step in range(50):
        layer[1].weight.set_value(rng.normal(0, 1, [3, 2]).astype("float32"))
        average.update(step)
    with average.in_place() as trained:
        inside = values(layer)
    same = {name for name, value in before.items() if np.array_equal(inside[name], value)}
    assert same >= {name for name in before if name.startswith("0.")} and "1.weight" not in same
    assert trained.keys() == {"1.weight", "1.bias"}
