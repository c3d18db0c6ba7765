"""Utterances for a recogniser that is trained behind a front end: what its features come of.

The network computes the features itself, for they follow from masks that another part of it gives.
Of each frame it gets, side by side:

    power         the power spectrum behind the effects on the wave
    heard         the magnitudes that the front end hears
    keep          1, or 0 where a value is masked by the effects on features (SpecAugment)
    shift         by how many frames an effect on features (time warp) moves what stands here
    observation   share of the unprocessed signal that is kept, one for the utterance
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from data_utils import features
from data_utils.audio import AudioError
from data_utils.augmentation.pipeline import AugmentationPipeline, stream_rng
from data_utils.augmentation.specaug import SpecAugment
from data_utils.dataset import SpeechDataset, SpeechParts
from data_utils.errors import InputError
from data_utils.hearing import Hearing
from data_utils.settings import FeatureSettings
from data_utils.store import Field

AMPLITUDE = 1024.0
"""The store holds the root of the power times this. As float16 has it, densities of quiet bins are
zero, and their roots nearly; times this 180 dB have room above the smallest number of full
precision, 6e-5, which stands for a power of 4e-15."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Columns:
    """What the network gets of a frame: how many columns each part has."""

    power: int
    heard: int
    features: int

    @classmethod
    def of(cls, settings: FeatureSettings, hearing: Hearing) -> "Columns":
        """Those of a recogniser with such features behind a front end that hears so."""
        bins = features.fft_length(settings) // 2 + 1
        return cls(bins, hearing.bins, features.num_bins(settings))

    @property
    def sizes(self) -> list[int]:
        """Of power, heard, keep, shift and observation, in this order."""
        return [self.power, self.heard, self.features, 1, 1]

    def packed(
        self,
        power: Array,
        heard: Array,
        keep: NDArray[np.bool_],
        shift: Array,
        observation: float,
    ) -> Array:
        """The parts of an utterance, [frames, ...] and shift [frames], as [frames, columns]."""
        share = np.full((len(power), 1), observation, np.float32)
        parts = [power, heard, keep.astype(np.float32), shift[:, np.newaxis], share]
        assert [part.shape[1] for part in parts] == self.sizes, [part.shape for part in parts]
        return np.concatenate(parts, axis=1, dtype=np.float32)


class MaskedSpeech(SpeechDataset):
    """A `SpeechDataset` whose examples are what the network behind a front end gets.

    Args:
        hearing: what the front end hears; it shares the frames of the recogniser.
        observation: bounds between which each utterance draws its share in each epoch. Without
            augmentation, in scoring, it is the middle.
        speech: arguments of `SpeechDataset`, by name.

    Raises:
        InputError: the effects on features are none that can be applied behind masks.
    """

    def __init__(
        self, hearing: Hearing, observation: tuple[float, float], **speech: Unpack[SpeechParts]
    ) -> None:
        super().__init__(**speech)
        self.hearing = hearing
        self.observation = observation
        self.columns = Columns.of(self.settings, hearing)
        if self.augmentation is not None:
            _check_effects(self.augmentation)

    def fields(self) -> dict[str, Field]:
        """What is stored of an utterance: what masks and features follow from, before them."""
        return {
            "amplitude": Field(self.columns.power, "decibel"),
            "heard": Field(self.columns.heard, "decibel"),
        }

    def computed(self, index: int, epoch: int = 0) -> dict[str, Array]:
        """The stored fields of one utterance behind the effects on its wave.

        Raises:
            AudioError: see `example`.
        """
        samples = self.wave(index, epoch)
        try:
            power = features.power_spectrum(samples, self.settings)
        except AudioError as error:
            raise AudioError(f"{self.manifest[index].audio}: {error}") from None
        amplitude = np.float32(AMPLITUDE) * np.sqrt(power)
        return {"amplitude": amplitude, "heard": self.hearing.magnitudes(samples)}

    def frames(self, arrays: Mapping[str, Array], rng: np.random.Generator) -> Array:
        """What the network gets of the stored fields, [frames, columns].

        Args:
            arrays: from `computed`.
            rng: of the utterance in its epoch.
        """
        amplitude = arrays["amplitude"]
        low, high = self.observation
        share = (low + high) / 2
        keep = np.ones((len(amplitude), self.columns.features), bool)
        shift = np.zeros(len(amplitude), np.float32)
        if self.augmentation is not None:
            share = float(stream_rng(rng, "observation").uniform(low, high))
            keep, shift = _effects(self.augmentation, keep.shape, rng)
        power = np.square(amplitude / np.float32(AMPLITUDE))
        return self.columns.packed(power, arrays["heard"], keep, shift, share)

    def fingerprint(self) -> dict[str, Any]:
        """All that the stored fields follow from: JSON values."""
        return {**super().fingerprint(), "front_end": asdict(self.hearing)}


def _effects(
    augmentation: AugmentationPipeline, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Array]:
    """Which values of features `shape` [frames, bins] the effects keep, and by how much they move.

    The effects are applied to the numbers of the frames, from 1 on: what is masked is 0 behind
    them, and everything else says where it comes from.
    """
    numbers = np.arange(1, shape[0] + 1, dtype=np.float64)[:, np.newaxis]
    moved: NDArray[Any] = augmentation.features(np.repeat(numbers, shape[1], axis=1), rng)
    keep = moved > 0
    shift = np.where(keep.any(axis=1), moved.max(axis=1) - numbers[:, 0], 0)
    return keep, shift.astype(np.float32)


def _check_effects(augmentation: AugmentationPipeline) -> None:
    on_features = [effect for _, effect in augmentation.steps if effect.domain == "features"]
    for effect in on_features[1:]:
        assert isinstance(effect, SpecAugment), effect
        if effect.W:
            raise InputError(
                f"--augment_conf_path: a second specaug with W={effect.W} would warp the masks of "
                f"the first, which a recogniser behind a front end cannot do; give it W=0"
            )
