"""From a song to its stems with a trained separator."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.separation.settings import STEMS, MaskExtension
from data_utils.separation.stems import stem_shares
from inference.masking import Masking, Spectrum, write_parts
from model_utils.description import needed
from model_utils.separator import Separator
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

CONTEXT = 1 / 16
"""Share of a block, at its beginning and at its end, that is left to the neighbouring blocks."""


class SeparationPredictor:
    """Takes recordings apart with the model of one checkpoint.

    Args:
        saved: the checkpoint; Paddle is set up already, see `loading.load_separator`.
        mask_extension: what becomes of the bins above those that the networks hear.

    Raises:
        InputError: the checkpoint cannot be used.
    """

    def __init__(self, saved: Checkpoint, mask_extension: MaskExtension = "average") -> None:
        self.separator = Separator.of(needed(saved.info, saved.path), str(saved.path))
        self.mask_extension = mask_extension
        songs = self.separator.songs
        context = int(CONTEXT * songs.T)
        self.masking = Masking(
            self.separator.stft, songs.sample_rate, STEMS, songs.T, context, context
        )
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
        """The share of the vocals in each unit of `masking.stft`, float32 [frames, bins]."""
        parts = [
            self.shares(block)[STEMS.index("vocals"), first:last]
            for block, first, last in self.masking.blocks([self.masking.stft.forward(samples)])
        ]
        return np.concatenate(parts)

    def stems(self, spectrum: Spectrum) -> Spectrum:
        """The spectra of the stems of at most T frames: [frames, bins] -> [2, frames, bins]."""
        return self.shares(spectrum) * spectrum

    def shares(self, spectrum: Spectrum) -> NDArray[np.float32]:
        """What each stem gets of at most T frames: [frames, bins] -> float32 [2, frames, bins]."""
        import paddle

        songs, frames = self.separator.songs, len(spectrum)
        heard = np.zeros((1, songs.T, songs.F), np.float32)
        heard[0, :frames] = np.abs(spectrum[:, : songs.F])
        with paddle.no_grad():
            masks = self.network(
                paddle.to_tensor(heard), paddle.to_tensor(np.array([frames], np.int64))
            ).numpy()
        return stem_shares(spectrum, masks[0, :, :frames], self.mask_extension)
