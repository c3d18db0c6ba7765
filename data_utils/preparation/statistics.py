"""The mean and standard deviation of every feature bin over a whole manifest, by all cores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data_utils.audio import AudioError
from data_utils.errors import InputError
from data_utils.features import read_features
from data_utils.manifest import Manifest
from data_utils.normalizer import Statistics
from data_utils.settings import FeatureSettings
from data_utils.workers import available_cores, spawned_map

# Sums of floats depend on their order: chunks of a fixed size, merged in the order of the manifest,
# give the same bytes for any number of workers.
CHUNK = 32

_SAMPLING_SEED = 0


@dataclass(frozen=True)
class CorpusStatistics:
    """What was measured, and what had to be left out."""

    statistics: Statistics
    utterances: int
    skipped: tuple[str, ...]
    """One line for each utterance that could not be read: `manifest:line: file: reason`."""


def draw(manifest: Manifest, num_samples: int | None) -> Manifest:
    """`num_samples` utterances of the manifest, in its order, the same ones every time.

    None, a negative number or more than there are means all.

    Raises:
        InputError: `num_samples` is 0, of which there is no mean.
    """
    if num_samples == 0:
        raise InputError("--num_samples: must be at least 1 (-1 or None: all), found 0")
    if num_samples is None or not 0 < num_samples < len(manifest):
        return manifest
    rng = np.random.default_rng(_SAMPLING_SEED)
    return manifest.select(np.sort(rng.choice(len(manifest), num_samples, replace=False)))


def measure(
    manifest: Manifest,
    settings: FeatureSettings,
    *,
    num_workers: int | None = None,
    progress: Callable[[int], object] = lambda utterances: None,
) -> CorpusStatistics:
    """The statistics of all frames of all utterances that can be read.

    Args:
        manifest: the utterances.
        settings: of their features.
        num_workers: processes; None: one for each core. 0 or 1 measures in this process.
        progress: called with the number of utterances just done.

    Raises:
        InputError: no utterance can be read, or a worker process died.
    """
    chunks = [range(i, min(i + CHUNK, len(manifest))) for i in range(0, len(manifest), CHUNK)]
    total: Statistics | None = None
    skipped: list[str] = []
    for chunk, (part, failures) in zip(
        chunks,
        _measured(
            chunks, manifest, settings, available_cores() if num_workers is None else num_workers
        ),
        strict=True,
    ):
        if part is not None:
            total = part if total is None else total.merge(part)
        skipped += failures
        progress(len(chunk))
    if total is None:
        first = f"; the first: {skipped[0]}" if skipped else ""
        raise InputError(f"none of the {len(manifest)} utterances can be read{first}")
    return CorpusStatistics(total, len(manifest) - len(skipped), tuple(skipped))


_Part = tuple[Statistics | None, list[str]]


def _measured(
    chunks: Sequence[range], manifest: Manifest, settings: FeatureSettings, num_workers: int
) -> Iterator[_Part]:
    """The part of each chunk, in order."""
    num_workers = min(num_workers, len(chunks))
    if num_workers <= 1:
        for chunk in chunks:
            yield _measure_chunk(manifest, settings, chunk)
        return
    yield from spawned_map(
        _measure_in_worker,
        chunks,
        num_workers,
        cure="nothing was written; try again with a smaller --num_workers",
        initializer=_start_worker,
        arguments=(manifest, settings),
    )


def _measure_chunk(manifest: Manifest, settings: FeatureSettings, chunk: range) -> _Part:
    total: Statistics | None = None
    failures = []
    for i in chunk:
        utterance = manifest[i]
        try:
            features = read_features(
                utterance.audio, settings, start=utterance.start, end=utterance.end
            )
        except AudioError as error:
            failures.append(f"{manifest.where(i)}: {error}")
        else:
            total = total.update(features) if total else Statistics.of(features)
    return total, failures


_work: tuple[Manifest, FeatureSettings]
"""What a worker process measures; set once as it starts, so that it is not sent with each chunk."""


def _start_worker(manifest: Manifest, settings: FeatureSettings) -> None:
    global _work
    _work = manifest, settings


def _measure_in_worker(chunk: range) -> _Part:
    return _measure_chunk(*_work, chunk)
