"""A task that has nothing to do with speech, and runs of the trainer on it."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import Tensor, nn

from data_utils.errors import InputError
from model_utils.runtime import Device
from model_utils.settings import OptimisationSettings, RunSettings, ScheduleSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.loop import Trainer
from model_utils.trainer.task import Score

BATCHES = 5
PACE = {"Gradient norm", "Hours per hour", "Waiting share", "Memory MB"}
DEVICE = Device("cpu", "plain", 1)
SETTINGS = OptimisationSettings(weight_decay=0.0)
SCHEDULE = ScheduleSettings(learning_rate=0.02, lr_decay=0.9)


@dataclass(frozen=True)
class Points:
    """A batch."""

    x: np.ndarray
    y: np.ndarray
    number: int
    problems: tuple[str, ...] = ()


class Regression:
    """y = x @ [1, -2, 3], by a network with dropout (its draws must be resumed too)."""

    def __init__(self, score_sets: tuple[str, ...] = ("dev", "test")) -> None:
        paddle.seed(11)
        self.network: nn.Layer = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))
        self.score_sets = list(score_sets)
        self.scores: dict[str, list[float]] = {}
        self.poisoned: set[int] = set()
        self.empty: set[int] = set()
        self.missing: set[int] = set()
        self.unfit: list[str] = []
        self.points = 6
        self.asked: list[tuple[int, int]] = []
        self.modes: list[bool] = []

    def left_out(self) -> list[str]:
        return self.unfit

    def num_batches(self) -> int:
        return BATCHES

    def plan(self) -> dict[str, Any]:
        return {"points": self.points, "sorted": True}

    def train_batches(self, epoch: int, start: int = 0) -> Iterator[list[Points]]:
        for batch in self.batches(epoch, start):
            yield [batch]

    def heaviest_batch(self) -> list[Points]:
        return next(self.train_batches(1))

    def size(self, batch: Points) -> int:
        return len(batch.x)

    def seconds(self, batch: Points) -> float:
        return float(len(batch.x))

    def batches(self, epoch: int, start: int) -> Iterator[Points]:
        self.asked.append((epoch, start))
        for number in range(start, BATCHES):
            rng = np.random.default_rng([epoch, number])
            x = rng.normal(0, 1, (self.points, 3)).astype("float32")
            y = (x @ np.array([[1], [-2], [3]])).astype("float32")
            place = (epoch - 1) * BATCHES + number
            if place in self.missing:
                raise InputError(f"no batch {place}")
            if place in self.poisoned:
                y[2] = np.nan
            if place in self.empty:
                yield Points(x[:0], y[:0], number, (f"point {place} is lost",))
            else:
                yield Points(x, y, number)

    def losses(self, batch: Points) -> Tensor:
        self.modes.append(self.network.training)
        if not len(batch.x):
            return paddle.zeros([0])
        predicted = self.network(paddle.to_tensor(batch.x))
        return (predicted - paddle.to_tensor(batch.y)).square().flatten()

    def problems(self, batch: Points) -> list[str]:
        return list(batch.problems)

    def names(self, batch: Points) -> list[str]:
        return [f"points:{batch.number}:{row}" for row in range(len(batch.x))]

    def score(self, name: str, batch_done: Callable[[], None]) -> Score:
        batch_done()
        assert not self.network.training, "scoring is in evaluation mode"
        if name in self.scores:
            return Score("error", self.scores[name].pop(0))
        weights = self.network[0].weight.numpy() @ self.network[2].weight.numpy()
        return Score("error", float(np.abs(weights[:, 0] - [1, -2, 3]).max()), detail="a detail")

    def describe(self) -> dict[str, Any]:
        return {"task": "regression"}


def run_settings(folder: Path, **changes: Any) -> RunSettings:
    settings = RunSettings(
        num_epoch=3,
        output_model_dir=str(folder / "param"),
        log_dir=str(folder / "log"),
        log_interval=2,
        save_interval=2,
    )
    return dataclasses.replace(settings, **changes)


def train(
    folder: Path,
    task: Regression | None = None,
    resume: Path | None = None,
    schedule: ScheduleSettings = SCHEDULE,
    settings: OptimisationSettings = SETTINGS,
    **changes: Any,
) -> Trainer:
    """Train, perhaps from a checkpoint on; `changes` are of the run's settings."""
    task = task or Regression()
    trainer = Trainer(
        task, settings, schedule, run_settings(folder, **changes), DEVICE, {"an": "option"}
    )
    if resume is not None:
        trainer.resume(checkpoint.load(resume))
    trainer.train()
    return trainer


def metrics(folder: Path) -> list[dict[str, Any]]:
    """What the runs recorded, oldest run first."""
    files = sorted((folder / "log").glob("*/metrics.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def same(first: checkpoint.Checkpoint, second: checkpoint.Checkpoint) -> bool:
    """Bit for bit the same weights and optimizer."""
    assert first.optimizer is not None and second.optimizer is not None
    return all(
        a.keys() == b.keys() and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)
        for a, b in ((first.weights, second.weights), (first.optimizer, second.optimizer))
    )
