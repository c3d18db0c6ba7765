"""What a recogniser is trained on and scored with.

Opened before Paddle is imported, so that mistakes show at once.
"""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.dataset import SpeechDataset
from data_utils.errors import InputError
from data_utils.manifest import Manifest
from data_utils.settings import CorpusSettings
from model_utils.recogniser import Recogniser

SHOWN_PROBLEMS = 10
"""Utterances that are named when many are left out."""


@dataclass(frozen=True)
class Corpus:
    """The datasets of a training run."""

    training: SpeechDataset
    scored: dict[str, SpeechDataset]
    """Sets scored after each epoch; the first decides which epoch is best."""
    outside: Manifest
    """Utterances that are not trained on because of their duration."""
    misfits: list[str]
    """Those that no loss can be computed for: where and why."""

    def left_out(self) -> Iterator[str]:
        """Every utterance of the training manifests that is not trained on: where and why."""
        for index, utterance in enumerate(self.outside):
            yield (
                f"{self.outside.where(index)}: {utterance.audio}: lasts {utterance.duration:.2f} "
                f"s, outside --min_duration and --max_duration"
            )
        yield from self.misfits


def open_corpus(
    recogniser: Recogniser,
    settings: CorpusSettings,
    augmentation: AugmentationPipeline,
    seed: int,
    score: bool = True,
    cache: RecordingCache | None = None,
) -> Corpus:
    """Open the manifests, and leave out of the training what no loss can be computed for.

    Args:
        recogniser: turns recordings into features and transcripts into labels.
        settings: which manifests.
        augmentation: of the training data.
        seed: of the augmentation.
        score: whether dev and test sets are wanted.
        cache: keeps decoded recordings, of all sets together.

    Raises:
        InputError: a manifest cannot be used, or nothing of the training set can.
    """
    bounds = {"min_duration": settings.min_duration, "max_duration": settings.max_duration}
    manifest = Manifest.open(settings.train_manifest, **bounds)
    training = recogniser.dataset(manifest, augmentation, seed, cache)
    problems = training.untrainable()
    kept = [index for index in range(len(manifest)) if index not in problems]
    if not kept:
        raise InputError(
            f"{next(iter(problems.values()))}; all {len(manifest)} utterances are like this, "
            f"check that vocabulary and manifest belong together"
        )
    training.manifest = manifest.select(kept)
    scored = {"dev": settings.dev_manifest, "test": settings.test_manifest} if score else {}
    corpus = Corpus(
        training,
        {
            name: recogniser.dataset(Manifest.open(path), cache=cache)
            for name, path in scored.items()
            if path
        },
        manifest.left_out,
        list(problems.values()),
    )
    _name_left_out(corpus.left_out(), len(corpus.outside))
    _name_left_out(iter(corpus.misfits), len(corpus.misfits))
    return corpus


def _name_left_out(reasons: Iterator[str], count: int) -> None:
    for shown in itertools.islice(reasons, min(count, SHOWN_PROBLEMS)):
        print(f"left out: {shown}", file=sys.stderr)
    if count > SHOWN_PROBLEMS:
        print(f"left out: {count - SHOWN_PROBLEMS} more like these", file=sys.stderr)
