"""What `accuracy` measures of PyTorch, in an environment without this package."""

import itertools
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.answering import answer
from benchmarks.train_peers import Training, read_batch


class Epochs:
    """A training on the batches that it is given."""

    def start(self, folder: str, told: dict[str, Any]) -> None:
        """Set the training up with the weights in `folder`."""
        self.folder = Path(folder)
        self.training = Training(self.folder, told, packed=True)

    def train(self, rates: list[float]) -> dict[str, Any]:
        """Train an epoch, a step with each rate: its seconds, and what is recognised behind it."""
        started = time.perf_counter()
        paths = sorted((self.folder / "train").iterdir())
        for path, rate in zip(paths, rates, strict=True):
            self.training.step(read_batch(path), rate)
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "hypotheses": self._recognised()}

    def _recognised(self) -> list[list[int]]:
        """Token ids of each utterance that is scored: the best of each frame, without repeats."""
        network = self.training.network.eval()
        found = []
        with torch.inference_mode():
            for path in sorted((self.folder / "dev").iterdir()):
                features, frames, *_ = read_batch(path)
                logits, lengths = network(features, frames)
                for best, length in zip(logits.argmax(-1).tolist(), lengths.tolist(), strict=True):
                    found.append([key for key, _ in itertools.groupby(best[:length]) if key])
        return found


if __name__ == "__main__":
    epochs = Epochs()
    answer(start=epochs.start, train=epochs.train)
