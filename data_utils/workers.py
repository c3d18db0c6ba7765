"""Worker processes: how many there may be, and pools of them that leave nothing behind."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from data_utils.errors import InputError

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spawn_pool(
    num_workers: int, initializer: Callable[..., Any] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """A pool of spawned processes; forked ones would inherit Paddle's threads, which die of it.

    Its workers leave Ctrl-C and SIGTERM to their parent and end when it is gone, killed too.

    Args:
        num_workers: processes.
        initializer: called once in each process as it starts.
        arguments: of the initializer.
    """
    # A worker is one thread; NumPy's BLAS reads this as the worker starts.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return ProcessPoolExecutor(
        num_workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(initializer, arguments),
    )


def spawned_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_workers: int,
    *,
    cure: str,
    chunksize: int = 1,
    initializer: Callable[..., Any] | None = None,
    arguments: tuple[Any, ...] = (),
) -> Iterator[Result]:
    """`function` of each item, computed by spawned processes, in the order of the items.

    Args:
        function: named in a module, so that it can be sent to a process.
        items: what to send to it.
        num_workers: processes.
        cure: end of the line that says that a worker died: what became of the work, what to do.
        chunksize: items that are sent to a process at a time.
        initializer: called once in each process as it starts.
        arguments: of the initializer.

    Raises:
        InputError: a worker died; Python would show a traceback of its own innards.
    """
    pool = spawn_pool(num_workers, initializer, *arguments)
    try:
        yield from pool.map(function, items, chunksize=chunksize)
    except BrokenProcessPool:
        raise InputError(f"a worker process died (killed, or out of memory); {cure}") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(initializer: Callable[..., Any] | None, arguments: tuple[Any, ...]) -> None:
    # Both mean the parent, which may have to finish a step with their batches; they end with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a spawned process"
    parent.join()
    os._exit(1)
