"""Worker processes: how many there may be, and pools of them that leave nothing behind."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spawn_pool(
    num_workers: int, initializer: Callable[..., Any] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """A pool of spawned processes; forked ones would inherit Paddle's threads, which die of it.

    Its workers leave Ctrl-C to their parent and end when the parent is gone, killed too.

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


def _start(initializer: Callable[..., Any] | None, arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a spawned process"
    parent.join()
    os._exit(1)
