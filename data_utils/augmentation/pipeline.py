"""The effects of a configuration file, applied to one utterance after the other, reproducibly.

The file is a JSON5 list in which every entry is an effect, applied in this order:

    {"type": "volume", "params": {"min_gain_dBFS": -15, "max_gain_dBFS": 15}, "prob": 0.5}

Older files name the type `aug_type`.
"""

import dataclasses
import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from data_utils.augmentation.effect import Effect
from data_utils.augmentation.impulse import Impulse
from data_utils.augmentation.noise import Noise
from data_utils.augmentation.resample import Resample
from data_utils.augmentation.shift import Shift
from data_utils.augmentation.specaug import SpecAugment
from data_utils.augmentation.speed import Speed
from data_utils.augmentation.trim import Trim
from data_utils.augmentation.volume import Volume
from data_utils.errors import InputError, suggestion

EFFECTS: dict[str, type[Effect[Any]]] = {
    effect.name: effect
    for effect in (Noise, Speed, Shift, Volume, Trim, Resample, Impulse, SpecAugment)
}
"""Every effect by the name it has in the file."""


@dataclass(frozen=True)
class AugmentationPipeline:
    """Effects in their order; without any, every utterance stays as it is. It can be pickled."""

    steps: tuple[tuple[str, Effect[Any]], ...] = ()
    """Each effect with the name of its stream of random numbers."""

    @classmethod
    def load(cls, path: str | Path | None, *, warn: Callable[[str], object] = print) -> Self:
        """The pipeline that the file describes; an empty one for None.

        Args:
            path: JSON5 file, or None for no augmentation.
            warn: gets the line that says that an effect is left out because its manifest is
                missing, once in a process and never in a worker.

        Raises:
            InputError: the file cannot be read, or an entry has an unknown type or key or a value
                that is not allowed.
        """
        return cls.of([] if path is None else read_effects(path), warn=warn)

    @classmethod
    def of(cls, effects: Iterable[Effect[Any]], *, warn: Callable[[str], object] = print) -> Self:
        """The pipeline of these effects, without those that never apply or cannot.

        Raises:
            InputError: a manifest that an effect needs cannot be read.
        """
        seen: Counter[str] = Counter()
        steps = []
        for effect in effects:
            seen[effect.name] += 1
            if effect.prob == 0:
                continue
            if reason := effect.unavailable():
                _tell_once(reason, warn)
                continue
            steps.append((f"{effect.name} {seen[effect.name]}", effect))
        return cls(tuple(steps))

    def wave(self, samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Apply the effects on waves.

        Args:
            samples: float32 `[samples]` at 16 kHz, brought to the target level.
            rng: from `utterance_rng`; its seed counts, not how far it was used.

        Returns:
            Float32 `[samples]`, of another length where `speed` was applied.
        """
        return self._apply("wave", samples, rng)

    def features(
        self, features: NDArray[np.float32], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Apply the effects on features.

        Args:
            features: float32 `[frames, bins]`, normalised by mean and standard deviation and
                without padding.
            rng: from `utterance_rng`; its seed counts, not how far it was used.

        Returns:
            Float32 `[frames, bins]`.
        """
        return self._apply("features", features, rng)

    def describe(self, domain: Literal["wave", "features"]) -> list[dict[str, Any]]:
        """The effects of one domain, in their order: JSON values."""
        return [
            {"type": stream, **effect.describe()}
            for stream, effect in self.steps
            if effect.domain == domain
        ]

    def _apply(
        self,
        domain: Literal["wave", "features"],
        array: NDArray[np.float32],
        rng: np.random.Generator,
    ) -> NDArray[np.float32]:
        for stream, effect in self.steps:
            if effect.domain == domain and len(array):
                array = effect(array, stream_rng(rng, stream))
        return array


def utterance_rng(seed: int, epoch: int, key: str) -> np.random.Generator:
    """The generator for one utterance in one epoch, the same on every machine.

    Args:
        seed: the run's seed.
        epoch: counted from anywhere.
        key: what identifies the utterance (`Utterance.key`).
    """
    return _generator(np.random.SeedSequence(_number(f"{seed}\0{epoch}\0{key}")))


def stream_rng(rng: np.random.Generator, stream: str) -> np.random.Generator:
    """A generator of its own, an effect's say, so that none moves the draws of another.

    Args:
        rng: from `utterance_rng`; its seed counts, not how far it was used.
        stream: names it.
    """
    parent = rng.bit_generator.seed_seq
    assert isinstance(parent, np.random.SeedSequence), "the generator must come from a seed"
    key = (*parent.spawn_key, _number(stream))
    return _generator(np.random.SeedSequence(parent.entropy, spawn_key=key))


def _generator(seed: np.random.SeedSequence) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


_told: set[str] = set()


def _tell_once(message: str, warn: Callable[[str], object]) -> None:
    if multiprocessing.parent_process() is None and message not in _told:
        _told.add(message)
        warn(message)


def read_effects(path: str | Path) -> list[Effect[Any]]:
    """The effects that the file lists, in its order.

    Raises:
        InputError: the file cannot be read, or an entry has an unknown type or key or a value that
            is not allowed.
    """
    import json5

    try:
        content = json5.loads(
            Path(path).read_text(encoding="utf-8-sig"), allow_duplicate_keys=False
        )
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); "
            "--augment_conf_path=None trains without augmentation"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON5: {' '.join(str(error).split())}") from None
    if not isinstance(content, list):
        raise InputError(f"{path}: a list of effects expected, found {type(content).__name__}")
    return [_effect(entry, f"{path}: entry {n}") for n, entry in enumerate(content, start=1)]


def _effect(entry: Any, where: str) -> Effect[Any]:
    if not isinstance(entry, dict):
        raise InputError(f'{where}: {{"type", "params", "prob"}} expected, found {entry!r}')
    _refuse_unknown(entry, ("type", "aug_type", "params", "prob"), "key", where)
    if ("type" in entry) == ("aug_type" in entry):
        raise InputError(f"{where}: give its type once, one of {', '.join(EFFECTS)}")
    name = entry.get("type", entry.get("aug_type"))
    if not isinstance(name, str) or name not in EFFECTS:
        raise InputError(f"{where}: unknown type {name!r}{suggestion(str(name), EFFECTS)}")
    where = f"{where} ({name})"
    params = entry.get("params", {})
    if not isinstance(params, dict):
        raise InputError(f"{where}: params must be an object, found {params!r}")
    known = [f.name for f in dataclasses.fields(EFFECTS[name]) if f.name != "prob"]
    _refuse_unknown(params, known, "parameter", where)
    try:
        return EFFECTS[name](**params, **({"prob": entry["prob"]} if "prob" in entry else {}))
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _refuse_unknown(given: Iterable[str], known: Collection[str], what: str, where: str) -> None:
    for key in given:
        if key not in known:
            raise InputError(f"{where}: unknown {what} {key!r}{suggestion(key, known)}")
