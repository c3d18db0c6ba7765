"""What every task does alike: a dataset in batches, shared by processes, loaded ahead."""

import itertools
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from data_utils import sampling
from data_utils.loader import BatchSource, Loader
from data_utils.settings import BatchSettings
from model_utils import distributed
from model_utils.trainer.task import Score


class Batch(Protocol):
    """What a task's network gets at once."""

    @property
    def items(self) -> list[int]:
        """Which items of the dataset are in it."""

    @property
    def problems(self) -> list[str]:
        """Items that it lost on the way, where and why."""


BatchType = TypeVar("BatchType", bound=Batch)
Loaded = TypeVar("Loaded", covariant=True)


class TrainingSet(BatchSource[Loaded], Protocol[Loaded]):
    """A dataset whose items can be put into batches of similar duration."""

    @property
    def durations(self) -> NDArray[np.float32]:
        """Seconds of each item [items]."""

    def where(self, index: int) -> str:
        """Where an item comes from, for messages."""


class BatchedTask(ABC, Generic[BatchType]):
    """A task (see `trainer.task.Task`) on a training set.

    Its batches are drawn here, shared among processes and parts, and loaded ahead; a subclass knows
    the network, its loss and its score.

    Args:
        training: what is trained on.
        scored: what is scored, by name; loaded by the same workers.
        batching: how batches are made.
        seed: of the order.
        parts: batches as `batching` describes them that each process computes before a step.
    """

    network: nn.Layer

    def __init__(
        self,
        training: TrainingSet[BatchType],
        scored: Mapping[str, BatchSource[Any]],
        batching: BatchSettings,
        seed: int,
        parts: int,
    ) -> None:
        self.training = training
        self.score_sets = list(scored)
        self.batching = batching
        self.seed = seed
        self.parts = parts
        self.shares = parts * distributed.world_size()
        self._told: set[str] = set()
        self._num_batches = sampling.num_batches(training.durations, batching, self.shares)
        self._loader: Loader[Any] = Loader({"train": training, **scored}, batching.num_workers)

    def num_batches(self) -> int:
        """Batches in every epoch."""
        return self._num_batches

    def plan(self) -> dict[str, Any]:
        """What the batches of an epoch follow from."""
        seconds = self.batching.batch_seconds
        durations = self.training.durations
        return {
            "items": len(durations),
            "durations": f"{zlib.crc32(durations.tobytes()):08x}",
            "batch_size": self.batching.batch_size if seconds is None else None,
            "batch_seconds": seconds,
            "accumulate": self.parts,
            "devices": distributed.world_size(),
            "shuffle_method": self.batching.shuffle_method,
            "sortagrad": self.batching.sortagrad,
            "seed": self.seed,
        }

    def train_batches(self, epoch: int, start: int = 0) -> Iterator[list[BatchType]]:
        """The batches of `epoch` from number `start` on: of each the own share, in parts."""
        batches = self._plan(epoch)[start:]
        plan = [part for batch in batches for part in self._share(batch, distributed.rank())]
        loaded = self._loader.batches("train", plan, epoch)
        while parts := list(itertools.islice(loaded, self.parts)):
            yield parts

    def heaviest_batch(self) -> list[BatchType]:
        """The parts with the most frames, as without augmentation."""
        heaviest = sampling.heaviest_batch(self.training.durations, self.batching, self.shares)
        return list(self._loader.batches("train", self._share(heaviest, 0)))

    def padding_share(self, epoch: int) -> float:
        """What part of the frames of an epoch, of all processes, is padding: 0 to 1."""
        parts = [
            part
            for batch in self._plan(epoch)
            for rank in range(distributed.world_size())
            for part in self._share(batch, rank)
        ]
        return sampling.padding_share(self.training.durations, parts)

    def _plan(self, epoch: int) -> sampling.Batches:
        return sampling.epoch_batches(
            self.training.durations,
            self.batching,
            seed=self.seed,
            epoch=epoch,
            shares=self.shares,
        )

    def _share(self, batch: NDArray[np.int64], rank: int) -> sampling.Batches:
        return sampling.share(batch, rank, distributed.world_size(), self.parts)

    def size(self, batch: BatchType) -> int:
        """Items of the batch."""
        return len(batch.items)

    def seconds(self, batch: BatchType) -> float:
        """Seconds of the batch's items."""
        return float(self.training.durations[batch.items].sum())

    def problems(self, batch: BatchType) -> list[str]:
        """Items that could not be read, where and why."""
        return batch.problems

    def names(self, batch: BatchType) -> list[str]:
        """Where each item comes from."""
        return [self.training.where(index) for index in batch.items]

    def left_out(self) -> Iterable[str]:
        """Items that are not trained on, where and why: what is known before training."""
        return ()

    def _tell_once(self, problem: str) -> None:
        """Name an item that could not be scored; it is so in every epoch."""
        if problem not in self._told:
            self._told.add(problem)
            print(f"left out of the score: {problem}", file=sys.stderr)

    def no_losses(self) -> Tensor:
        """Without an item: nothing, or a zero by way of the sums over all processes."""
        if distributed.world_size() == 1:
            return paddle.zeros([0])
        return (self.nothing() * 0.0).sum().reshape([1])

    @abstractmethod
    def nothing(self) -> Tensor:
        """What the network gives for the least that it can hear."""

    @abstractmethod
    def losses(self, batch: BatchType) -> Tensor:
        """Loss of each item [items]."""

    @abstractmethod
    def score(self, name: str, batch_done: Callable[[], None]) -> Score:
        """Score the network on the set `name`."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """What a checkpoint holds beside the weights."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the loader's workers."""
        self._loader.close()
