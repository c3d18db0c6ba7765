"""A mask network in front of a recogniser: what it takes out, the recogniser does not hear."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_utils import features
from data_utils.audio import SAMPLE_RATE, resample
from data_utils.hearing import at_bins
from data_utils.settings import FeatureSettings
from inference.enhancement import EnhancementPredictor
from inference.separation import SeparationPredictor
from model_utils.description import needed, task_of
from model_utils.trainer.checkpoint import Checkpoint

Array = NDArray[np.float32]


class FrontEnd:
    """Power spectra of which a mask has taken the noise.

    Where the network's frames are those of the recogniser, its masks are applied to these, so that
    every kind of feature follows without a way back to a wave. Another rate, window or hop goes
    through the wave.

    Args:
        saved: checkpoint of an enhancer, or of a separator whose vocals are meant; Paddle is set up
            already.
        settings: features of the recogniser.
        observation: share of the unprocessed signal that is kept, 0 to 1.

    Raises:
        InputError: the checkpoint cannot be used.
    """

    def __init__(self, saved: Checkpoint, settings: FeatureSettings, observation: float) -> None:
        is_separator = task_of(needed(saved.info, saved.path)) == "separation"
        model = SeparationPredictor if is_separator else EnhancementPredictor
        self.model: SeparationPredictor | EnhancementPredictor = model(saved)
        self.settings = settings
        self.observation = observation
        self.shares_frames = self.model.hearing.shares_frames(settings)

    def power(self, samples: Array) -> Array:
        """What `features.power_spectrum` gives, masked: float32 [frames, n_fft // 2 + 1].

        Args:
            samples: float32 [n] at 16 kHz, as `features.prepare` gives them.

        Raises:
            AudioError: they are shorter than one frame.
        """
        return self.powers(samples, [self.observation])[0]

    def powers(self, samples: Array, observations: Sequence[float]) -> list[Array]:
        """What `power` gives for each of several shares of the unprocessed signal.

        The network, most of the work, hears the samples once.

        Args:
            samples: as of `power`.
            observations: shares, 0 to 1.

        Raises:
            AudioError: the samples are shorter than one frame.
        """
        if not self.shares_frames:
            speech = self._speech(samples)
            return [
                features.power_spectrum(_kept(share, samples, speech), self.settings)
                for share in observations
            ]
        plain = features.power_spectrum(samples, self.settings)
        masks = at_bins(self.model.speech_masks(samples), plain.shape[1])
        return [plain * np.square(_kept(share, 1.0, masks)) for share in observations]

    def _speech(self, samples: Array) -> Array:
        rate = self.model.hearing.rate
        speech = resample(
            self.model.speech(resample(samples, SAMPLE_RATE, rate)), rate, SAMPLE_RATE
        )
        # Rounding of the two ways may leave a sample more or less.
        return np.pad(speech, (0, max(0, len(samples) - len(speech))))[: len(samples)]


def _kept(share: float, whole: Array | float, part: Array) -> Array:
    return np.float32(share) * whole + (1 - np.float32(share)) * part
