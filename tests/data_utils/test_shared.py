import pickle

import numpy as np

from data_utils.shared import SharedArray
from data_utils.workers import spawn_pool

_seen: SharedArray


def keep(shared: SharedArray) -> None:
    global _seen
    _seen = shared


def values() -> list[tuple[int, float]]:
    return [tuple(row) for row in _seen.array.tolist()]


def change() -> None:
    _seen.array["duration"][0] = 7


ROWS = np.array([(1, 0.5), (2, 1.5)], dtype=[("offset", np.int64), ("duration", np.float32)])


def test_a_worker_sees_the_memory_of_its_parent() -> None:
    shared = SharedArray(ROWS.copy())
    for others in range(2):  # a pool that follows another gets the same memory
        with spawn_pool(1, keep, shared) as pool:
            expected = [tuple(row) for row in shared.array.tolist()]
            assert pool.submit(values).result() == expected
            pool.submit(change).result()
        assert shared.array["duration"][0] == 7, others
    assert np.array_equal(shared.array[1], ROWS[1])


def test_without_a_worker_it_is_a_copy() -> None:
    shared = SharedArray(ROWS.copy())
    copy = pickle.loads(pickle.dumps(shared))
    assert np.array_equal(copy.array, ROWS)
    shared.array["duration"][0] = 7
    assert np.array_equal(copy.array, ROWS)


def test_nothing_can_be_shared() -> None:
    with spawn_pool(1, keep, SharedArray(ROWS[:0])) as pool:
        assert pool.submit(values).result() == []
