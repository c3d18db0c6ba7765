"""Which utterances share a batch, and in which order the batches of an epoch come.

Pure functions of (seed, epoch): the position inside an epoch is the number of batches already seen,
so a run that stops after 17 batches goes on with `epoch_batches(...)[17:]`.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_utils.settings import ShuffleMethod

Batches = list[NDArray[np.int64]]


def num_batches(count: int, batch_size: int, method: ShuffleMethod) -> int:
    """Batches in every epoch over `count` utterances: the same number whatever the epoch."""
    if method == "batch_shuffle_clipped" and not is_too_few(count, batch_size):
        return count // batch_size
    return -(-count // batch_size)


def is_too_few(count: int, batch_size: int) -> bool:
    """Whether `count` utterances do not fill one batch.

    `batch_shuffle_clipped` then keeps them as one short batch; the caller warns of it once.
    """
    return count < batch_size


def epoch_batches(
    durations: ArrayLike,
    *,
    method: ShuffleMethod,
    batch_size: int,
    seed: int,
    epoch: int,
    sorted_first: bool = True,
) -> Batches:
    """The batches of one epoch, each an array of indices into `durations`.

    - `batch_shuffle_clipped`: utterances of similar duration share a batch, so that little is
      padded; only full batches, in random order. The `count % batch_size` utterances left out are
      the shortest and the longest few, how many of which changes from epoch to epoch.
    - `batch_shuffle`: the same with nothing left out; one batch is short, which one changes.
    - `instance_shuffle`: a permutation of all utterances; the last batch may be short.

    Utterances of equal duration are in random order. In epoch 1 the utterances come by rising
    duration and the batches are not shuffled (SortaGrad: Amodei et al. 2016, Deep Speech 2,
    section 3.2), with each method's own rule for the incomplete batch.

    Args:
        durations: `[utterances]`, s.
        method: see above.
        batch_size: utterances in a full batch, at least 1.
        seed: of the run, not negative.
        epoch: counted from 1.
        sorted_first: whether epoch 1 is sorted.
    """
    assert batch_size >= 1 and epoch >= 1, (batch_size, epoch)
    seconds = np.asarray(durations)
    rng = np.random.default_rng([seed, epoch])
    is_sorted_epoch = sorted_first and epoch == 1

    order = rng.permutation(len(seconds)).astype(np.int64)
    if is_sorted_epoch or method != "instance_shuffle":
        order = order[np.argsort(seconds[order], kind="stable")]
    batches = _cut(order, method, batch_size, rng)
    if is_sorted_epoch or method == "instance_shuffle":
        return batches
    return [batches[i] for i in rng.permutation(len(batches))]


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
    return list(np.array_split(batch[rank::world_size], parts))


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
