"""Arrays that worker processes have together with the process that started them."""

from multiprocessing.context import get_spawning_popen
from multiprocessing.heap import Arena
from typing import Any

import numpy as np
from numpy.typing import NDArray


class SharedArray:
    """A list of numbers or rows, never changed, that a worker maps where it would else get a copy.

    It moves into shared memory as the first worker is started with it. That has no name, and is
    gone with the last process that holds it. Pickled for anything else it is a plain copy.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self._memory: Arena | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if get_spawning_popen() is None:
            return SharedArray, (self.array,)
        if self._memory is None:
            # Where the standard library keeps what `multiprocessing.Array` makes.
            self._memory = Arena(max(1, self.array.nbytes))
            own = np.frombuffer(self._memory.buffer, self.array.dtype, len(self.array))
            own[:] = self.array
            self.array = own
        return _mapped, (self._memory, self.array.dtype, len(self.array))


def _mapped(memory: Arena, dtype: np.dtype[Any], count: int) -> SharedArray:
    mapped = SharedArray(np.frombuffer(memory.buffer, dtype, count))
    mapped._memory = memory
    return mapped
