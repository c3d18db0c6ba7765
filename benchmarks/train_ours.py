"""What `train` and `accuracy` measure of this package: steps as train.py makes them."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.answering import answer, rate
from benchmarks.memory import peak_mb, present_mb
from benchmarks.parts import Noted, noting
from data_utils.dataset import Batch
from model_utils.options import parse_task
from model_utils.settings import (
    TASKS,
    OptimisationSettings,
    RunSettings,
    ScheduleSettings,
)
from model_utils.setup.job import Job, open_job


class Training:
    """A training of train.py, before its first step."""

    def __init__(self, arguments: list[str]) -> None:
        self.job: Job = open_job(parse_task("train.py", TASKS, arguments))

        from model_utils.tasks.recognition import RecognitionTask
        from model_utils.trainer.loop import Trainer

        options, task = self.job.options, self.job.task
        assert isinstance(task, RecognitionTask), "the options are of the recogniser"
        self.task = task
        self.trainer = Trainer(
            task,
            options[OptimisationSettings],
            options[ScheduleSettings],
            options[RunSettings],
            self.job.device,
            options.as_dict(),
        )
        self.updater = self.trainer.updater
        self.done = 0

    def step(self, parts: list[Batch], epoch: int, batch: int) -> float:
        """The mean loss of a step's items, before it."""
        self.task.network.train()
        learning_rate = self.trainer.learning_rate(epoch, batch)
        outcome = self.updater.step(parts, learning_rate, self.done)
        self.done += 1
        return outcome.loss

    def hand_over(self, folder: Path) -> dict[str, Any]:
        """Write the weights for others, into `weights.npz`; all that they must know beside."""
        from model_utils.trainer import checkpoint

        weights = checkpoint.weights_of(self.task.network)
        np.savez(folder / "weights.npz", **{name: value.numpy() for name, value in weights.items()})
        recogniser = self.task.recogniser
        return {
            "network": dataclasses.asdict(recogniser.network),
            "optimisation": dataclasses.asdict(self.job.options[OptimisationSettings]),
            "num_bins": recogniser.num_bins,
            "num_classes": len(recogniser.vocabulary),
            "threads": self.job.device.threads,
            "engine": self.job.device.engine,
        }


def write_batch(batch: Batch, path: Path) -> None:
    """Write what the network and its loss get of a batch."""
    np.savez(
        path,
        features=batch.features,
        frames=batch.frames,
        labels=batch.labels,
        label_lengths=batch.label_lengths,
    )


class Steps:
    """Steps on one batch, again and again."""

    def start(self, arguments: list[str], folder: str) -> dict[str, Any]:
        """Set the training up, and hand its weights and its batch over: `batch.npz`.

        Returns:
            What `Training.hand_over` tells; the rate of the steps; the frames of the batch.
        """
        self.training = Training(arguments)
        [self.parts] = list(self.training.task.train_batches(1))
        [batch] = self.parts
        write_batch(batch, Path(folder) / "batch.npz")
        told = self.training.hand_over(Path(folder))
        return {
            **told,
            "rate": self.training.trainer.learning_rate(1, 0),
            "batch": len(batch),
            "frames": int(batch.frames.max()),
        }

    def run(self, count: int) -> dict[str, Any]:
        """Make steps: seconds of each on average, and the loss before each."""
        started = time.perf_counter()
        losses = [self.training.step(self.parts, 1, 0) for _ in range(count)]
        return {"seconds": (time.perf_counter() - started) / count, "losses": losses}

    def parts_of_step(self) -> Noted:
        """Make a step, and note where its time goes."""
        layers = self.training.task.network.named_sublayers()
        with noting(layers, lambda tensor: not tensor.stop_gradient) as noted:
            self.training.step(self.parts, 1, 0)
        return noted


def product(size: int, seconds: float) -> float:
    """GFLOP/s of the product of two square matrices."""
    import paddle

    a, b = paddle.rand([size, size]), paddle.rand([size, size])
    return rate(lambda: paddle.matmul(a, b), 2 * size**3 / 1e9, seconds)


if __name__ == "__main__":
    steps = Steps()
    answer(
        start=steps.start,
        run=steps.run,
        parts=steps.parts_of_step,
        product=product,
        present=present_mb,
        peak=peak_mb,
    )
