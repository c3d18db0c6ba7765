"""Batches computed ahead of the network, in worker processes or none.

Workers are spawned, never forked: Paddle's threads do not survive a fork. A batch is a pure
function of (dataset, indices, epoch) and batches come back in the order asked for, so any number
of workers yields the same ones.
"""

import collections
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import InputError
from data_utils.workers import available_cores, spawn_pool

AHEAD_PER_WORKER = 3
"""Batches that each worker may have ready: enough to smooth long ones over, little memory."""

MAX_DEATHS = 3
"""Deaths in a row, with no batch in between, after which there is no use in new workers."""


Batch = TypeVar("Batch", covariant=True)


class BatchSource(Protocol[Batch]):
    """Where batches come from."""

    def batch(self, indices: NDArray[np.int64], epoch: int) -> Batch:
        """The batch of these items in this epoch."""


def default_workers() -> int:
    """One for every four cores, 8 at most: on a CPU the network's own threads need the others.

    Two on four cores slow a step down, from 181 ms to 232 (3 threads, the quickstart's network).
    """
    return max(1, min(8, available_cores() // 4))


def num_loaders(num_workers: int | None) -> int:
    """Processes that load when `num_workers` are asked for: without workers it is this one."""
    return max(1, default_workers() if num_workers is None else num_workers)


class Loader(Generic[Batch]):
    """Loads batches of several datasets with one pool of workers.

    Args:
        sources: datasets by name; each worker gets a copy when it starts.
        num_workers: processes; 0 loads in this one; None for `default_workers()`.
    """

    def __init__(
        self, sources: Mapping[str, BatchSource[Batch]], num_workers: int | None = None
    ) -> None:
        self.num_workers = default_workers() if num_workers is None else num_workers
        self._sources = dict(sources)
        self._pool = self._new_pool() if self.num_workers else None

    def batches(
        self, name: str, plan: Sequence[NDArray[np.int64]], epoch: int = 0
    ) -> Iterator[Batch]:
        """The batches of `plan`, lists of items of dataset `name`, in order.

        A worker that dies is replaced, and what was not handed out yet is computed again.

        Raises:
            InputError: workers died `MAX_DEATHS` times with no batch in between.
        """
        pool = self._pool
        if pool is None:
            for indices in plan:
                yield self._sources[name].batch(indices, epoch)
            return
        waiting: collections.deque[Future[Batch]] = collections.deque()
        done = deaths = 0
        try:
            while done < len(plan):
                ahead = plan[done + len(waiting) : done + 1 + AHEAD_PER_WORKER * self.num_workers]
                try:
                    for indices in ahead:
                        waiting.append(pool.submit(_load, name, indices, epoch))
                    batch = waiting.popleft().result()
                except BrokenProcessPool:
                    deaths += 1
                    waiting.clear()
                    pool = self._replaced(pool, deaths)
                    continue
                done, deaths = done + 1, 0
                yield batch
        finally:
            for future in waiting:
                future.cancel()

    def _new_pool(self) -> ProcessPoolExecutor:
        return spawn_pool(self.num_workers, _start_worker, self._sources)

    def _replaced(self, broken: ProcessPoolExecutor, deaths: int) -> ProcessPoolExecutor:
        """A pool of new workers in the place of one that a death made useless."""
        if self._pool is broken:
            broken.shutdown()
            self._pool = self._new_pool()
            if deaths < MAX_DEATHS:
                print(
                    "warning: a data worker died (killed, or out of memory); new ones are started",
                    file=sys.stderr,
                )
        # Else the batches of another dataset, which shared the pool, replaced it already.
        if deaths == MAX_DEATHS:
            raise InputError(
                f"data workers died {MAX_DEATHS} times in a row (killed, or out of memory); "
                f"--num_workers=1 takes less memory, --num_workers=0 loads without workers"
            )
        assert self._pool is not None, "only a loader with workers can lose one"
        return self._pool

    def close(self) -> None:
        """Stop the workers, as soon as the batches they are at are done."""
        if self._pool is not None:
            # Waiting: at exit Python would else write to a pipe that its own thread just closes.
            self._pool.shutdown(cancel_futures=True)

    def __enter__(self) -> "Loader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_worker_sources: dict[str, BatchSource[Any]] = {}


def _start_worker(sources: dict[str, BatchSource[Any]]) -> None:
    _worker_sources.update(sources)


def _load(name: str, indices: NDArray[np.int64], epoch: int) -> Any:
    return _worker_sources[name].batch(indices, epoch)
