"""Examples of a batch, one by one: what cannot be read is left out and named."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import AudioError

Example = TypeVar("Example")


def read_each(
    indices: Iterable[int] | NDArray[np.int64],
    read: Callable[[int], Example],
    where: Callable[[int], str],
) -> tuple[list[Example], list[int], list[str]]:
    """The examples of these items that can be read.

    Args:
        indices: of the items.
        read: the example of an item; raises AudioError where there is none.
        where: the item's place in the user's files.

    Returns:
        The examples, their items, and a line for each item left out: where, and why.
    """
    examples, items, problems = [], [], []
    for index in map(int, indices):
        try:
            examples.append(read(index))
        except AudioError as error:
            problems.append(f"{where(index)}: {error}")
        else:
            items.append(index)
    return examples, items, problems
