"""SpecAugment: time warp, frequency masks and time masks on normalised features.

Park et al. 2019, "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition",
section 2; adaptive masks: Park et al. 2020, "SpecAugment on Large Scale Datasets", section 3.1.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.augmentation.effect import Effect
from data_utils.settings import option


@dataclass(frozen=True)
class Mask:
    """The bins or frames from `start` on, `width` of them."""

    start: int
    width: int


@dataclass(frozen=True)
class Warp:
    """Frame `center` comes to stand at `center + distance`."""

    center: int
    distance: int


@dataclass(frozen=True)
class SpecAugmentParams:
    """The warp, if any, and the masks on both axes."""

    warp: Warp | None
    freq_masks: tuple[Mask, ...]
    time_masks: tuple[Mask, ...]


@dataclass(frozen=True, kw_only=True)
class SpecAugment(Effect[SpecAugmentParams]):
    """Warps the time axis, then sets bands of bins and stretches of frames to 0, their mean.

    Parameters carry the letters of the papers.
    """

    name: ClassVar[str] = "specaug"
    domain: ClassVar[Literal["wave", "features"]] = "features"

    F: int = option(10, "widest frequency mask", unit="bins", minimum=0)
    T: int = option(50, "widest time mask", unit="frames", minimum=0)
    n_freq_masks: int = option(2, "number of frequency masks", minimum=0)
    n_time_masks: int = option(2, "number of time masks", minimum=0)
    p: float = option(
        1.0, "widest time mask as a share of the utterance's frames", minimum=0.0, maximum=1.0
    )
    W: int = option(80, "largest distance of the time warp; 0 for none", unit="frames", minimum=0)
    adaptive_number_ratio: float = option(
        0.0, "time masks per frame, instead of n_time_masks; 0 for off", minimum=0.0, maximum=1.0
    )
    adaptive_size_ratio: float = option(
        0.0, "widest time mask per frame, instead of T; 0 for off", minimum=0.0, maximum=1.0
    )
    max_n_time_masks: int = option(
        20, "most time masks, where adaptive_number_ratio sets their number", minimum=0
    )

    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> SpecAugmentParams:
        """Draw the warp and the masks for features of `shape` `[frames, bins]`."""
        frames, bins = shape
        warp = self._warp(rng, frames)
        freq_masks = _masks(rng, self.n_freq_masks, self.F, bins)
        number, widest = self.time_mask_limits(frames)
        return SpecAugmentParams(warp, freq_masks, _masks(rng, number, widest, frames))

    def time_mask_limits(self, frames: int) -> tuple[int, int]:
        """The number of time masks and the width in frames that none exceeds."""
        number, widest = self.n_time_masks, self.T
        if self.adaptive_number_ratio > 0:
            number = min(int(self.adaptive_number_ratio * frames), self.max_n_time_masks)
        if self.adaptive_size_ratio > 0:
            widest = int(self.adaptive_size_ratio * frames)
        return number, min(widest, int(self.p * frames))

    def _warp(self, rng: np.random.Generator, frames: int) -> Warp | None:
        # The paper takes the point from (W, frames - W); shorter utterances have no such point.
        if self.W == 0 or frames - self.W <= self.W + 1:
            return None
        center = int(rng.integers(self.W + 1, frames - self.W))
        return Warp(center, int(rng.integers(-self.W, self.W + 1)))

    def apply(self, array: NDArray[np.float32], params: SpecAugmentParams) -> NDArray[np.float32]:
        """The warped and masked features, float32 `[frames, bins]`."""
        result = array.copy() if params.warp is None else _warped(array, params.warp)
        for mask in params.freq_masks:
            result[:, mask.start : mask.start + mask.width] = 0.0
        for mask in params.time_masks:
            result[mask.start : mask.start + mask.width] = 0.0
        return result


def _masks(rng: np.random.Generator, number: int, widest: int, size: int) -> tuple[Mask, ...]:
    """Masks on an axis of `size`: width uniform in 0..widest, then place uniform where it fits."""
    widths = rng.integers(0, min(widest, size) + 1, number)
    starts = rng.integers(0, size - widths + 1)
    return tuple(Mask(int(s), int(w)) for s, w in zip(starts, widths, strict=True))


def _warped(features: NDArray[np.float32], warp: Warp) -> NDArray[np.float32]:
    """Features whose frame at `center` moved by `distance`, the first and last frame fixed.

    On either side of the point the time axis is stretched or squeezed evenly; values between
    frames are interpolated linearly.
    """
    last = len(features) - 1
    source = np.interp(
        np.arange(last + 1), [0, warp.center + warp.distance, last], [0, warp.center, last]
    )
    before = np.minimum(source.astype(np.int64), last - 1)
    share = (source - before).astype(np.float32)[:, None]
    return features[before] * (1 - share) + features[before + 1] * share
