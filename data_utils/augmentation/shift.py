"""Shift: the utterance begins a little earlier or later."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE
from data_utils.augmentation.effect import Effect
from data_utils.settings import option


@dataclass(frozen=True)
class ShiftParams:
    """How much later, in ms; negative for earlier."""

    shift_ms: float


@dataclass(frozen=True, kw_only=True)
class Shift(Effect[ShiftParams]):
    """Moves the wave in time; the length stays, what leaves is lost, zeros take the free place.

    Positive is later.
    """

    name: ClassVar[str] = "shift"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    min_shift_ms: float = option(-5.0, "most to the left", unit="ms", minimum=-5000, maximum=5000)
    max_shift_ms: float = option(5.0, "most to the right", unit="ms", minimum=-5000, maximum=5000)

    def check(self) -> None:
        """Raise InputError where the bounds are exchanged."""
        self.check_order("min_shift_ms", "max_shift_ms")

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> ShiftParams:
        """Draw the shift."""
        return ShiftParams(float(rng.uniform(self.min_shift_ms, self.max_shift_ms)))

    def apply(self, array: NDArray[np.float32], params: ShiftParams) -> NDArray[np.float32]:
        """The moved wave, float32 `[samples]`."""
        later = round(params.shift_ms * SAMPLE_RATE / 1000)
        kept = max(len(array) - abs(later), 0)
        moved = np.zeros_like(array)
        if later >= 0:
            moved[len(array) - kept :] = array[:kept]
        else:
            moved[:kept] = array[len(array) - kept :]
        return moved
