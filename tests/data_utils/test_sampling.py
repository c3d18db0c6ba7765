"""What every shuffle method promises, for any durations, batch size, seed and epoch."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.sampling import (
    epoch_batches,
    heaviest_batch,
    is_too_few,
    num_batches,
    padding_share,
    share,
)
from data_utils.settings import BatchSettings, ShuffleMethod

METHODS = get_args(ShuffleMethod)
# Few different values, so that equal durations are common.
DURATIONS = st.lists(st.integers(1, 12).map(lambda tenths: tenths / 10), max_size=60)
BATCH_SIZES = st.integers(1, 9)
SEEDS = st.integers(0, 2**32)
EPOCHS = st.integers(1, 4)


def settings(method, batch_size, sorted_first=True):
    return BatchSettings(batch_size, shuffle_method=method, sortagrad=sorted_first)


def plain(batches):
    return [batch.tolist() for batch in batches]


def seen(batches):
    return [index for batch in batches for index in batch.tolist()]


@pytest.mark.parametrize("method", METHODS)
@given(durations=DURATIONS, batch_size=BATCH_SIZES, seed=SEEDS, epoch=EPOCHS, first=st.booleans())
def test_every_method_in_every_epoch(method, durations, batch_size, seed, epoch, first):
    def draw():
        return epoch_batches(durations, settings(method, batch_size, first), seed=seed, epoch=epoch)

    batches = draw()
    assert plain(batches) == plain(draw())
    assert len(batches) == num_batches(durations, settings(method, batch_size))
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
    batches = epoch_batches(durations, settings(method, batch_size), seed=seed, epoch=epoch)
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
        return seen(epoch_batches(durations, settings(method, 8), seed=seed, epoch=epoch))

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in (2, 3, 4, 5)]
    assert len({tuple(each) for each in orders}) == len(orders)


@pytest.mark.parametrize("method", METHODS)
def test_equal_durations_come_in_random_order_in_the_sorted_epoch_too(method):
    def order(seed):
        return seen(epoch_batches(np.ones(40), settings(method, 8), seed=seed, epoch=1))

    assert order(0) != order(1)


def test_clipped_leaves_out_every_utterance_at_an_end_sooner_or_later_and_none_in_the_middle():
    durations = np.arange(23.0)
    kept = [
        set(
            seen(
                epoch_batches(durations, settings("batch_shuffle_clipped", 5), seed=0, epoch=epoch)
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
            np.arange(13.0), settings("batch_shuffle", 5), seed=0, epoch=epoch
        )
        if len(batch) == 3
    }
    assert starts == {0, 5, 10}


def test_instance_shuffle_mixes_durations_and_ends_with_the_short_batch():
    durations = np.arange(1003.0)
    batches = epoch_batches(durations, settings("instance_shuffle", 10), seed=3, epoch=2)
    assert [len(batch) for batch in batches] == [10] * 100 + [3]
    # The range of ten uniform draws from a span is 9/11 of it on average; ten neighbours span 9.
    assert np.mean([np.ptp(batch) for batch in batches[:-1]]) == pytest.approx(
        1003 * 9 / 11, rel=0.1
    )


@pytest.mark.parametrize("method", METHODS)
def test_fewer_utterances_than_one_batch_are_one_short_batch(method):
    for epoch in (1, 2):
        batches = epoch_batches([1.0, 2.0, 3.0], settings(method, 32), seed=0, epoch=epoch)
        assert [sorted(batch) for batch in plain(batches)] == [[0, 1, 2]]
    assert is_too_few(3, 32) and not is_too_few(32, 32)
    assert num_batches([1.0, 2.0, 3.0], settings(method, 32)) == 1


@pytest.mark.parametrize("method", METHODS)
def test_no_utterances_no_batches(method):
    assert epoch_batches([], settings(method, 4), seed=0, epoch=1) == []
    assert num_batches([], settings(method, 4)) == 0


@given(batch_size=BATCH_SIZES, seed=SEEDS, epoch=EPOCHS)
def test_without_sorted_first_the_first_epoch_is_shuffled_like_any(batch_size, seed, epoch):
    durations = np.arange(200.0)
    batches = epoch_batches(
        durations, settings("instance_shuffle", batch_size, False), seed=seed, epoch=epoch
    )
    assert seen(batches) != list(range(200))


# By duration

SECONDS = st.integers(1, 50).map(lambda tenths: tenths / 10)
SHARES = st.integers(1, 4)
SORTED = ["batch_shuffle_clipped", "batch_shuffle"]


def by_duration(seconds, method="batch_shuffle", sorted_first=True):
    return BatchSettings(batch_seconds=seconds, shuffle_method=method, sortagrad=sorted_first)


@pytest.mark.parametrize("method", SORTED)
@given(DURATIONS, SECONDS, SHARES, SEEDS, st.booleans())
def test_by_duration_all_come_once_within_the_bound_in_as_many_batches_each_epoch(
    method, durations, seconds, shares, seed, first
):
    rule = by_duration(seconds, method, first)
    for epoch in (1, 2, 3, 4):
        batches = epoch_batches(durations, rule, seed=seed, epoch=epoch, shares=shares)
        assert len(batches) == num_batches(durations, rule, shares)
        assert sorted(seen(batches)) == list(range(len(durations)))
        for batch in batches:
            assert len(batch) >= 1 and batch.dtype == np.int64
            # Shares of processes, parts of one process, and both.
            for world_size in (n for n in range(1, shares + 1) if shares % n == 0):
                parts = [
                    part
                    for rank in range(world_size)
                    for part in share(batch, rank, world_size, shares // world_size)
                ]
                assert sorted(seen(parts)) == sorted(batch.tolist())
                for part in parts:
                    longest = max((durations[i] for i in part), default=0)
                    assert len(part) <= 1 or len(part) * longest <= seconds * (1 + 2e-6)
        if first and epoch == 1:
            heard = [durations[i] for i in seen(batches)]
            assert heard == sorted(heard)


@given(DURATIONS, SECONDS, SEEDS)
def test_by_duration_there_is_at_most_one_batch_more_than_full_ones_would_be(
    durations, seconds, seed
):
    """Full ones, counted one utterance after the other."""
    full, size = 0, 0
    for duration in sorted(durations):
        if size and (size + 1) * duration <= seconds * (1 + 2e-6):
            size += 1
        else:
            full, size = full + 1, 1
    assert full <= num_batches(durations, by_duration(seconds)) <= full + 1
    if full == 1:
        assert num_batches(durations, by_duration(seconds)) == 1


def test_by_duration_a_batch_of_long_ones_is_small():
    durations = [1.0] * 12 + [6.0] * 4 + [30.0]
    batches = epoch_batches(durations, by_duration(12.0), seed=0, epoch=2)
    assert [16] in plain(batches), "longer than the bound, and alone"
    sizes = [{len(b) for b in batches if durations[max(b)] == longest} for longest in (1.0, 6.0)]
    assert max(sizes[0]) >= 6 and max(sizes[1]) == 2


def test_by_duration_the_bound_holds_in_float32_as_manifests_have_it():
    durations = np.full(30, 1.2, dtype=np.float32)
    sizes = {len(b) for b in epoch_batches(durations, by_duration(12.0), seed=0, epoch=2)}
    assert max(sizes) == 10


def test_by_duration_epochs_and_seeds_differ_in_order_and_in_what_shares_a_batch():
    durations = np.random.default_rng(0).uniform(1, 10, 503)
    drawn = [
        plain(epoch_batches(durations, by_duration(60.0), seed=seed, epoch=epoch))
        for seed in (0, 1)
        for epoch in (2, 3, 4, 5)
    ]
    assert len({str(batches) for batches in drawn}) == len(drawn)
    # The first batch, of 1 to 35, may begin at the same place by chance.
    cuts = {frozenset(map(tuple, batches)) for batches in drawn}
    assert len(cuts) > len(drawn) / 2


def test_by_duration_fits_only_where_durations_are_in_order():
    with pytest.raises(AssertionError, match="in order"):
        epoch_batches([1.0], by_duration(5.0, "instance_shuffle"), seed=0, epoch=1)


# How much is padded, and how much a batch can be


@pytest.mark.parametrize("method", METHODS)
@given(durations=DURATIONS.filter(bool), batch_size=BATCH_SIZES, seed=SEEDS, shares=SHARES)
def test_no_batch_is_heavier_than_the_heaviest(method, durations, batch_size, seed, shares):
    rules = [settings(method, batch_size)]
    rules += [by_duration(float(batch_size), method)] * (method in SORTED)
    for rule in rules:
        heaviest = heaviest_batch(durations, rule, shares)
        lengths = [durations[i] for i in heaviest]
        assert lengths == sorted(lengths, reverse=True)
        assert len(set(heaviest.tolist())) == len(heaviest)
        for epoch in (1, 2, 3):
            for batch in epoch_batches(durations, rule, seed=seed, epoch=epoch, shares=shares):
                padded = len(batch) * max(durations[i] for i in batch)
                assert padded <= len(heaviest) * lengths[0] * (1 + 2e-6)


def test_padding_is_what_is_computed_and_not_heard():
    durations = [1.0, 2.0, 4.0, 4.0]
    groups = [np.array([0, 1]), np.array([2, 3]), np.array([], dtype=np.int64)]
    assert padding_share(durations, groups) == pytest.approx(1 / 12)
    assert padding_share(durations, [np.array([0, 2])]) == pytest.approx(3 / 8)
    assert padding_share(durations, []) == 0


def test_neighbours_in_duration_need_less_padding():
    durations = np.random.default_rng(0).uniform(1, 15, 2000)

    def padding(rule):
        return padding_share(durations, epoch_batches(durations, rule, seed=0, epoch=2))

    mixed = padding(settings("instance_shuffle", 16))
    by_number, by_seconds = padding(settings("batch_shuffle", 16)), padding(by_duration(160.0))
    assert by_seconds < 0.02 and by_number < 0.02 < 0.3 < mixed
