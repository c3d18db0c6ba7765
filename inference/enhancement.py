"""From noisy speech to cleaner speech with a trained enhancer."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import level_db
from inference.masking import Masking, Separate, Spectrum, level_of, write_parts
from model_utils.description import needed
from model_utils.enhancer import Enhancer
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint


class EnhancementPredictor:
    """Takes noise out of recordings with the model of one checkpoint.

    Args:
        saved: the checkpoint; Paddle is set up already, see `loading.load_enhancer`.
        observation: share of the unprocessed signal that is kept, 0 to 1.

    Raises:
        InputError: the checkpoint cannot be used.
    """

    def __init__(self, saved: Checkpoint, observation: float = 0.0) -> None:
        self.enhancer = Enhancer.of(needed(saved.info, saved.path), str(saved.path))
        self.observation = observation
        self.hearing = self.enhancer.hearing
        self.masking = Masking(
            self.enhancer.stft, self.hearing.rate, ("enhanced",), self.enhancer.blocks
        )
        self.network = self.enhancer.build()
        checkpoint.set_weights(self.network, saved)
        self.network.eval()

    def enhance(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """One channel without its noise.

        Args:
            samples: float32 [n] at the rate of the model, at any level.

        Returns:
            Float32 [n] at the same level.
        """
        waves = self.masking.waves([samples], self.cleaner(level_db(samples)))
        return np.concatenate(list(waves), axis=1)[0]

    def enhance_file(
        self,
        source: str,
        target: Path,
        progress: Callable[[int], object] = lambda samples: None,
    ) -> None:
        """Write a recording of any length without its noise, see `masking.write_parts`.

        Raises:
            AudioError: it cannot be read, or it is silent.
            InputError: the result cannot be written.
        """
        level = level_of(source, self.masking.rate)
        write_parts(source, [target], self.masking, self.cleaner(level), progress)

    def speech(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a recogniser is to hear of `samples`, see `enhance`."""
        return self.enhance(samples)

    def speech_masks(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The share of speech in each unit of the frames that fit whole, float32 [frames, bins]."""
        heard = self.hearing.magnitudes(samples)
        parts = [
            self.masks(block)[first:last] for block, first, last in self.masking.divided([heard])
        ]
        return np.concatenate(parts)

    def cleaner(self, level: float) -> Separate:
        """What takes the noise out of a recording's spectrum.

        Args:
            level: of the recording, in dBFS; the network is used to mixtures of one level.
        """
        gain = self.hearing.gain(level)

        def clean(spectrum: Spectrum) -> Spectrum:
            mask = self.masks(gain * np.abs(spectrum))
            kept = self.observation + (1 - self.observation) * mask
            return (kept * spectrum)[np.newaxis].astype(np.complex64)

        return clean

    def masks(self, magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's masks: float32 [frames, bins] at -25 dBFS -> likewise, 0 to 1."""
        # Imports Paddle, which the constructor has set up.
        from model_utils.tasks.enhancement import mask_of

        return mask_of(self.network, magnitudes)
