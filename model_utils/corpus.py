"""What a recogniser is trained on and scored with.

Opened before Paddle is imported, so that mistakes show at once.
"""

import dataclasses
import itertools
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.classes import Classes, listing, values_of
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
    misfits: Manifest
    """Those that no loss can be computed for."""
    classes: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    """Number of each utterance's class, see `Classes.numbers`: of the set "train", and of those in
    `scored`. Empty where no head wants them."""

    def left_out(self) -> Iterator[str]:
        """Every utterance of the training manifests that is not trained on: where and why."""
        for index, utterance in enumerate(self.outside):
            yield (
                f"{self.outside.where(index)}: {utterance.audio}: lasts {utterance.duration:.2f} "
                f"s, outside --min_duration and --max_duration"
            )
        yield from _problems(self.training, self.misfits)


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
    training = recogniser.dataset(Manifest(), augmentation, seed, cache)
    training.manifest = manifest = Manifest.open(
        settings.train_manifest,
        min_duration=settings.min_duration,
        max_duration=settings.max_duration,
        problem=training.problem,
    )
    refused = manifest.refused
    if not len(manifest):
        raise InputError(
            f"{next(_problems(training, refused))}; all {len(refused)} utterances are like this, "
            f"check that vocabulary and manifest belong together"
        )
    scored = {"dev": settings.dev_manifest, "test": settings.test_manifest} if score else {}
    corpus = Corpus(
        training,
        {
            name: recogniser.dataset(Manifest.open(path), cache=cache)
            for name, path in scored.items()
            if path
        },
        manifest.left_out,
        refused,
    )
    _name_left_out(corpus.left_out(), len(corpus.outside))
    _name_left_out(_problems(training, refused), len(refused))
    return corpus


def _problems(dataset: SpeechDataset, misfits: Manifest) -> Iterator[str]:
    for index, utterance in enumerate(misfits):
        yield f"{misfits.where(index)}: {utterance.audio}: {dataset.problem(utterance)}"


def with_classes(corpus: Corpus, name: str, head: Classes | None) -> tuple[Classes, Corpus]:
    """The classes that a head tells apart, and the corpus with those of its utterances.

    How many there are of each, and how many utterances have none, is told.

    Args:
        corpus: of utterances that can be trained on.
        name: field of the manifests' lines that says the class.
        head: the classes that a checkpoint knows; None takes those of the training manifests.

    Raises:
        InputError: `name` is no such field, or the training manifests have fewer than two classes.
    """
    training = corpus.training.manifest
    if head is None:
        head, values = Classes.of(training, name, f"--head_field={name}")
    else:
        values = values_of(training, name)
    classes = {"train": head.numbers(values)}
    counts = Counter(values)
    print(f"classes of {name}: {listing([f'{value} {counts[value]}' for value in head.names])}")
    _tell_strangers("train", values, head, "trained on by CTC alone", "trained on by CTC alone")
    for set_name, dataset in corpus.scored.items():
        values = values_of(dataset.manifest, name)
        classes[set_name] = head.numbers(values)
        _tell_strangers(set_name, values, head, "left out of its accuracy", "scored as wrong")
    return head, dataclasses.replace(corpus, classes=classes)


def _tell_strangers(
    set_name: str, values: Sequence[str | None], head: Classes, without: str, unknown: str
) -> None:
    """Say how many utterances have no class, or one new to the head, and what becomes of them."""
    if missing := values.count(None):
        print(
            f"note: {set_name}: {missing} of {len(values)} utterances have no {head.field}: "
            f"{without}",
            file=sys.stderr,
        )
    known = {None, *head.names}
    others = Counter(value for value in values if value not in known)
    if others:
        print(
            f"warning: {set_name}: {others.total()} of {len(values)} utterances are of classes of "
            f"{head.field} that the head has not ({listing(sorted(map(str, others)))}): {unknown}",
            file=sys.stderr,
        )


def _name_left_out(reasons: Iterator[str], count: int) -> None:
    for shown in itertools.islice(reasons, min(count, SHOWN_PROBLEMS)):
        print(f"left out: {shown}", file=sys.stderr)
    if count > SHOWN_PROBLEMS:
        print(f"left out: {count - SHOWN_PROBLEMS} more like these", file=sys.stderr)
