"""What of a batch can be read, and what is said of the rest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.audio import AudioError
from data_utils.examples import read_each


def read(index: int) -> str:
    """Odd items cannot be read."""
    if index % 2:
        raise AudioError(f"{index}.wav: silent")
    return f"example {index}"


def where(index: int) -> str:
    return f"manifest:{index + 1}"


@given(st.lists(st.integers(0, 20)))
def test_every_item_is_read_or_named_in_order(indices: list[int]) -> None:
    examples, items, problems = read_each(np.array(indices, np.int64), read, where)
    assert items == [index for index in indices if index % 2 == 0]
    assert examples == [f"example {item}" for item in items]
    assert all(type(item) is int for item in items)
    assert problems == [f"manifest:{i + 1}: {i}.wav: silent" for i in indices if i % 2]


def test_a_fault_that_is_no_recordings_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        read_each([1, 0], lambda index: 1 // index, where)
