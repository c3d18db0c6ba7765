"""How a mask network hears what is longer than it hears at once: in blocks that overlap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Blocks:
    """Blocks of frames, of which the first and last few are context that the network only hears.

    Their masks are left to the neighbouring blocks; the first block has no context in front, the
    last none behind. `inference.masking` walks through recordings of unknown length in the same
    way.
    """

    size: int
    """Frames that the network hears at a time."""
    before: int
    """Of these, frames of context in front..."""
    behind: int
    """...and behind."""

    def __post_init__(self) -> None:
        assert self.size > self.before + self.behind, self

    @property
    def step(self) -> int:
        """Frames from the beginning of one block to that of the next."""
        return self.size - self.before - self.behind

    def count(self, frames: NDArray[np.int64]) -> NDArray[np.int64]:
        """Blocks of recordings of so many frames [n], one at least."""
        return 1 + np.maximum(0, -(-(frames - self.size) // self.step))

    def block_of(self, frames: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
        """The block from which each frame's mask is taken, [n, longest].

        Args:
            frames: of each recording [n]; those behind its last belong to its last block.
            longest: at least as many.
        """
        found = np.maximum(0, (np.arange(longest) - self.before) // self.step)
        return np.minimum(found, self.count(frames)[:, np.newaxis] - 1)
