"""Mixed precision: the network in 16 bits where a GPU can, its losses and weights in 32."""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal

import paddle

from data_utils.errors import InputError
from model_utils.runtime import Device

FIRST_SCALE = 2.0**15
GROWTH_STEPS = 2000
"""Good steps after which the scale doubles (Micikevicius et al. 2018, section 3.2)."""


class Precision:
    """What the forward pass computes in, and the factor that keeps small gradients above zero.

    The factor is ours, not Paddle's GradScaler: all processes agree on overflows by the one
    reduction of their gradients, and a checkpoint holds the factor as a number.

    Args:
        amp: "off", "bf16", or "fp16" with a factor.
        device: that has to be a GPU for the latter two.

    Raises:
        InputError: it is not.
    """

    def __init__(self, amp: Literal["off", "bf16", "fp16"], device: Device) -> None:
        if amp != "off" and device.name == "cpu":
            raise InputError(f"--amp={amp}: mixed precision needs a GPU; leave it off")
        self._amp = amp
        self.is_scaled = amp == "fp16"
        self.scale = FIRST_SCALE if self.is_scaled else 1.0
        self._good = 0

    @property
    def is_searching(self) -> bool:
        """Whether an overflow may be the scale's fault, which is then halved."""
        return self.is_scaled and self.scale > 1

    def state(self) -> dict[str, Any]:
        """JSON values with which `restore` goes on."""
        return {"scale": self.scale, "good": self._good} if self.is_scaled else {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a run stopped."""
        if self.is_scaled and state:
            self.scale, self._good = float(state["scale"]), int(state["good"])

    def computing(self) -> AbstractContextManager[None]:
        """The forward pass inside the block is in this precision."""
        if self._amp == "off":
            return contextlib.nullcontext()
        dtype = {"bf16": "bfloat16", "fp16": "float16"}[self._amp]
        context: AbstractContextManager[None] = paddle.amp.auto_cast(level="O1", dtype=dtype)
        return context

    def judge(self, is_finite: bool) -> None:
        """Halve the scale after an overflow, double it after many steps without one."""
        if not self.is_scaled:
            return
        self._good = self._good + 1 if is_finite else 0
        if not is_finite:
            self.scale = max(1.0, self.scale / 2)
        elif self._good == GROWTH_STEPS:
            self.scale, self._good = self.scale * 2, 0
