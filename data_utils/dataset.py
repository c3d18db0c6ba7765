"""Utterances to padded batches: the one way from recordings to what the network sees."""

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from data_utils import features
from data_utils.audio import SAMPLE_RATE, AudioError, read_speech
from data_utils.augmentation.pipeline import AugmentationPipeline, utterance_rng
from data_utils.cache import RecordingCache
from data_utils.examples import read_each
from data_utils.manifest import Manifest, Utterance
from data_utils.normalizer import Normalizer, in_force
from data_utils.settings import FeatureSettings
from data_utils.store import Field, Store
from data_utils.text import Vocabulary, normalize_text

_FIELD = "features"
"""Name of what is stored of an utterance."""


@dataclass(frozen=True)
class Example:
    """One utterance as the network sees it."""

    features: NDArray[np.float32]
    """Normalised features [frames, bins]; behind a front end see `masked_speech`."""
    labels: list[int]
    """Token ids."""


@dataclass(frozen=True)
class Batch:
    """Examples padded with zeros to the longest: a zero of features is the mean of its bin.

    B: examples, T: frames of the longest, L: labels of the longest.
    """

    features: NDArray[np.float32]
    """[B, T, bins]; behind a front end [B, T, columns], see `masked_speech`."""
    frames: NDArray[np.int64]
    """Valid frames of each example [B]."""
    labels: NDArray[np.int32]
    """Token ids [B, L], padded with 0."""
    label_lengths: NDArray[np.int64]
    """Valid labels of each example [B]."""
    items: list[int] = field(default_factory=list)
    """Which utterance of the manifest each example is."""
    texts: list[str] = field(default_factory=list)
    """Normalised transcript of each example."""
    problems: list[str] = field(default_factory=list)
    """Utterances left out of the batch: where, and why."""

    def __len__(self) -> int:
        return len(self.frames)


def required_frames(labels: Sequence[int]) -> int:
    """Output frames that CTC needs for `labels`: one each, and a blank between two that repeat."""
    return len(labels) + sum(map(operator.eq, labels, labels[1:]))


class SpeechParts(TypedDict):
    """The arguments of `SpeechDataset` by name, for what passes them on."""

    manifest: Manifest
    vocabulary: Vocabulary
    settings: FeatureSettings
    normalizer: Normalizer
    time_reduction: int
    unknown: NotRequired[Literal["unk", "drop"]]
    augmentation: NotRequired[AugmentationPipeline | None]
    seed: NotRequired[int]
    cache: NotRequired[RecordingCache | None]
    store: NotRequired[Store | None]


class SpeechDataset:
    """Examples of a manifest; a worker process holds its own copy.

    Args:
        manifest: the utterances.
        vocabulary: numbers the characters.
        settings: how features are computed.
        normalizer: mean and std of those features.
        time_reduction: feature frames to one output frame of the network.
        unknown: what becomes of characters outside the vocabulary, "unk" or "drop".
        augmentation: None leaves recordings as they are, as evaluation does.
        seed: of the augmentation.
        cache: keeps decoded recordings; None decodes each time.
        store: features that were computed before; None computes them.
    """

    def __init__(
        self,
        manifest: Manifest,
        vocabulary: Vocabulary,
        settings: FeatureSettings,
        normalizer: Normalizer,
        time_reduction: int,
        unknown: Literal["unk", "drop"] = "unk",
        augmentation: AugmentationPipeline | None = None,
        seed: int = 0,
        cache: RecordingCache | None = None,
        store: Store | None = None,
    ) -> None:
        self.manifest = manifest
        self.vocabulary = vocabulary
        self.settings = settings
        self.normalizer = normalizer
        self.time_reduction = time_reduction
        self.unknown = unknown
        self.augmentation = augmentation
        self.seed = seed
        self.cache = cache or RecordingCache(0)
        self.store = store
        self.power: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
        """A front end's masked power spectrum of samples [n]; None takes the plain one."""

    def __len__(self) -> int:
        return len(self.manifest)

    @property
    def durations(self) -> NDArray[np.float32]:
        """Seconds of each utterance, as the manifest has them."""
        return self.manifest.durations

    def where(self, index: int) -> str:
        """Manifest and line of an utterance."""
        return self.manifest.where(index)

    def text(self, utterance: Utterance) -> str:
        """The utterance's transcript, normalised (older packages wrote it as it came)."""
        return normalize_text(utterance.text)[0]

    def labels(self, utterance: Utterance) -> list[int]:
        """Token ids of the utterance's transcript."""
        return self.vocabulary.encode(self.text(utterance), self.unknown)

    def fits(self, labels: Sequence[int], frames: int) -> bool:
        """Whether CTC can align `labels` with the output of `frames` feature frames."""
        return required_frames(labels) <= -(-frames // self.time_reduction)

    def problem(self, utterance: Utterance) -> str:
        """Why no loss can be computed for an utterance; empty where one can."""
        labels = self.labels(utterance)
        if not labels:
            return "no label: nothing of its text is in the vocabulary"
        num_samples = round(utterance.duration * SAMPLE_RATE)
        frames = features.num_frames(num_samples, self.settings)
        if self.fits(labels, frames):
            return ""
        return self._misfit(labels, frames, utterance.duration)

    def _misfit(self, labels: Sequence[int], frames: int, seconds: float) -> str:
        return (
            f"{len(labels)} labels need {required_frames(labels)} output frames (a repeat needs a "
            f"blank between), its {seconds:.2f} s give {-(-frames // self.time_reduction)}"
        )

    def example(self, index: int, epoch: int = 0) -> Example:
        """One utterance; its augmentation is a function of (seed, epoch, utterance) alone.

        Raises:
            AudioError: the recording cannot be used; or, in training, it is so much shorter than
                its manifest says that its labels do not fit.
        """
        utterance = self.manifest[index]
        rng = utterance_rng(self.seed, epoch, utterance.key)
        store = self.store
        arrays = self.computed(index, epoch) if store is None else store.draw(index, rng)
        return Example(self.frames(arrays, rng), self.labels(utterance))

    def computed(self, index: int, epoch: int = 0) -> dict[str, NDArray[np.float32]]:
        """The `fields` of one utterance behind the effects on its wave.

        Raises:
            AudioError: see `example`.
        """
        return {_FIELD: self._features(self.wave(index, epoch), self.manifest[index].audio)}

    def frames(
        self, arrays: Mapping[str, NDArray[np.float32]], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """What the network gets of the `fields`: normalised features behind the effects on them.

        Args:
            arrays: from `computed`.
            rng: of the utterance in its epoch.
        """
        normalised = self.normalizer(arrays[_FIELD])
        if self.augmentation is not None:
            normalised = self.augmentation.features(normalised, rng)
        return normalised

    def wave(self, index: int, epoch: int = 0) -> NDArray[np.float32]:
        """The samples of one utterance behind the effects on them, [samples].

        Raises:
            AudioError: see `example`.
        """
        utterance = self.manifest[index]
        samples = self.cache.get(
            f"{utterance.key} {utterance.end}", lambda: self._recording(utterance)
        )
        if self.augmentation is None:
            return samples
        labels = self.labels(utterance)
        plain = samples
        samples = self.augmentation.wave(samples, utterance_rng(self.seed, epoch, utterance.key))
        if not self.fits(labels, features.num_frames(len(samples), self.settings)):
            samples = plain  # spoken faster than its labels can be written
            frames = features.num_frames(len(plain), self.settings)
            if not self.fits(labels, frames):
                seconds = len(plain) / SAMPLE_RATE
                raise AudioError(
                    f"{utterance.audio}: {self._misfit(labels, frames, seconds)}; "
                    f"the manifest says {utterance.duration:.2f} s, make it again"
                )
        return samples

    def fields(self) -> dict[str, Field]:
        """What is stored of an utterance: its features before normalisation and masks."""
        return {_FIELD: Field(features.num_bins(self.settings))}

    def arrays(self, index: int, variant: int) -> dict[str, NDArray[np.float32]]:
        """What is stored: variant 0 is what epoch 1 hears, 1 what epoch 2 hears, and so on.

        Raises:
            AudioError: see `example`.
        """
        return self.computed(index, variant + 1)

    def fingerprint(self) -> dict[str, Any]:
        """All that the stored features follow from: JSON values."""
        effects = [] if self.augmentation is None else self.augmentation.describe("wave")
        return {
            "task": "recognition",
            "features": in_force(self.settings),
            "manifest": self.manifest.digest(),
            "time_reduction": self.time_reduction,
            "augmentation": effects,
            **({"seed": self.seed} if effects else {}),
        }

    def _recording(self, utterance: Utterance) -> NDArray[np.float32]:
        audio = read_speech(utterance.audio, start=utterance.start, end=utterance.end)
        return features.prepare(audio.samples, self.settings)

    def _features(self, samples: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        try:
            power = self.power or functools.partial(features.power_spectrum, settings=self.settings)
            return features.from_power(power(samples), self.settings)
        except AudioError as error:
            raise AudioError(f"{name}: {error}") from None

    def batch(self, indices: Sequence[int] | NDArray[np.int64], epoch: int = 0) -> Batch:
        """The batch of these utterances; those that cannot be read are left out and named."""
        examples, items, problems = read_each(
            indices, lambda index: self.example(index, epoch), self.where
        )
        texts = [self.text(self.manifest[item]) for item in items]
        return collate(examples, items, texts, problems)


def collate(
    examples: Sequence[Example],
    items: Sequence[int] = (),
    texts: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> Batch:
    """Pad examples to the longest of them."""
    frames = np.array([len(example.features) for example in examples], dtype=np.int64)
    label_lengths = np.array([len(example.labels) for example in examples], dtype=np.int64)
    bins = examples[0].features.shape[1] if examples else 0
    padded = np.zeros((len(examples), int(frames.max(initial=0)), bins), dtype=np.float32)
    labels = np.zeros((len(examples), int(label_lengths.max(initial=0))), dtype=np.int32)
    for row, example in enumerate(examples):
        padded[row, : frames[row]] = example.features
        labels[row, : label_lengths[row]] = example.labels
    return Batch(padded, frames, labels, label_lengths, list(items), list(texts), list(problems))
