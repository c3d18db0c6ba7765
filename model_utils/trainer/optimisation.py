"""The optimizer: from settings, and its state by the network's own names."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from data_utils.errors import InputError
from model_utils.fast.adamw import AdamW
from model_utils.settings import OptimisationSettings

_SEPARATOR = "::"


_IN_TRAINING = "weights"
"""Prefix of the weights themselves, where a checkpoint's own are their average."""


def build_optimizer(
    settings: OptimisationSettings, network: nn.Layer, fast: bool = False
) -> paddle.optimizer.Optimizer:
    """The optimizer of the network's trained values; its rate is set at each step.

    sgd is v = momentum * v + (1 - dampening) * g, from v = 0, and a step of the rate times v, or
    with nesterov times g + momentum * v (Sutskever et al. 2013, eq. 3 and 4). Gradients come
    clipped and dampened, see `kept_share`.

    Args:
        settings: which, and its arguments.
        network: whose values are trained.
        fast: compute by `model_utils.fast`, where it has that optimizer.

    Raises:
        InputError: settings that contradict each other.
    """
    common: dict[str, Any] = {"learning_rate": 0.0, "parameters": network.parameters()}
    if settings.optimizer == "adamw":
        # Decay pulls matrices towards zero; biases and the scales of normalisation stay free.
        matrices = {p.name for p in network.parameters() if p.ndim > 1}
        adamw = AdamW if fast else paddle.optimizer.AdamW
        return adamw(
            **common,
            beta1=settings.beta1,
            beta2=settings.beta2,
            epsilon=settings.epsilon,
            weight_decay=settings.weight_decay,
            apply_decay_param_fun=lambda name: name in matrices,
        )
    if settings.optimizer == "sgd":
        return _momentum(settings, common)
    common["weight_decay"] = _l2(settings.weight_decay)
    if settings.optimizer == "adam":
        return paddle.optimizer.Adam(
            **common, beta1=settings.beta1, beta2=settings.beta2, epsilon=settings.epsilon
        )
    if settings.optimizer == "rmsprop":
        return paddle.optimizer.RMSProp(
            **common,
            rho=settings.rho,
            epsilon=settings.epsilon,
            momentum=settings.momentum,
            centered=settings.centered,
        )
    return paddle.optimizer.Adagrad(**common, epsilon=settings.epsilon)


def kept_share(settings: OptimisationSettings, norm: float) -> float:
    """What is left of a gradient of this norm when it is clipped, and for sgd dampened."""
    share = 1 - settings.dampening if settings.optimizer == "sgd" else 1.0
    if settings.grad_clip is not None and norm > settings.grad_clip:
        share *= settings.grad_clip / norm
    return share


def _momentum(settings: OptimisationSettings, common: dict[str, Any]) -> paddle.optimizer.Optimizer:
    if settings.nesterov and (settings.dampening or not settings.momentum):
        raise InputError("--nesterov=True: needs a --momentum above 0 and --dampening=0")
    return paddle.optimizer.Momentum(
        **common,
        momentum=settings.momentum,
        use_nesterov=settings.nesterov,
        weight_decay=_l2(settings.weight_decay * (1 - settings.dampening)),
    )


def _l2(weight_decay: float) -> paddle.regularizer.L2Decay | None:
    return paddle.regularizer.L2Decay(weight_decay) if weight_decay else None


def optimizer_state(
    optimizer: paddle.optimizer.Optimizer,
    network: nn.Layer,
    trained: Mapping[str, Tensor] = MappingProxyType({}),
) -> dict[str, Tensor]:
    """The optimizer's tensors, named by the network's own names of its parameters.

    Paddle names them by a counter of the process ("linear_3.w_0_moment1_0"), which another process
    may count differently.

    Args:
        optimizer: of `build_optimizer`.
        network: whose parameters it has.
        trained: copies of the weights in training, where the network has their average at the
            moment; they are given names.
    """
    own_names = {p.name: name for name, p in network.named_parameters()}
    state = {}
    for name, value in trained.items():
        # Paddle saves this name too, which else counts what the process did before.
        value.name = f"{_IN_TRAINING}{_SEPARATOR}{name}"
        state[value.name] = value
    for key, value in optimizer.state_dict().items():
        parameter = max((n for n in own_names if key.startswith(n + "_")), key=len, default=None)
        if parameter is not None:
            state[own_names[parameter] + _SEPARATOR + key[len(parameter) + 1 :]] = value
    return state


def restore_optimizer(
    optimizer: paddle.optimizer.Optimizer,
    network: nn.Layer,
    state: dict[str, NDArray[Any]],
    where: str,
) -> dict[str, NDArray[Any]]:
    """Set the optimizer to a state of `optimizer_state`, and return the weights it held beside.

    Raises:
        InputError: the state is of another network or optimizer.
    """
    parameters = dict(network.named_parameters())
    restored, trained = {}, {}
    for key, value in state.items():
        name, found, suffix = key.partition(_SEPARATOR)
        if name == _IN_TRAINING and found:
            trained[suffix] = value
            continue
        if not found or name not in parameters:
            raise InputError(
                f"{where}: optimizer state of {key!r}, which this network has not; "
                f"move the .pdopt file away to start the optimizer anew"
            )
        restored[f"{parameters[name].name}_{suffix}"] = paddle.to_tensor(np.asarray(value))
    optimizer.set_state_dict(restored)
    return trained
