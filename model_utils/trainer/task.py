"""What a task hands to the trainer: batches, a network, a loss per item, a score."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from paddle import Tensor, nn

BatchType = TypeVar("BatchType")


@dataclass(frozen=True)
class Score:
    """The outcome of scoring one set of data; lower is better."""

    name: str
    """What is measured, "cer"."""
    value: float
    detail: str = ""
    """What the value is made of, for the log."""


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

    def train_batches(self, epoch: int, start: int = 0) -> Iterator[BatchType]:
        """The batches of `epoch` (from 1) from number `start` on; a pure function of both."""

    def losses(self, batch: BatchType) -> Tensor:
        """Loss of each item [batch]; a batch whose items were all left out gives an empty one."""

    def problems(self, batch: BatchType) -> list[str]:
        """Items that the batch lost on the way, where and why."""

    def names(self, batch: BatchType) -> list[str]:
        """Where each item comes from, for messages."""

    def score(self, name: str) -> Score:
        """Score the network, in evaluation mode, on the set `name`."""

    def describe(self) -> dict[str, Any]:
        """What a checkpoint must hold, beside the weights, to use the network: JSON values."""
