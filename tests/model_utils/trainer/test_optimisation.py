"""Every optimizer against arithmetic by hand, and its state by the network's names."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from data_utils.errors import InputError
from model_utils.runtime import known_wrong
from model_utils.settings import OptimisationSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.gradients import scale
from model_utils.trainer.optimisation import (
    build_optimizer,
    kept_share,
    optimizer_state,
    restore_optimizer,
)

# Optimizers


RATE = 0.05


class _ByHand:
    """Each rule by its paper, in float64."""

    def __init__(self, settings: OptimisationSettings) -> None:
        self.settings = settings
        self.state: dict[tuple[str, str], np.ndarray] = {}
        self.steps = 0

    def blend(self, kind: str, name: str, decay: float, value: np.ndarray) -> np.ndarray:
        """decay * past + value, remembered."""
        self.state[kind, name] = decay * self.state.get((kind, name), 0.0) + value
        return self.state[kind, name]

    def step(self, values: dict[str, np.ndarray], gradients: dict[str, np.ndarray]) -> None:
        settings = self.settings
        self.steps += 1
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        shrink = min(1.0, settings.grad_clip / norm) if settings.grad_clip else 1.0
        for name, value in values.items():
            gradient = gradients[name] * shrink
            if settings.optimizer != "adamw":
                gradient = gradient + settings.weight_decay * value
            elif value.ndim > 1:  # decoupled (Loshchilov and Hutter 2019), matrices alone
                value -= RATE * settings.weight_decay * value
            value -= RATE * getattr(self, settings.optimizer)(name, gradient)

    def adam(self, name: str, g: np.ndarray) -> np.ndarray:
        """Kingma and Ba 2015, algorithm 1."""
        b1, b2 = self.settings.beta1, self.settings.beta2
        first = self.blend("first", name, b1, (1 - b1) * g) / (1 - b1**self.steps)
        second = self.blend("second", name, b2, (1 - b2) * g**2) / (1 - b2**self.steps)
        return first / (np.sqrt(second) + self.settings.epsilon)

    adamw = adam

    def sgd(self, name: str, g: np.ndarray) -> np.ndarray:
        """Sutskever et al. 2013, with dampening."""
        settings = self.settings
        velocity = self.blend("v", name, settings.momentum, (1 - settings.dampening) * g)
        return g + settings.momentum * velocity if settings.nesterov else velocity

    def rmsprop(self, name: str, g: np.ndarray) -> np.ndarray:
        """Hinton 2012, lecture 6e; centred as Graves 2013, eq. 38 to 41, epsilon in the root."""
        settings = self.settings
        rho = settings.rho
        square = self.blend("square", name, rho, (1 - rho) * g**2)
        if settings.centered:
            square = square - self.blend("mean", name, rho, (1 - rho) * g) ** 2
        return self.blend("v", name, settings.momentum, g / np.sqrt(square + settings.epsilon))

    def adagrad(self, name: str, g: np.ndarray) -> np.ndarray:
        """Duchi et al. 2011, diagonal."""
        return g / (np.sqrt(self.blend("sum", name, 1.0, g**2)) + self.settings.epsilon)


def agree(fast: bool = False, **changes: Any) -> None:
    """Four steps of the optimizer and of the rule by hand end at the same weights."""
    settings = OptimisationSettings(**changes)
    network = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
    network[0].bias.set_value(paddle.to_tensor([1.0, -2.0]))
    update = build_optimizer(settings, network, fast)
    update.set_lr(RATE)
    values = {name: p.numpy().astype(np.float64) for name, p in network.named_parameters()}
    by_hand = _ByHand(settings)
    rng = np.random.default_rng(4)
    for _ in range(4):
        gradients = {name: rng.normal(0, 1, value.shape) for name, value in values.items()}
        for name, parameter in network.named_parameters():
            given = paddle.to_tensor(gradients[name].astype("float32"))
            (parameter * given).sum().backward()
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        scale(network.parameters(), kept_share(settings, norm))
        update.step()
        update.clear_grad()
        by_hand.step(values, gradients)
        for name, parameter in network.named_parameters():
            assert np.allclose(parameter.numpy(), values[name], atol=1e-5), name


RULES = ("adam", "adamw", "sgd", "rmsprop", "adagrad")


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("grad_clip", [None, 0.7, 1e6])
def test_steps_equal_arithmetic_by_hand(
    optimizer: str, weight_decay: float, grad_clip: float | None
) -> None:
    agree(optimizer=optimizer, weight_decay=weight_decay, grad_clip=grad_clip)


@pytest.mark.parametrize(
    "arguments",
    [
        {"optimizer": "adam", "beta1": 0.5, "beta2": 0.7, "epsilon": 0.3},
        {"optimizer": "adamw", "beta1": 0.5, "beta2": 0.7, "epsilon": 0.3},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.5},
        {"optimizer": "sgd", "momentum": 0.5, "dampening": 0.4},
        {"optimizer": "sgd", "momentum": 0.5, "dampening": 0.4, "grad_clip": None},
        {"optimizer": "sgd", "momentum": 0.5, "nesterov": True},
        {"optimizer": "rmsprop", "momentum": 0.0, "rho": 0.6, "epsilon": 0.3},
        {"optimizer": "rmsprop", "momentum": 0.4, "rho": 0.6, "centered": True, "epsilon": 0.3},
        {"optimizer": "adagrad", "epsilon": 0.3},
    ],
    ids=str,
)
def test_every_argument_reaches_the_rule(arguments: dict[str, Any]) -> None:
    agree(**arguments, weight_decay=0.2)
    plain = OptimisationSettings()
    for name, value in arguments.items():
        if name != "optimizer" and value is not None:
            assert value != getattr(plain, name), "a default shows nothing"


@pytest.mark.skipif(bool(known_wrong()), reason="Paddle 2 is never fast: its kernel differs")
@pytest.mark.parametrize(
    "changes", [{}, {"weight_decay": 0.5}, {"beta1": 0.5, "beta2": 0.7, "epsilon": 0.3}], ids=str
)
def test_the_fast_adamw_equals_arithmetic_by_hand(changes: dict[str, Any]) -> None:
    agree(fast=True, optimizer="adamw", **changes)


@pytest.mark.skipif(bool(known_wrong()), reason="Paddle 2 is never fast: its kernel differs")
def test_the_fast_adamw_goes_on_from_the_plain_ones_state() -> None:
    """A checkpoint may be resumed by another engine; weights without a gradient stay."""
    unused = "unused.weight"
    ends = []
    for engines in ((False, False), (False, True), (True, False), (True, True)):
        paddle.seed(3)
        seen: dict[str, np.ndarray] = {}
        for seed, fast in enumerate(engines):
            network = make_network()
            used = nn.Sequential(*network)
            network.add_sublayer("unused", nn.Linear(2, 2))
            optimizer = build_optimizer(OptimisationSettings(), network, fast)
            optimizer.set_lr(0.1)
            if seen:
                for name, parameter in network.named_parameters():
                    parameter.set_value(seen[name])
                state = {name: value for name, value in seen.items() if "::" in name}
                restore_optimizer(optimizer, network, state, "memory")
            before = dict(network.named_parameters())[unused].numpy()
            take_steps(used, optimizer, seed)
            seen = {
                name: value.numpy()
                for name, value in (
                    *network.named_parameters(),
                    *optimizer_state(optimizer, network).items(),
                )
            }
            assert np.array_equal(seen[unused], before)
        ends.append(seen)
    for end in ends[1:]:
        assert list(end) == list(ends[0])
        for name, value in end.items():
            assert np.allclose(value, ends[0][name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("changes", [{"momentum": 0.0}, {"dampening": 0.5}])
def test_nesterov_needs_a_plain_momentum(changes: dict[str, float]) -> None:
    settings = OptimisationSettings(optimizer="sgd", nesterov=True, **changes)
    with pytest.raises(InputError, match="--nesterov=True: needs a --momentum above 0"):
        build_optimizer(settings, nn.Linear(1, 1))


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


@pytest.mark.parametrize(
    ("name", "kept"), [("adam", 4), ("adamw", 4), ("sgd", 1), ("rmsprop", 3), ("adagrad", 1)]
)
def test_state_survives_other_names_of_the_parameters(name: str, kept: int, tmp_path: Path) -> None:
    settings = OptimisationSettings(optimizer=name)
    network = make_network()
    optimizer = build_optimizer(settings, network)
    take_steps(network, optimizer, seed=0)
    state = optimizer_state(optimizer, network)
    assert all(key.partition("::")[0] in network.state_dict() for key in state)
    assert len(state) == 4 * kept  # adam: two moments and two powers for each of four parameters
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
