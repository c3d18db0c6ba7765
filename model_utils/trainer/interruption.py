"""Being asked to stop: finish the step, save, and leave with the command that goes on."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from model_utils import distributed

ONE_REQUEST = 2.0
"""Signals within so many seconds of the first are the same request: launchers repeat theirs."""


class Interruption:
    """Whether this process was asked to stop, by a signal or by the one that launched it."""

    def __init__(self) -> None:
        self._asked: float | None = None
        self._file = distributed.stop_request()

    def is_asked(self) -> bool:
        """Whether to stop after this step."""
        return self._asked is not None or (
            self._file is not None
            and self._file.exists()
            and self._file.stat().st_mtime > distributed.STARTED
        )

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGINT and SIGTERM are requests inside the block; a second one ends the process at once.

        Must come after Paddle's import, which sets handlers of its own.
        """
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._ask) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            os.write(2, b"\nstopping after this step; once more stops at once\n")
        elif now - self._asked > ONE_REQUEST:
            os.write(2, b"stopped at once; the last checkpoint is whole\n")
            os._exit(128 + number)
