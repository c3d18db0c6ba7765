"""Which utterances share a batch, and in which order the batches of an epoch come.

Pure functions of (seed, epoch): the position inside an epoch is the number of batches already seen,
so a run that stops after 17 batches goes on with `epoch_batches(...)[17:]`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_utils.settings import BatchSettings, ShuffleMethod

Batches = list[NDArray[np.int64]]


SHORTEST = 1e-3
"""Seconds that any utterance is taken to last, so that a batch never holds infinitely many."""
ROUNDING = 1e-6
"""By what share a batch may exceed its seconds: more than durations, float32, are rounded by."""


def num_batches(durations: ArrayLike, settings: BatchSettings, shares: int = 1) -> int:
    """Batches in every epoch over `durations`: the same number whatever the epoch.

    Args:
        durations: `[utterances]`, s.
        settings: how batches are made.
        shares: into which each batch is cut, see `epoch_batches`.
    """
    count = np.size(durations)
    if settings.batch_seconds is not None:
        least = len(_ends(_limits(np.sort(np.asarray(durations)), settings, shares)))
        return least + (1 < least < count)
    size = settings.batch_size * shares
    if settings.shuffle_method == "batch_shuffle_clipped" and not is_too_few(count, size):
        return count // size
    return -(-count // size)


def is_too_few(count: int, batch_size: int) -> bool:
    """Whether `count` utterances do not fill one batch.

    `batch_shuffle_clipped` then keeps them as one short batch; the caller warns of it once.
    """
    return count < batch_size


def epoch_batches(
    durations: ArrayLike, settings: BatchSettings, *, seed: int, epoch: int, shares: int = 1
) -> Batches:
    """The batches of one epoch, each an array of indices into `durations`.

    - `batch_shuffle_clipped`: utterances of similar duration share a batch, so that little is
      padded; only full batches, in random order. The `count % batch_size` utterances left out are
      the shortest and the longest few, how many of which changes from epoch to epoch.
    - `batch_shuffle`: the same with nothing left out; one batch is short, which one changes.
    - `instance_shuffle`: a permutation of all utterances; the last batch may be short.

    With `batch_seconds` a batch of the first two methods holds as many neighbours in duration as
    fit: so many that, padded to the longest, they do not exceed it. Nothing is left out, and an
    utterance that exceeds it by itself is a batch of its own.

    Utterances of equal duration are in random order. In epoch 1, with `sortagrad`, the utterances
    come by rising duration and the batches are not shuffled (SortaGrad: Amodei et al. 2016, Deep
    Speech 2, section 3.2), with each method's own rule for the incomplete batch.

    Args:
        durations: `[utterances]`, s.
        settings: how batches are made.
        seed: of the run, not negative.
        epoch: counted from 1.
        shares: into which each batch is cut (processes, and parts of each): `batch_size` and
            `batch_seconds` hold for each of them.
    """
    assert shares >= 1 and epoch >= 1, (shares, epoch)
    method = settings.shuffle_method
    seconds = np.asarray(durations)
    rng = np.random.default_rng([seed, epoch])
    is_sorted_epoch = settings.sortagrad and epoch == 1

    order = rng.permutation(len(seconds)).astype(np.int64)
    if is_sorted_epoch or method != "instance_shuffle":
        order = order[np.argsort(seconds[order], kind="stable")]
    if settings.batch_seconds is None:
        batches = _cut(order, method, settings.batch_size * shares, rng)
    else:
        assert method != "instance_shuffle", "batches by duration need utterances in order of it"
        batches = _cut_by_duration(order, _limits(seconds[order], settings, shares), rng)
    if is_sorted_epoch or method == "instance_shuffle":
        return batches
    return [batches[i] for i in rng.permutation(len(batches))]


def heaviest_batch(
    durations: ArrayLike, settings: BatchSettings, shares: int = 1
) -> NDArray[np.int64]:
    """The indices of a batch, longest first, that no batch of any epoch exceeds when padded."""
    seconds = np.asarray(durations)
    order = np.argsort(seconds, kind="stable").astype(np.int64)
    sizes = np.minimum(
        _limits(seconds[order], settings, shares), np.arange(1, len(order) + 1)
    )  # of the batch that ends with each
    end = len(order) - int(np.argmax((sizes * seconds[order])[::-1]))
    return order[end - sizes[end - 1] : end][::-1]


def padding_share(durations: ArrayLike, batches: Batches) -> float:
    """What part of the `batches`, each padded to its longest utterance, is padding: 0 to 1.

    Args:
        durations: `[utterances]`, s.
        batches: as they are computed, shares of several processes apart.
    """
    seconds = np.asarray(durations, dtype=np.float64)
    heard = sum(float(seconds[batch].sum()) for batch in batches)
    padded = sum(len(batch) * float(seconds[batch].max()) for batch in batches if len(batch))
    return 1 - heard / padded if padded else 0.0


def share(batch: NDArray[np.int64], rank: int, world_size: int, parts: int = 1) -> Batches:
    """What one of several processes computes of a batch, in `parts` one after the other.

    Every `world_size`-th utterance from number `rank` on, so that no process gets the long ones of
    a batch that was sorted. Where the batch does not fill all shares some are smaller, or empty.

    Args:
        batch: indices of the utterances of all processes.
        rank: of the process, from 0.
        world_size: how many processes there are.
        parts: into which the share is cut, neighbours together.
    """
    own = batch[rank::world_size]
    return [own] if parts == 1 else list(np.array_split(own, parts))


def _cut(
    order: NDArray[np.int64], method: ShuffleMethod, batch_size: int, rng: np.random.Generator
) -> Batches:
    """`order` in consecutive batches, the incomplete one where `method` wants it."""
    full, rest = divmod(len(order), batch_size)
    sizes = [batch_size] * full
    if method == "batch_shuffle_clipped" and full:
        offset = int(rng.integers(rest + 1))
        order = order[offset : offset + full * batch_size]
    elif rest:
        place = int(rng.integers(full + 1)) if method == "batch_shuffle" else full
        sizes.insert(place, rest)
    return np.split(order, np.cumsum(sizes)[:-1]) if sizes else []


def _limits(
    ranked: NDArray[np.floating], settings: BatchSettings, shares: int
) -> NDArray[np.int64]:
    """How many utterances a batch may hold of which each of `ranked` (rising) is the longest."""
    if settings.batch_seconds is None:
        return np.full(len(ranked), settings.batch_size * shares)
    # Ten of 1.2 s are 12 s, however 1.2 is rounded.
    fitting = np.floor(settings.batch_seconds / np.maximum(ranked, SHORTEST) * (1 + ROUNDING))
    return shares * np.clip(fitting, 1, max(1, len(ranked))).astype(np.int64)


def _ends(limits: NDArray[np.int64], start: int = 0) -> list[int]:
    """Where batches end that are as full as `limits` allow, one behind the other from `start`."""
    # A batch that ends behind utterance j cannot begin before j + 1 - limits[j], which rises.
    earliest = np.arange(1, len(limits) + 1) - limits
    ends = []
    while start < len(limits):
        start = int(np.searchsorted(earliest, start, side="right"))
        ends.append(start)
    return ends


def _cut_by_duration(
    order: NDArray[np.int64], limits: NDArray[np.int64], rng: np.random.Generator
) -> Batches:
    """`order`, by rising duration, in consecutive batches of at most `limits`.

    The first batch gets a random part of what fits, so that the others begin elsewhere in every
    epoch. That takes as many batches as full ones from the start would, or one more; it is made
    one more always, by halving the largest.
    """
    ends = _ends(limits)
    if 1 < len(ends) < len(order):
        first = int(rng.integers(1, ends[0] + 1))
        moved = [first, *_ends(limits, first)]
        if len(moved) == len(ends):
            sizes = np.diff([0, *moved])
            largest = int(sizes.argmax())
            moved.insert(largest, moved[largest] - int(sizes[largest]) // 2)
        ends = moved
    return np.split(order, ends[:-1]) if ends else []
