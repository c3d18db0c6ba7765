"""What a task hands to the trainer: batches, a network, a loss per item, a score."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from paddle import Tensor, nn

BatchType = TypeVar("BatchType")


@dataclass(frozen=True)
class Sound:
    """Something to be heard beside the curves."""

    samples: NDArray[np.float32]
    """[n], full scale at 1."""
    rate: int


@dataclass(frozen=True)
class Score:
    """The outcome of scoring one set of data."""

    name: str
    """What is measured, "cer"."""
    value: float
    higher_is_better: bool = False
    detail: str = ""
    """What the value is made of, for the log."""
    collapse: str = ""
    """What shows that the network says one thing only; empty where nothing does."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """Other measures of the set by name, each a curve; none decides which epoch is best."""
    pictures: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    """What came out, to be looked at: [height, width, 3] by name."""
    sounds: Mapping[str, Sound] = field(default_factory=dict)

    def is_better_than(self, value: float) -> bool:
        """Whether it is better than another score of the same kind."""
        return self.value > value if self.higher_is_better else self.value < value


class Task(Protocol[BatchType]):
    """One job for the trainer."""

    network: nn.Layer
    score_sets: list[str]
    """Sets scored after each epoch, "dev" and "test"; the first decides what is best."""

    def left_out(self) -> Iterable[str]:
        """Items that are not trained on, where and why: what is known before training."""

    def num_batches(self) -> int:
        """Batches in every epoch."""

    def plan(self) -> dict[str, Any]:
        """What the batches of an epoch follow from, by name: JSON values.

        A place inside an epoch means nothing under another plan.
        """

    def train_batches(self, epoch: int, start: int = 0) -> Iterator[list[BatchType]]:
        """The batches of `epoch` (from 1) from number `start` on; a pure function of both.

        Of each batch the share of this process, in the parts that are computed one after the
        other. All processes get the same number of batches, and of parts.
        """

    def heaviest_batch(self) -> list[BatchType]:
        """The parts of a batch that takes as much memory as any in training."""

    def losses(self, batch: BatchType) -> Tensor:
        """Loss of each item [items].

        Where all items were left out: empty, or, where other processes wait for this one inside
        the network, [1] with a 0 that went through it.
        """

    def size(self, batch: BatchType) -> int:
        """Items of the batch that have a loss."""

    def seconds(self, batch: BatchType) -> float:
        """Seconds of recordings in the batch, of those items that have a loss."""

    def problems(self, batch: BatchType) -> list[str]:
        """Items that the batch lost on the way, where and why."""

    def names(self, batch: BatchType) -> list[str]:
        """Where each item comes from, for messages."""

    def score(self, name: str, batch_done: Callable[[], None]) -> Score:
        """Score the network, in evaluation mode, on the set `name`; all processes share the work.

        Args:
            name: one of `score_sets`.
            batch_done: to be called after each batch; what it raises ends the scoring.
        """

    def describe(self) -> dict[str, Any]:
        """What a checkpoint must hold, beside the weights, to use the network: JSON values."""
