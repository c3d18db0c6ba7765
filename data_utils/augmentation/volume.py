"""Volume: louder or softer than the level to which all utterances are brought."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.augmentation.effect import Effect
from data_utils.settings import option


@dataclass(frozen=True)
class VolumeParams:
    """The gain in dB."""

    gain_db: float


@dataclass(frozen=True, kw_only=True)
class Volume(Effect[VolumeParams]):
    """Multiplies the wave by a gain. Nothing is clipped, and nothing later undoes it."""

    name: ClassVar[str] = "volume"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    min_gain_dBFS: float = option(-15.0, "softest", unit="dB", minimum=-60, maximum=60)
    max_gain_dBFS: float = option(15.0, "loudest", unit="dB", minimum=-60, maximum=60)

    def check(self) -> None:
        """Raise InputError where the bounds are exchanged."""
        self.check_order("min_gain_dBFS", "max_gain_dBFS")

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> VolumeParams:
        """Draw the gain."""
        return VolumeParams(float(rng.uniform(self.min_gain_dBFS, self.max_gain_dBFS)))

    def apply(self, array: NDArray[np.float32], params: VolumeParams) -> NDArray[np.float32]:
        """The louder or softer wave, float32 `[samples]`."""
        return array * np.float32(10.0 ** (params.gain_db / 20.0))
