"""Speed: tempo and pitch change together, as on a tape that runs faster or slower."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE, resample
from data_utils.augmentation.effect import Effect
from data_utils.errors import InputError
from data_utils.settings import option


@dataclass(frozen=True)
class SpeedParams:
    """How many times faster."""

    rate: float


@dataclass(frozen=True, kw_only=True)
class Speed(Effect[SpeedParams]):
    """Plays the wave `rate` times faster.

    The length becomes 1 / rate of what it was; a rate above 1 shortens and raises the pitch
    (Ko et al. 2015, "Audio Augmentation for Speech Recognition").
    """

    name: ClassVar[str] = "speed"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    min_speed_rate: float = option(0.9, "slowest", minimum=0.5, maximum=2.0)
    max_speed_rate: float = option(1.1, "fastest", minimum=0.5, maximum=2.0)
    num_rates: int | None = option(
        3, "how many rates, evenly spaced from slowest to fastest; -1 or null for any between"
    )

    def check(self) -> None:
        """Raise InputError where the bounds are exchanged or the number of rates is no number."""
        self.check_order("min_speed_rate", "max_speed_rate")
        if self.num_rates is not None and self.num_rates != -1 and self.num_rates < 1:
            raise InputError(
                f"num_rates: at least 1 expected, or -1 for any rate, found {self.num_rates}"
            )

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> SpeedParams:
        """Draw one of the rates, or any rate between the bounds."""
        if self.num_rates is None or self.num_rates == -1:
            return SpeedParams(float(rng.uniform(self.min_speed_rate, self.max_speed_rate)))
        rates = np.linspace(self.min_speed_rate, self.max_speed_rate, self.num_rates)
        return SpeedParams(float(rng.choice(rates)))

    def apply(self, array: NDArray[np.float32], params: SpeedParams) -> NDArray[np.float32]:
        """The wave played faster, float32 `[samples / rate]`; the same array at rate 1."""
        # Read as recorded at a higher rate, then brought back. One Hz of 16,000 is fine enough,
        # and 1.0 from `linspace`, which may be off by a rounding error, is the identity.
        recorded = round(SAMPLE_RATE * params.rate)
        return array if recorded == SAMPLE_RATE else resample(array, recorded, SAMPLE_RATE)
