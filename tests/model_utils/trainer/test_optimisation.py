"""Schedules against closed forms and Paddle's own; the optimizers against arithmetic by hand."""

import math
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

from data_utils.errors import InputError
from model_utils.settings import OptimisationSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.optimisation import (
    build_optimizer,
    learning_rate,
    optimizer_state,
    restore_optimizer,
)

NUM_BATCHES, NUM_EPOCH = 7, 6
POSITIONS = [(epoch, batch) for epoch in range(1, NUM_EPOCH + 1) for batch in range(NUM_BATCHES)]


def rates(settings: OptimisationSettings, num_epoch: int = NUM_EPOCH) -> list[float]:
    return [learning_rate(settings, *position, NUM_BATCHES, num_epoch) for position in POSITIONS]


def test_constant() -> None:
    assert set(rates(OptimisationSettings(lr_schedule="constant", learning_rate=0.3))) == {0.3}


def test_exponential_equals_paddles_own() -> None:
    settings = OptimisationSettings(learning_rate=0.3, lr_decay=0.83)
    scheduler = paddle.optimizer.lr.ExponentialDecay(0.3, gamma=0.83)
    expected = []
    for _ in range(NUM_EPOCH):
        expected += [scheduler.get_lr()] * NUM_BATCHES
        scheduler.step()
    assert np.allclose(rates(settings), expected, rtol=1e-12)


@pytest.mark.parametrize("rise", [0.1, 0.3, 0.75])
def test_one_cycle_equals_paddles_own(rise: float) -> None:
    settings = OptimisationSettings(lr_schedule="onecycle", learning_rate=0.3, warmup_share=rise)
    total = NUM_BATCHES * NUM_EPOCH
    scheduler = paddle.optimizer.lr.OneCycleLR(
        max_learning_rate=0.3,
        total_steps=total,
        divide_factor=25.0,
        end_learning_rate=0.3e-4,
        # Paddle's share is of all steps, less one.
        phase_pct=(rise * (total - 1) + 1) / total,
    )
    expected = []
    for _ in range(total):
        expected.append(scheduler.get_lr())
        scheduler.step()
    assert np.allclose(rates(settings), expected, rtol=1e-9)


@pytest.mark.parametrize("rise", [0.0, 0.5, 1.0])
def test_one_cycle_begins_turns_and_ends_where_it_should(rise: float) -> None:
    settings = OptimisationSettings(lr_schedule="onecycle", learning_rate=1.0, warmup_share=rise)
    found = rates(settings)
    assert max(found) <= 1.0 and min(found) >= 1e-4 - 1e-12
    assert math.isclose(found[0], 1.0 if rise == 0 else 1 / 25)
    assert math.isclose(found[-1], 1.0 if rise == 1 else 1e-4)
    top = int(np.argmax(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert learning_rate(settings, 1, 0, 1, 1) > 0, "a run of a single step"


def test_more_epochs_never_start_a_schedule_again() -> None:
    exponential = OptimisationSettings()
    assert rates(exponential, 60) == rates(exponential, NUM_EPOCH)
    one_cycle = OptimisationSettings(lr_schedule="onecycle", warmup_share=0.3)
    # Six of twelve epochs: the cycle is where half of it is done, on its way down.
    stretched = learning_rate(one_cycle, NUM_EPOCH + 1, 0, NUM_BATCHES, 2 * NUM_EPOCH)
    assert one_cycle.learning_rate / 25 < stretched < one_cycle.learning_rate


# Optimizers


class _Adam:
    """Adam by its paper (Kingma and Ba 2015, algorithm 1), float64."""

    def __init__(self, settings: OptimisationSettings) -> None:
        self.settings = settings
        self.first: dict[str, np.ndarray] = {}
        self.second: dict[str, np.ndarray] = {}
        self.step_number = 0

    def step(self, values: dict[str, np.ndarray], gradients: dict[str, np.ndarray]) -> None:
        settings, rate = self.settings, self.settings.learning_rate
        self.step_number += 1
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        shrink = min(1.0, settings.grad_clip / norm) if settings.grad_clip else 1.0
        for name, value in values.items():
            gradient = gradients[name] * shrink
            if settings.optimizer == "adam":
                gradient = gradient + settings.weight_decay * value
            elif value.ndim > 1:  # AdamW (Loshchilov and Hutter 2019), matrices alone
                value -= rate * settings.weight_decay * value
            self.first[name] = 0.9 * self.first.get(name, 0) + 0.1 * gradient
            self.second[name] = 0.999 * self.second.get(name, 0) + 0.001 * gradient**2
            first = self.first[name] / (1 - 0.9**self.step_number)
            second = self.second[name] / (1 - 0.999**self.step_number)
            value -= rate * first / (np.sqrt(second) + 1e-8)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("grad_clip", [None, 0.7, 1e6])
def test_steps_equal_arithmetic_by_hand(
    optimizer: str, weight_decay: float, grad_clip: float | None
) -> None:
    settings = OptimisationSettings(
        optimizer=optimizer, learning_rate=0.05, weight_decay=weight_decay, grad_clip=grad_clip
    )
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    network[0].bias.set_value(paddle.to_tensor([1.0, -2.0]))
    update = build_optimizer(settings, network)
    values = {name: p.numpy().astype(np.float64) for name, p in network.named_parameters()}
    by_hand = _Adam(settings)
    rng = np.random.default_rng(4)
    for _ in range(4):
        gradients = {name: rng.normal(0, 1, value.shape) for name, value in values.items()}
        for name, parameter in network.named_parameters():
            given = paddle.to_tensor(gradients[name].astype("float32"))
            (parameter * given).sum().backward()
        update.step()
        update.clear_grad()
        by_hand.step(values, gradients)
        for name, parameter in network.named_parameters():
            assert np.allclose(parameter.numpy(), values[name], atol=1e-5), name


# Its state


def make_network() -> nn.Layer:
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def take_steps(network: nn.Layer, optimizer: paddle.optimizer.Optimizer, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(3):
        x = paddle.to_tensor(rng.normal(0, 1, (5, 3)).astype("float32"))
        network(x).square().sum().backward()
        optimizer.step()
        optimizer.clear_grad()


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_state_survives_other_names_of_the_parameters(name: str, tmp_path: Path) -> None:
    settings = OptimisationSettings(optimizer=name, learning_rate=0.01)
    network = make_network()
    optimizer = build_optimizer(settings, network)
    take_steps(network, optimizer, seed=0)
    state = optimizer_state(optimizer, network)
    assert all(key.partition("::")[0] in network.state_dict() for key in state)
    assert len(state) == 4 * 4  # two moments and two powers for each of four parameters
    path = checkpoint.save(tmp_path, "1", network.state_dict(), state, {"epoch": 1})
    take_steps(network, optimizer, seed=1)

    for _ in range(3):
        nn.Linear(2, 2)  # as if another process had built something else first
    other = make_network()
    names = [{p.name for p in n.parameters()} for n in (network, other)]
    assert names[0].isdisjoint(names[1]), "this test is blind"
    saved = checkpoint.load(path)
    checkpoint.set_weights(other, saved)
    restored = build_optimizer(settings, other)
    assert saved.optimizer is not None
    restore_optimizer(restored, other, saved.optimizer, str(path))
    take_steps(other, restored, seed=1)
    for key, value in network.state_dict().items():
        assert np.array_equal(value.numpy(), other.state_dict()[key].numpy()), key
    again = optimizer_state(restored, other)
    for key, value in optimizer_state(optimizer, network).items():
        assert np.array_equal(value.numpy(), again[key].numpy()), key


@pytest.mark.parametrize("key", ["2.weight::moment1_0", "linear_0.w_0_moment1_0"])
def test_state_of_another_network_is_refused(key: str) -> None:
    network = make_network()
    optimizer = build_optimizer(OptimisationSettings(), network)
    with pytest.raises(InputError, match=r"x\.pdparams: optimizer state of '.*', which this"):
        restore_optimizer(optimizer, network, {key: np.zeros(3)}, "x.pdparams")
