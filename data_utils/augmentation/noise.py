"""Noise: a part of a noise recording is added at an exact signal-to-noise ratio."""

import functools
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SILENCE_DB, level_db
from data_utils.augmentation.effect import Effect
from data_utils.augmentation.sounds import Sounds, missing
from data_utils.mixing import mix
from data_utils.settings import option


@dataclass(frozen=True)
class NoiseParams:
    """Which recording of the manifest, from where (0 to 1), and the ratio in dB."""

    recording: int
    position: float
    snr_db: float


@dataclass(frozen=True, kw_only=True)
class Noise(Effect[NoiseParams]):
    """Adds a random part of a random recording of `noise_manifest_path`.

    The power of the added part is taken over the whole utterance, pauses included. A recording
    shorter than the utterance is repeated. Silent speech and silent noise are left alone.
    """

    name: ClassVar[str] = "noise"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    min_snr_dB: float = option(10.0, "loudest noise", unit="dB", minimum=-50, maximum=100)
    max_snr_dB: float = option(50.0, "softest noise", unit="dB", minimum=-50, maximum=100)
    noise_manifest_path: str = option("dataset/manifest.noise", "manifest of the noise recordings")

    def check(self) -> None:
        """Raise InputError where the bounds are exchanged."""
        self.check_order("min_snr_dB", "max_snr_dB")

    def unavailable(self) -> str | None:
        """The line for the user where the manifest is missing or empty.

        Otherwise the manifest is opened, so that workers get it with the effect.
        """
        reason = missing(self.noise_manifest_path, "噪声")
        if reason is None:
            _ = self.sounds
        return reason

    @functools.cached_property
    def sounds(self) -> Sounds:
        """The recordings of the manifest.

        Raises:
            InputError: the manifest cannot be read.
        """
        return Sounds(self.noise_manifest_path)

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NoiseParams:
        """Draw recording, part and ratio."""
        return NoiseParams(
            recording=int(rng.integers(len(self.sounds))),
            position=float(rng.random()),
            snr_db=float(rng.uniform(self.min_snr_dB, self.max_snr_dB)),
        )

    def apply(self, array: NDArray[np.float32], params: NoiseParams) -> NDArray[np.float32]:
        """The noisy wave, float32 `[samples]`."""
        noise = self.sounds.part(params.recording, params.position, len(array))
        # A pause in the recording is not noise: amplified, it would be rounding errors.
        if noise is None or level_db(noise) < SILENCE_DB:
            return array
        return mix(array, noise, params.snr_db)[0]
