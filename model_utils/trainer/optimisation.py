"""The learning rate as a function of the position in the run, and the optimizer.

The rate is a pure function: a resumed run needs its position alone, and a later `--num_epoch`
stretches the schedule without starting it again.
"""

import math
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from data_utils.errors import InputError
from model_utils.settings import OptimisationSettings

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4
"""First and last rate of the one-cycle schedule, as shares of its peak."""

_SEPARATOR = "::"


def learning_rate(
    settings: OptimisationSettings, epoch: int, batch: int, num_batches: int, num_epoch: int
) -> float:
    """The rate of one step.

    - exponential: `learning_rate * lr_decay ** (epoch - 1)`, constant within an epoch.
    - constant: `learning_rate`.
    - onecycle: over the share `warmup_share` of the run up from 1/25 of `learning_rate` along half
      a cosine, then down to 1/10,000 (Smith and Topin 2018, with cosine slopes).

    Args:
        settings: schedule and peak.
        epoch: from 1.
        batch: from 0.
        num_batches: batches in an epoch.
        num_epoch: last epoch of the run.
    """
    peak = settings.learning_rate
    if settings.lr_schedule == "constant":
        return peak
    if settings.lr_schedule == "exponential":
        return peak * settings.lr_decay ** (epoch - 1)
    done = ((epoch - 1) * num_batches + batch) / max(1, num_epoch * num_batches - 1)
    rise = settings.warmup_share
    if done < rise:
        return _half_cosine(peak * ONE_CYCLE_START, peak, done / rise)
    share = (done - rise) / (1 - rise) if rise < 1 else 0.0
    return _half_cosine(peak, peak * ONE_CYCLE_END, min(1.0, share))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def build_optimizer(
    settings: OptimisationSettings, network: nn.Layer
) -> paddle.optimizer.Optimizer:
    """The optimizer of the network's trained values; its rate is set at each step."""
    limit = settings.grad_clip
    common: dict[str, Any] = {
        "learning_rate": settings.learning_rate,
        "parameters": network.parameters(),
        "grad_clip": None if limit is None else paddle.nn.ClipGradByGlobalNorm(limit),
    }
    if settings.optimizer == "adamw":
        # Decay pulls matrices towards zero; biases and the scales of normalisation stay free.
        matrices = {p.name for p in network.parameters() if p.ndim > 1}
        return paddle.optimizer.AdamW(
            **common,
            weight_decay=settings.weight_decay,
            apply_decay_param_fun=lambda name: name in matrices,
        )
    decay = paddle.regularizer.L2Decay(settings.weight_decay) if settings.weight_decay else None
    return paddle.optimizer.Adam(**common, weight_decay=decay)


def optimizer_state(
    optimizer: paddle.optimizer.Optimizer, network: nn.Layer
) -> dict[str, paddle.Tensor]:
    """The optimizer's tensors, named by the network's own names of its parameters.

    Paddle names them by a counter of the process ("linear_3.w_0_moment1_0"), which another process
    may count differently.
    """
    own_names = {p.name: name for name, p in network.named_parameters()}
    state = {}
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
) -> None:
    """Set the optimizer to a state of `optimizer_state`.

    Raises:
        InputError: the state is of another network or optimizer.
    """
    parameters = dict(network.named_parameters())
    restored = {}
    for key, value in state.items():
        name, found, suffix = key.partition(_SEPARATOR)
        if not found or name not in parameters:
            raise InputError(
                f"{where}: optimizer state of {key!r}, which this network has not; "
                f"move the .pdopt file away to start the optimizer anew"
            )
        restored[f"{parameters[name].name}_{suffix}"] = paddle.to_tensor(np.asarray(value))
    optimizer.set_state_dict(restored)
