"""Recordings stay in memory once decoded: decoding an Opus clip costs more than its features."""

from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_utils.loader import num_loaders
from data_utils.settings import BatchSettings


class RecordingCache:
    """Samples by name, kept until `capacity` is full; what comes later is read each time.

    Nothing is thrown out for something newer: epochs go round in circles, and whatever was used
    longest ago is what comes next.

    Args:
        capacity: bytes of samples that this process may keep.
    """

    def __init__(self, capacity: int) -> None:
        self.room = capacity
        self._kept: dict[str, NDArray[np.float32]] = {}

    @classmethod
    def of(cls, batching: BatchSettings) -> Self:
        """One of the size that each of the loading processes may fill."""
        return cls(batching.audio_cache_mb * 2**20 // num_loaders(batching.num_workers))

    def get(self, name: str, read: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
        """The samples [n] called `name`, read-only; from `read` the first time."""
        samples = self._kept.get(name)
        if samples is None:
            samples = read()
            samples.flags.writeable = False  # kept or not: the same for whoever gets them
            if samples.nbytes <= self.room:
                self.room -= samples.nbytes
                self._kept[name] = samples
        return samples
