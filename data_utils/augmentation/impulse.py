"""Impulse: the wave as it sounds in a room whose impulse response was recorded."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.augmentation.recorded import RecordedEffect
from data_utils.settings import option


@dataclass(frozen=True)
class ImpulseParams:
    """Which recording of the manifest."""

    recording: int


@dataclass(frozen=True, kw_only=True)
class Impulse(RecordedEffect[ImpulseParams]):
    """Convolves the wave with a random impulse response of `impulse_manifest_path`.

    The direct sound, the largest value of the response, keeps its place in time; length and level
    (root mean square) stay.
    """

    name: ClassVar[str] = "impulse"
    chinese: ClassVar[str] = "混响"
    domain: ClassVar[Literal["wave", "features"]] = "wave"

    impulse_manifest_path: str = option(
        "dataset/manifest.impulse", "manifest of the impulse responses"
    )

    @property
    def manifest_path(self) -> str:
        """Of the recordings."""
        return self.impulse_manifest_path

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> ImpulseParams:
        """Draw the response."""
        return ImpulseParams(int(rng.integers(len(self.sounds))))

    def apply(self, array: NDArray[np.float32], params: ImpulseParams) -> NDArray[np.float32]:
        """The wave with its echoes, float32 `[samples]`."""
        response = self.sounds.whole(params.recording)
        return array if response is None else reverberate(array, response)


def reverberate(samples: NDArray[np.float32], response: NDArray[np.float32]) -> NDArray[np.float32]:
    """`samples` convolved with `response`: aligned with it, as long and as loud.

    Args:
        samples: float32 `[samples]`.
        response: float32 `[response samples]`, at the same rate.
    """
    from scipy.signal import fftconvolve

    direct = int(np.argmax(np.abs(response)))
    wet = fftconvolve(samples.astype(np.float64), response.astype(np.float64))
    wet = wet[direct : direct + len(samples)]
    before, after = np.sqrt(np.mean(np.square(samples, dtype=np.float64))), np.sqrt(np.mean(wet**2))
    return (wet * (before / after)).astype(np.float32) if after > 0 else samples
