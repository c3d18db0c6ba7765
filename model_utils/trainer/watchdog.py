"""A process that is alive but stuck, found and ended: a run is over or goes on, it never hangs."""

import faulthandler
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STUCK = 4
"""Exit code of a process that its watchdog ended."""


class Watchdog:
    """Ends this process where no step is finished for too long, and shows where it was.

    A process that waits for a stuck one is stuck too: all of them end, each with its own stack.

    Args:
        seconds: longest time for a step; None watches nothing.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._left = seconds or 0.0
        self._over = threading.Event()

    def step_done(self) -> None:
        """Note that something was finished: a step, a batch that was scored, a checkpoint."""
        self._left = self._seconds or 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside the block."""
        if self._seconds is None:
            yield
            return
        self.step_done()
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self._over.clear()

    def _watch(self) -> None:
        # Counts its own ticks: a process that was stopped or a laptop that slept is not stuck.
        tick = min(1.0, self._left / 10)
        while not self._over.wait(tick):
            self._left -= tick
            if self._left <= 0:
                self._end()

    def _end(self) -> None:
        faulthandler.dump_traceback()
        print(
            f"error: no step was finished for {self._seconds:g} s (--watchdog_seconds), see above "
            f"where; --resume_model=latest goes on from the last checkpoint",
            file=sys.stderr,
            flush=True,
        )
        os._exit(STUCK)
