"""What every shuffle method promises, for any durations, batch size, seed and epoch."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.sampling import epoch_batches, is_too_few, num_batches
from data_utils.settings import ShuffleMethod

METHODS = get_args(ShuffleMethod)
# Few different values, so that equal durations are common.
DURATIONS = st.lists(st.integers(1, 12).map(lambda tenths: tenths / 10), max_size=60)
BATCH_SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32)
EPOCHS = st.integers(1, 4)


def plain(batches):
    return [batch.tolist() for batch in batches]


def seen(batches):
    return [index for batch in batches for index in batch.tolist()]


@pytest.mark.parametrize("method", METHODS)
@given(durations=DURATIONS, batch_size=BATCH_SIZES, seed=SEEDS, epoch=EPOCHS, first=st.booleans())
def test_every_method_in_every_epoch(method, durations, batch_size, seed, epoch, first):
    def draw():
        return epoch_batches(
            durations,
            method=method,
            batch_size=batch_size,
            seed=seed,
            epoch=epoch,
            sorted_first=first,
        )

    batches = draw()
    assert plain(batches) == plain(draw())
    assert len(batches) == num_batches(len(durations), batch_size, method)
    assert all(batch.dtype == np.int64 for batch in batches)
    assert all(1 <= len(batch) <= batch_size for batch in batches)

    indices = seen(batches)
    assert len(indices) == len(set(indices))
    assert set(indices) <= set(range(len(durations)))
    if method == "batch_shuffle_clipped" and len(durations) >= batch_size:
        assert all(len(batch) == batch_size for batch in batches)
        assert len(durations) - len(indices) == len(durations) % batch_size
    else:
        assert len(indices) == len(durations)
        assert sum(len(batch) < batch_size for batch in batches) <= 1

    if first and epoch == 1:
        heard = [durations[i] for i in indices]
        assert heard == sorted(heard)


@pytest.mark.parametrize("method", ["batch_shuffle_clipped", "batch_shuffle"])
@given(durations=DURATIONS, batch_size=BATCH_SIZES, seed=SEEDS, epoch=EPOCHS)
def test_batches_hold_neighbours_in_duration(method, durations, batch_size, seed, epoch):
    """Sorted by their shortest, the batches in a row are the sorted durations, or a run of them."""
    batches = epoch_batches(durations, method=method, batch_size=batch_size, seed=seed, epoch=epoch)
    groups = sorted(sorted(durations[i] for i in batch) for batch in batches)
    row = [duration for group in groups for duration in group]
    assert row == sorted(row)
    ranked = sorted(durations)
    offsets = range(len(ranked) - len(row) + 1)
    assert any(row == ranked[k : k + len(row)] for k in offsets)


@pytest.mark.parametrize("method", METHODS)
def test_epochs_and_seeds_differ(method):
    durations = np.random.default_rng(0).uniform(1, 10, 103)

    def order(seed, epoch):
        return seen(epoch_batches(durations, method=method, batch_size=8, seed=seed, epoch=epoch))

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (2, 3, 4, 5)]
    assert len({tuple(each) for each in orders}) == len(orders)


@pytest.mark.parametrize("method", METHODS)
def test_equal_durations_come_in_random_order_in_the_sorted_epoch_too(method):
    def order(seed):
        return seen(epoch_batches(np.ones(40), method=method, batch_size=8, seed=seed, epoch=1))

    assert order(0) != order(1)


def test_clipped_leaves_out_every_utterance_at_an_end_sooner_or_later_and_none_in_the_middle():
    durations = np.arange(23.0)
    kept = [
        set(
            seen(
                epoch_batches(
                    durations, method="batch_shuffle_clipped", batch_size=5, seed=0, epoch=epoch
                )
            )
        )
        for epoch in range(2, 60)
    ]
    left_out = [frozenset(set(range(23)) - each) for each in kept]
    # 23 = 4 * 5 + 3: offset 0, 1, 2 or 3 of the sorted row.
    assert set(left_out) == {
        frozenset({20, 21, 22}),
        frozenset({0, 21, 22}),
        frozenset({0, 1, 22}),
        frozenset({0, 1, 2}),
    }


def test_the_short_batch_of_batch_shuffle_is_any_part_of_the_sorted_row():
    starts = {
        min(batch.tolist())
        for epoch in range(2, 60)
        for batch in epoch_batches(
            np.arange(13.0), method="batch_shuffle", batch_size=5, seed=0, epoch=epoch
        )
        if len(batch) == 3
    }
    assert starts == {0, 5, 10}


def test_instance_shuffle_mixes_durations_and_ends_with_the_short_batch():
    durations = np.arange(1003.0)
    batches = epoch_batches(durations, method="instance_shuffle", batch_size=10, seed=3, epoch=2)
    assert [len(batch) for batch in batches] == [10] * 100 + [3]
    # The range of ten uniform draws from a span is 9/11 of it on average; ten neighbours span 9.
    assert np.mean([np.ptp(batch) for batch in batches[:-1]]) == pytest.approx(
        1003 * 9 / 11, rel=0.1
    )


@pytest.mark.parametrize("method", METHODS)
def test_fewer_utterances_than_one_batch_are_one_short_batch(method):
    for epoch in (1, 2):
        batches = epoch_batches([1.0, 2.0, 3.0], method=method, batch_size=32, seed=0, epoch=epoch)
        assert [sorted(batch) for batch in plain(batches)] == [[0, 1, 2]]
    assert is_too_few(3, 32) and not is_too_few(32, 32)
    assert num_batches(3, 32, method) == 1


@pytest.mark.parametrize("method", METHODS)
def test_no_utterances_no_batches(method):
    assert epoch_batches([], method=method, batch_size=4, seed=0, epoch=1) == []
    assert num_batches(0, 4, method) == 0


@given(batch_size=BATCH_SIZES, seed=SEEDS, epoch=EPOCHS)
def test_without_sorted_first_the_first_epoch_is_shuffled_like_any(batch_size, seed, epoch):
    durations = np.arange(200.0)
    batches = epoch_batches(
        durations,
        method="instance_shuffle",
        batch_size=batch_size,
        seed=seed,
        epoch=epoch,
        sorted_first=False,
    )
    assert seen(batches) != list(range(200))
