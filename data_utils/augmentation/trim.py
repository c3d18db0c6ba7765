"""Trim: the pauses before and after the speech become shorter."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE, SILENCE_DB
from data_utils.augmentation.effect import Effect
from data_utils.settings import option

FRAME = SAMPLE_RATE // 100
"""Samples whose level is taken together: 10 ms."""
LOUD = 10
"""Frames that are as loud as the loud parts of the speech; a click is shorter."""


@dataclass(frozen=True)
class TrimParams:
    """The longest pause that stays, in ms."""

    before_ms: float
    after_ms: float


@dataclass(frozen=True, kw_only=True)
class Trim(Effect[TrimParams]):
    """Cuts off what is longer of the pauses at both ends; pauses within the speech stay.

    A pause is what lies `depth_dB` or more below the loud parts, by the RMS level of frames of
    10 ms. A clip of one loudness, silence or noise, has none and is left alone.
    """

    name: ClassVar[str] = "trim"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    min_pause_ms: float = option(50.0, "least that stays", unit="ms", minimum=0, maximum=10000)
    max_pause_ms: float = option(350.0, "most that stays", unit="ms", minimum=0, maximum=10000)
    depth_dB: float = option(
        35.0, "what is so far below the loud parts is pause", unit="dB", minimum=1, maximum=100
    )

    def check(self) -> None:
        """Raise InputError where the bounds are exchanged."""
        self.check_order("min_pause_ms", "max_pause_ms")

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> TrimParams:
        """Draw what stays of the pauses."""
        before, after = rng.uniform(self.min_pause_ms, self.max_pause_ms, 2)
        return TrimParams(float(before), float(after))

    def apply(self, array: NDArray[np.float32], params: TrimParams) -> NDArray[np.float32]:
        """The part with the speech, float32 `[samples - cut]`."""
        count = len(array) // FRAME
        if count == 0:
            return array
        power = (array[: count * FRAME].reshape(count, FRAME) ** 2).mean(axis=1)
        levels = 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DB / 10)))
        loud = np.sort(levels)[-min(LOUD, count)]
        speech = np.flatnonzero(levels > loud - self.depth_dB)
        begin = speech[0] * FRAME - round(params.before_ms * SAMPLE_RATE / 1000)
        # The samples behind the last whole frame belong to it.
        end = len(array) if speech[-1] == count - 1 else (speech[-1] + 1) * FRAME
        end += round(params.after_ms * SAMPLE_RATE / 1000)
        return array[max(0, begin) : end]
