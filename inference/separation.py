"""From a song to its stems with a trained separator."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.separation.settings import STEMS, MaskExtension
from data_utils.separation.stems import stem_spectra
from inference.masking import Masking, Spectrum, write_parts
from model_utils import runtime
from model_utils.description import needed
from model_utils.separator import Separator
from model_utils.settings import DeviceSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

CONTEXT = 1 / 16
"""Share of a block, at its beginning and at its end, that is left to the neighbouring blocks."""


class SeparationPredictor:
    """Takes recordings apart with the model of one checkpoint.

    Args:
        model: path of a `.pdparams` file, or a checkpoint already read.
        device: what to compute on; by default a GPU if there is one.
        mask_extension: what becomes of the bins above those that the networks hear.

    Raises:
        InputError: the checkpoint cannot be used.
    """

    def __init__(
        self,
        model: str | Path | Checkpoint,
        device: DeviceSettings | None = None,
        mask_extension: MaskExtension = "average",
    ) -> None:
        saved = model if isinstance(model, Checkpoint) else checkpoint.load(model, optimizer=False)
        self.separator = Separator.of(needed(saved.info, saved.path), str(saved.path))
        self.mask_extension = mask_extension
        songs = self.separator.songs
        context = int(CONTEXT * songs.T)
        self.masking = Masking(
            self.separator.stft, songs.sample_rate, STEMS, songs.T, context, context
        )
        runtime.prepare(device or DeviceSettings())
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

    def stems(self, spectrum: Spectrum) -> Spectrum:
        """The spectra of the stems of at most T frames: [frames, bins] -> [2, frames, bins]."""
        import paddle

        songs, frames = self.separator.songs, len(spectrum)
        heard = np.zeros((1, songs.T, songs.F), np.float32)
        heard[0, :frames] = np.abs(spectrum[:, : songs.F])
        with paddle.no_grad():
            masks = self.network(
                paddle.to_tensor(heard), paddle.to_tensor(np.array([frames], np.int64))
            ).numpy()
        return stem_spectra(spectrum, masks[0, :, :frames], self.mask_extension)
