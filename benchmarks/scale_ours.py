"""What `scale` measures of this package: a manifest, as a training opens and walks it."""

import contextlib
import multiprocessing
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.answering import answer
from benchmarks.memory import own_mb, peak_mb
from data_utils import sampling
from data_utils.dataset import SpeechDataset
from data_utils.features import num_bins
from data_utils.loader import AHEAD_PER_WORKER, Loader
from data_utils.manifest import Manifest, parse_line
from data_utils.normalizer import Normalizer
from data_utils.settings import BatchSettings, FeatureSettings
from data_utils.text import Vocabulary
from model_utils.settings import NetworkSettings

SEED = 1


class Lines:
    """A dataset that reads the lines of its manifest and no recording."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    def batch(self, indices: NDArray[np.int64], epoch: int) -> float:
        """The seconds of these utterances."""
        return sum(self.manifest[int(index)].duration for index in indices)


def run(path: str, num_workers: int) -> dict[str, float]:
    """What a training does with a manifest before its first batch, and at each epoch's begin.

    Args:
        path: of the manifest.
        num_workers: processes that load.

    Returns:
        Seconds of each step and MB after it, by the names of `scale.STEPS` and `scale.SIZES`.
    """
    found = {"start_mb": own_mb()}
    dataset = _dataset(path)
    with _timed(found, "open"):
        manifest = Manifest.open(path, problem=dataset.problem)
    assert not manifest.refused, "what is measured is that nothing is found"
    found["open_mb"] = own_mb()
    durations, batching = manifest.durations, BatchSettings()
    with _timed(found, "plan"):
        plan = _plan(durations, batching, epoch=1)
    found["plan_mb"] = own_mb()
    with _timed(found, "padding"):
        sampling.padding_share(durations, plan)
    with _timed(found, "heaviest"):
        sampling.heaviest_batch(durations, batching)
    del plan
    with Loader({"train": Lines(manifest)}, num_workers) as loader:
        plan = _plan(durations, batching, epoch=2)
        batches = loader.batches("train", plan)
        with _timed(found, "workers"):
            next(batches)
        for _ in zip(range(AHEAD_PER_WORKER * num_workers), batches, strict=False):
            pass  # each worker has had its share
        workers = [worker.pid for worker in multiprocessing.active_children()]
        found["worker_mb"] = max(map(own_mb, workers))
        found["all_mb"] = own_mb() + sum(map(own_mb, workers))
    del plan
    with _timed(found, "reshuffle"):
        plan = _plan(durations, batching, epoch=3)
    with _timed(found, "resume"):  # is the plan the same, and what is left of it
        zlib.crc32(durations.tobytes())
        rest = _plan(durations, batching, epoch=3)[len(plan) // 2 :]
    assert np.array_equal(rest[-1], plan[-1]), "a place is the number of batches done"
    with _timed(found, "digest"):
        manifest.digest()
    found["peak_mb"] = peak_mb()
    return found


def _plan(durations: NDArray[np.float32], batching: BatchSettings, epoch: int) -> sampling.Batches:
    return sampling.epoch_batches(durations, batching, seed=SEED, epoch=epoch)


def _dataset(path: str) -> SpeechDataset:
    """What checks the labels: of the characters of the manifest's first line, as all its lines."""
    with Path(path).open("rb") as stream:
        first = parse_line(stream.readline(), path)
    settings = FeatureSettings()
    bins = num_bins(settings)
    vocabulary = Vocabulary.build(Counter(first.text))
    normalizer = Normalizer(np.zeros(bins), np.ones(bins), settings)
    reduction = NetworkSettings().time_reduction
    return SpeechDataset(Manifest(), vocabulary, settings, normalizer, reduction)


@contextlib.contextmanager
def _timed(found: dict[str, float], name: str) -> Iterator[None]:
    """Note under `name` how many seconds the block takes."""
    started = time.perf_counter()
    yield
    found[name] = time.perf_counter() - started


if __name__ == "__main__":
    answer(run=run)
