"""Source separation: U-Nets trained on the magnitudes of songs and of their stems."""

from collections.abc import Callable
from typing import Any

import paddle
from paddle import Tensor

from data_utils.separation.dataset import SongChunks, StemBatch
from data_utils.separation.settings import STEMS
from data_utils.settings import BatchSettings
from model_utils.mask_losses import mean_error
from model_utils.separator import Separator
from model_utils.settings import StemLossSettings
from model_utils.tasks.batches import BatchedTask
from model_utils.trainer.task import Score


class SeparationTask(BatchedTask[StemBatch]):
    """The separator's training, as the trainer sees it. Nothing is scored: see tools/separate.py.

    Args:
        separator: what the networks hear.
        chunks: what is trained on.
        batching: how batches are made.
        seed: of weights and order.
        parts: batches as `batching` describes them that each process computes before a step.
        loss: how far from the stems the masked mixture is.
    """

    def __init__(
        self,
        separator: Separator,
        chunks: SongChunks,
        batching: BatchSettings,
        seed: int,
        parts: int = 1,
        loss: StemLossSettings | None = None,
    ) -> None:
        super().__init__(chunks, {}, batching, seed, parts)
        self.separator = separator
        self.loss = loss or StemLossSettings()
        paddle.seed(seed)
        self.network = separator.build()

    def losses(self, batch: StemBatch) -> Tensor:
        """Loss of each chunk [batch]: the mean over its stems."""
        if not len(batch):
            return self.no_losses()
        mixture, frames = paddle.to_tensor(batch.mixture), paddle.to_tensor(batch.frames)
        masks = self.network(mixture, frames).astype("float32")
        stems = paddle.to_tensor(batch.stems)
        errors = [
            mean_error(masks[:, number] * mixture, stems[:, number], frames, self.loss.loss)
            for number in range(len(STEMS))
        ]
        return paddle.add_n(errors) / len(errors)

    def nothing(self) -> Tensor:
        """What the network gives for a block of silence that nobody hears."""
        songs = self.separator.songs
        silence = paddle.zeros([1, songs.T, songs.F])
        return self.network(silence, paddle.zeros([1], dtype="int64"))

    def score(self, name: str, batch_done: Callable[[], None] = lambda: None) -> Score:
        """Nothing is scored."""
        raise AssertionError(f"no set to score: {name}")

    def describe(self) -> dict[str, Any]:
        """What a checkpoint holds beside the weights."""
        return self.separator.describe()
