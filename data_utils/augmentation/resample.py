"""Resample: the wave as if recorded at a lower sample rate."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE, resample
from data_utils.augmentation.effect import Effect
from data_utils.errors import InputError
from data_utils.settings import option


@dataclass(frozen=True)
class ResampleParams:
    """The rate in Hz to which the wave is brought, and back."""

    rate: int


@dataclass(frozen=True, kw_only=True)
class Resample(Effect[ResampleParams]):
    """Resamples to a lower rate and back to 16 kHz: what lies above half the lower rate is lost.

    Rates of 16 kHz and more, which files of older packages list, lose nothing and change nothing.
    """

    name: ClassVar[str] = "resample"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    new_sample_rate: int | tuple[int, ...] = option(
        8000, "the lower rate, or a list to draw from", unit="Hz", minimum=1000, maximum=192000
    )

    def check(self) -> None:
        """Raise InputError where no rate would change anything."""
        if min(self.rates) >= SAMPLE_RATE:
            raise InputError(
                f"new_sample_rate: {min(self.rates)} Hz loses nothing; "
                f"give a rate below {SAMPLE_RATE}"
            )

    @property
    def rates(self) -> tuple[int, ...]:
        """The rates to draw from, in Hz."""
        given = self.new_sample_rate
        return (given,) if isinstance(given, int) else tuple(given)

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> ResampleParams:
        """Draw one of the rates."""
        return ResampleParams(self.rates[int(rng.integers(len(self.rates)))])

    def apply(self, array: NDArray[np.float32], params: ResampleParams) -> NDArray[np.float32]:
        """The wave without its higher frequencies, float32 `[samples]`."""
        if params.rate >= SAMPLE_RATE:
            return array
        narrow = resample(resample(array, SAMPLE_RATE, params.rate), params.rate, SAMPLE_RATE)
        # Rounding to whole samples on the way may have cost or added a few at the end.
        result = np.zeros_like(array)
        kept = min(len(narrow), len(array))
        result[:kept] = narrow[:kept]
        return result
