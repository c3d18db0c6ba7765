"""A recogniser as data: vocabulary, features, statistics and sizes. Importable without Paddle."""

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.classes import Classes
from data_utils.dataset import SpeechDataset, SpeechParts
from data_utils.errors import InputError
from data_utils.features import num_bins
from data_utils.manifest import Manifest
from data_utils.masked_speech import MaskedSpeech
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary
from model_utils.description import check_given, reading
from model_utils.front_end import FRONT_END, FrontEndModel
from model_utils.options import Options, from_json
from model_utils.settings import NetworkSettings

if TYPE_CHECKING:
    from model_utils.networks.deepspeech2 import DeepSpeech2
    from model_utils.trainer.checkpoint import Checkpoint

OUTPUT_LAYER = "output"
"""The layer of the network that has a row for each token of the vocabulary."""

HEAD_LAYER = "head"
"""The layer that tells the class of an utterance, where there is one."""

_PARTS = ("task", "vocabulary", "features", "normalizer", "network", "unknown")


@dataclass(frozen=True)
class Recogniser:
    """All that turns recordings into text, beside the weights; a checkpoint carries it."""

    vocabulary: Vocabulary
    features: FeatureSettings
    normalizer: Normalizer
    network: NetworkSettings
    unknown: Literal["unk", "drop"] = "unk"
    head: Classes | None = None
    """What it tells of an utterance beside its text."""
    front_end: FrontEndModel | None = None
    """What it is trained behind."""

    def describe(self) -> dict[str, Any]:
        """JSON values, from which `of` makes an equal recogniser."""
        head = {} if self.head is None else {"head": dataclasses.asdict(self.head)}
        front_end = {} if self.front_end is None else {FRONT_END: self.front_end.describe()}
        return {
            "task": "recognition",
            "vocabulary": list(self.vocabulary.tokens),
            "features": dataclasses.asdict(self.features),
            "normalizer": self.normalizer.to_dict(),
            "network": dataclasses.asdict(self.network),
            "unknown": self.unknown,
            **head,
            **front_end,
        }

    @classmethod
    def of(cls, info: Mapping[str, Any], where: str) -> "Recogniser":
        """The recogniser that a checkpoint's JSON describes.

        Raises:
            InputError: a part of it is missing or not understood.
        """
        with reading(info, "recognition", _PARTS, where):
            tokens, unknown = info["vocabulary"], info["unknown"]
            if not isinstance(tokens, list) or not all(isinstance(t, str) for t in tokens):
                raise InputError("vocabulary is no list of tokens")
            if unknown not in ("unk", "drop"):
                raise InputError(f"unknown is {unknown!r}")
            found = cls(
                Vocabulary(tuple(tokens)),
                from_json(FeatureSettings, info["features"], "features"),
                Normalizer.from_dict(info["normalizer"]),
                from_json(NetworkSettings, info["network"], "network"),
                unknown,
                None if info.get("head") is None else Classes.from_json(info["head"]),
                FrontEndModel.of(info[FRONT_END], where) if FRONT_END in info else None,
            )
            if found.normalizer.num_bins != found.num_bins:
                raise InputError(
                    f"statistics of {found.normalizer.num_bins} bins for features of "
                    f"{found.num_bins}"
                )
        return found

    @property
    def num_bins(self) -> int:
        """Feature bins of a frame."""
        return num_bins(self.features)

    @property
    def num_columns(self) -> int:
        """Values of a frame that the network gets: features, or what stands before masks."""
        if self.front_end is None:
            return self.num_bins
        return sum(self.front_end.columns(self.features).sizes)

    def build(self, fast: bool) -> "DeepSpeech2":
        """A network of these sizes with new weights."""
        sizes = (
            self.num_bins,
            len(self.vocabulary),
            self.network,
            fast,
            0 if self.head is None else len(self.head.names),
        )
        if self.front_end is None:
            from model_utils.networks.deepspeech2 import DeepSpeech2

            return DeepSpeech2(*sizes)
        from model_utils.networks.front_end import MaskedDeepSpeech2

        build = functools.partial(self.front_end.build, self.features, self.normalizer)
        return MaskedDeepSpeech2(*sizes, build)

    def dataset(
        self,
        manifest: Manifest,
        augmentation: AugmentationPipeline | None = None,
        seed: int = 0,
        cache: RecordingCache | None = None,
    ) -> SpeechDataset:
        """The examples of `manifest`, as this recogniser hears and writes them."""
        parts = SpeechParts(
            manifest=manifest,
            vocabulary=self.vocabulary,
            settings=self.features,
            normalizer=self.normalizer,
            time_reduction=self.network.time_reduction,
            unknown=self.unknown,
            augmentation=augmentation,
            seed=seed,
            cache=cache,
        )
        if self.front_end is None:
            return SpeechDataset(**parts)
        return MaskedSpeech(self.front_end.model.hearing, self.front_end.bounds, **parts)


def resolve(
    options: Options,
    saved: "Checkpoint | None",
    vocab_path: str | None,
    mean_std_path: str | None,
    unknown: Literal["unk", "drop"] = "unk",
) -> Recogniser:
    """The recogniser that a checkpoint carries, or else the one that files and sizes make.

    Args:
        options: with `NetworkSettings` and `FeatureSettings`; whatever of them was given must
            agree with the checkpoint, dropout alone may change.
        saved: a checkpoint; None, or one of weights alone, leaves everything to the rest.
        vocab_path: file of the vocabulary.
        mean_std_path: file of the statistics.
        unknown: what becomes of characters outside the vocabulary.

    Raises:
        InputError: an option contradicts the checkpoint, or a file is needed and missing.
    """
    features, network = options[FeatureSettings], options[NetworkSettings]
    if saved is None or saved.info is None:
        if vocab_path is None or mean_std_path is None:
            where = saved.path if saved is not None else "no checkpoint"
            raise InputError(
                f"{where}: weights alone, without a JSON beside it; give --vocab_path, "
                f"--mean_std_path and the sizes it was trained with"
            )
        normalizer = Normalizer.load(mean_std_path, features)
        return Recogniser(Vocabulary.load(vocab_path), features, normalizer, network, unknown)
    carried = Recogniser.of(saved.info, str(saved.path))
    given = {**vars(features), **vars(network), "unknown": unknown}
    own = {**vars(carried.features), **vars(carried.network), "unknown": carried.unknown}
    check_given(options, given, own, saved.path, may_change=("dropout",))
    if "dropout" in options.given:
        changed = dataclasses.replace(carried.network, dropout=network.dropout)
        carried = dataclasses.replace(carried, network=changed)
    return carried
