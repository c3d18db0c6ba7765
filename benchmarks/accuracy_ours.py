"""What `accuracy` measures of this package: a training, epoch by epoch."""

import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.answering import answer
from benchmarks.train_ours import Training, write_batch
from data_utils.manifest import Manifest
from data_utils.settings import BatchSettings, CorpusSettings
from model_utils.recognition import scoring_order
from scoring.error_rate import ErrorCounts, character_errors


class Epochs:
    """A training whose batches others get too."""

    def start(self, arguments: list[str], folder: str) -> dict[str, Any]:
        """Set the training up; hand its weights over, and the batches that are scored.

        Returns:
            What `Training.hand_over` tells.
        """
        self.folder, self.epoch = Path(folder), 0
        self.training = Training(arguments)
        options, recogniser = self.training.job.options, self.training.task.recogniser
        self.vocabulary = recogniser.vocabulary
        manifest = options[CorpusSettings].dev_manifest
        assert manifest is not None, "the preset scores"
        scored = recogniser.dataset(Manifest.open(manifest))
        plan = scoring_order(scored.durations, options[BatchSettings].batch_size)
        self.texts: list[str] = []
        (self.folder / "dev").mkdir()
        for number, indices in enumerate(plan):
            batch = scored.batch(indices)
            self.texts += batch.texts
            write_batch(batch, self.folder / "dev" / f"{number:05}.npz")
        return self.training.hand_over(self.folder)

    def write(self, epoch: int) -> list[float]:
        """Write the batches of an epoch, as `train` makes them too; the rate of each step."""
        place = self.folder / "train"
        shutil.rmtree(place, ignore_errors=True)  # those of the epoch before
        place.mkdir()
        rates = []
        for number, [batch] in enumerate(self.training.task.train_batches(epoch)):
            write_batch(batch, place / f"{number:05}.npz")
            rates.append(self.training.trainer.learning_rate(epoch, number))
        return rates

    def train(self) -> dict[str, float]:
        """Train another epoch: its seconds, and the error rate behind it."""
        self.epoch += 1
        started = time.perf_counter()
        for number, parts in enumerate(self.training.task.train_batches(self.epoch)):
            self.training.step(parts, self.epoch, number)
        seconds = time.perf_counter() - started
        self.training.task.network.eval()
        return {"seconds": seconds, "cer": self.training.task.score("dev").value}

    def score(self, hypotheses: list[list[int]]) -> float:
        """The error rate of what others recognised: token ids, in the order of the batches."""
        pairs = zip(self.texts, map(self.vocabulary.decode, hypotheses), strict=True)
        return sum((character_errors(*pair) for pair in pairs), ErrorCounts()).rate


if __name__ == "__main__":
    epochs = Epochs()
    answer(start=epochs.start, write=epochs.write, train=epochs.train, score=epochs.score)
