"""What a mask network hears of a recording, and its masks at other bins than its own."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_utils import features
from data_utils.audio import SAMPLE_RATE, level_db
from data_utils.settings import FeatureSettings
from data_utils.stft import Stft, spectrum


@dataclass(frozen=True)
class Hearing:
    """The spectra of one mask network."""

    stft: Stft
    rate: int
    """Hz of the samples."""
    bins: int
    """Bins that it hears, the lowest of those of `stft`."""
    level_db: float | None = None
    """RMS level (dBFS) to which recordings are brought for it; None: any will do."""

    def gain(self, level: float) -> np.float32:
        """The factor that brings a recording of `level` dBFS to that of the network."""
        if self.level_db is None or level == -np.inf:
            return np.float32(1)
        return np.float32(10 ** ((self.level_db - level) / 20))

    def shares_frames(self, settings: FeatureSettings) -> bool:
        """Whether its frames are those of a recogniser with such features."""
        return (self.rate, self.stft.win_length, self.stft.hop_length) == (
            SAMPLE_RATE,
            features.window_length(settings),
            features.hop_length(settings),
        )

    def magnitudes(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What it hears of `samples` [n], float32 [frames, bins].

        The frames that fit whole: where frames are shared, those of `features.power_spectrum`. The
        samples hold one at least.
        """
        frames = spectrum(
            samples.astype(np.float32, copy=False),
            self.stft.win_length,
            self.stft.hop_length,
            self.stft.n_fft,
        )
        return self.gain(level_db(samples)) * np.abs(frames[:, : self.bins])


def at_bins(masks: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Masks of a transform of another length: [frames, bins] -> [frames, count], interpolated.

    Both reach from 0 Hz to half the rate.
    """
    if masks.shape[1] == count:
        return masks
    places = np.linspace(0, masks.shape[1] - 1, count)
    low = np.minimum(places.astype(int), masks.shape[1] - 2)
    share = (places - low).astype(np.float32)
    return (1 - share) * masks[:, low] + share * masks[:, low + 1]
