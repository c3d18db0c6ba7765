"""Noise: a part of a noise recording is added at an exact signal-to-noise ratio."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SILENCE_DB, level_db
from data_utils.augmentation.recorded import RecordedEffect
from data_utils.mixing import mix
from data_utils.settings import option


@dataclass(frozen=True)
class NoiseParams:
    """Which recording of the manifest, from where (0 to 1), and the ratio in dB."""

    recording: int
    position: float
    snr_db: float


@dataclass(frozen=True, kw_only=True)
class Noise(RecordedEffect[NoiseParams]):
    """Adds a random part of a random recording of `noise_manifest_path`.

    The power of the added part is taken over the whole utterance, pauses included. A recording
    shorter than the utterance is repeated. Silent speech and silent noise are left alone.
    """

    name: ClassVar[str] = "noise"
    chinese: ClassVar[str] = "噪声"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    min_snr_dB: float = option(10.0, "loudest noise", unit="dB", minimum=-50, maximum=100)
    max_snr_dB: float = option(50.0, "softest noise", unit="dB", minimum=-50, maximum=100)
    noise_manifest_path: str = option("dataset/manifest.noise", "manifest of the noise recordings")

    def check(self) -> None:
        """Raise InputError where the bounds are exchanged."""
        self.check_order("min_snr_dB", "max_snr_dB")

    @property
    def manifest_path(self) -> str:
        """Of the recordings."""
        return self.noise_manifest_path

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
