"""Work spread over processes: in order, and in one line where a process dies."""

import math
import os

import pytest

from data_utils.errors import InputError
from data_utils.workers import spawned_map


def test_results_come_in_the_order_of_the_items() -> None:
    results = spawned_map(math.isqrt, range(0, 90, 9), 2, cure="", chunksize=3)
    assert list(results) == [0, 3, 4, 5, 6, 6, 7, 7, 8, 9]


def test_a_dead_process_is_one_line_with_the_cure() -> None:
    with pytest.raises(InputError) as caught:
        list(spawned_map(os._exit, [1], 1, cure="nothing was written"))
    assert str(caught.value) == (
        "a worker process died (killed, or out of memory); nothing was written"
    )
    assert caught.value.__suppress_context__


def test_a_process_that_dies_as_it_starts_too() -> None:
    with pytest.raises(InputError, match="worker process died"):
        list(spawned_map(math.isqrt, [1], 1, cure="", initializer=os._exit, arguments=(1,)))
