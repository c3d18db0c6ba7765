"""From a song to its stems with a trained separator."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.separation.settings import STEMS, StemSettings
from data_utils.separation.stems import stem_shares
from inference.masking import Masking, Spectrum, write_parts
from model_utils.description import needed
from model_utils.separator import Separator
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint


class SeparationPredictor:
    """Takes recordings apart with the model of one checkpoint.

    Args:
        saved: the checkpoint; Paddle is set up already, see `loading.load_separator`.
        settings: how bins are shared, and what becomes of those above what the networks hear.

    Raises:
        InputError: the checkpoint cannot be used.
    """

    def __init__(self, saved: Checkpoint, settings: StemSettings | None = None) -> None:
        self.separator = Separator.of(needed(saved.info, saved.path), str(saved.path))
        self.settings = settings or StemSettings()
        self.hearing = self.separator.hearing
        self.masking = Masking(self.separator.stft, self.hearing.rate, STEMS, self.separator.blocks)
        self.network = self.separator.build()
        checkpoint.set_weights(self.network, saved)
        self.network.eval()

    def separate(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The stems of one channel.

        Args:
            samples: float32 [n] at the rate of the model.

        Returns:
            Float32 [2, n] in the order of `STEMS`; they sum to `samples`, unless `mask_extension`
            leaves something out.
        """
        return np.concatenate(list(self.masking.waves([samples], self.stems)), axis=1)

    def separate_file(
        self,
        source: str,
        targets: list[Path],
        progress: Callable[[int], object] = lambda samples: None,
    ) -> None:
        """Write the stems of a recording of any length, see `masking.write_parts`."""
        write_parts(source, targets, self.masking, self.stems, progress)

    def speech(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """What a recogniser is to hear of `samples`: the vocals."""
        return self.separate(samples)[STEMS.index("vocals")]

    def speech_masks(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The share of vocals in each unit of the frames that fit whole, float32 [frames, bins]."""
        heard = self.hearing.magnitudes(samples)
        parts = [
            self.shares(block)[STEMS.index("vocals"), first:last]
            for block, first, last in self.masking.divided([heard])
        ]
        return np.concatenate(parts)

    def stems(self, spectrum: Spectrum) -> Spectrum:
        """The spectra of the stems of at most T frames: [frames, bins] -> [2, frames, bins]."""
        return self.shares(np.abs(spectrum[:, : self.hearing.bins])) * spectrum

    def shares(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        """What each stem gets of at most T frames: [frames, F] -> float32 [2, frames, bins]."""
        import paddle

        frames = len(heard)
        padded = np.zeros((1, self.masking.blocks.size, self.hearing.bins), np.float32)
        padded[0, :frames] = heard
        with paddle.no_grad():
            masks = self.network(
                paddle.to_tensor(padded), paddle.to_tensor(np.array([frames], np.int64))
            ).numpy()
        bins = self.masking.stft.bins
        return stem_shares(heard, masks[0, :, :frames], bins, self.settings)
