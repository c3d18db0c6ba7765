"""The optimizer: from settings, and its state by the network's own names."""

from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.nn.clip import ClipGradBase

from data_utils.errors import InputError
from model_utils.settings import OptimisationSettings

_SEPARATOR = "::"


class _ScaledClip(ClipGradBase):
    """Clips the whole gradient's norm, then scales it: what is left of a gradient when dampened."""

    def __init__(self, clip: ClipGradBase | None, scale: float) -> None:
        super().__init__()
        self.clip, self.scale = clip, scale

    def _dygraph_clip(self, pairs: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
        clipped = pairs if self.clip is None else self.clip(pairs)
        return [(parameter, gradient * self.scale) for parameter, gradient in clipped]


def build_optimizer(
    settings: OptimisationSettings, network: nn.Layer
) -> paddle.optimizer.Optimizer:
    """The optimizer of the network's trained values; its rate is set at each step.

    sgd is v = momentum * v + (1 - dampening) * g, from v = 0, and a step of the rate times v, or
    with nesterov times g + momentum * v (Sutskever et al. 2013, eq. 3 and 4).

    Raises:
        InputError: settings that contradict each other.
    """
    clip = paddle.nn.ClipGradByGlobalNorm(settings.grad_clip) if settings.grad_clip else None
    common: dict[str, Any] = {"learning_rate": 0.0, "parameters": network.parameters()}
    if settings.optimizer == "adamw":
        # Decay pulls matrices towards zero; biases and the scales of normalisation stay free.
        matrices = {p.name for p in network.parameters() if p.ndim > 1}
        return paddle.optimizer.AdamW(
            **common,
            beta1=settings.beta1,
            beta2=settings.beta2,
            epsilon=settings.epsilon,
            weight_decay=settings.weight_decay,
            apply_decay_param_fun=lambda name: name in matrices,
            grad_clip=clip,
        )
    if settings.optimizer == "sgd":
        return _momentum(settings, common, clip)
    common |= {"grad_clip": clip, "weight_decay": _l2(settings.weight_decay)}
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


def _momentum(
    settings: OptimisationSettings,
    common: dict[str, Any],
    clip: ClipGradBase | None,
) -> paddle.optimizer.Optimizer:
    if settings.nesterov and (settings.dampening or not settings.momentum):
        raise InputError("--nesterov=True: needs a --momentum above 0 and --dampening=0")
    kept = 1 - settings.dampening
    return paddle.optimizer.Momentum(
        **common,
        momentum=settings.momentum,
        use_nesterov=settings.nesterov,
        weight_decay=_l2(settings.weight_decay * kept),
        grad_clip=clip if kept == 1 else _ScaledClip(clip, kept),
    )


def _l2(weight_decay: float) -> paddle.regularizer.L2Decay | None:
    return paddle.regularizer.L2Decay(weight_decay) if weight_decay else None


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
