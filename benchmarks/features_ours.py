"""What `features` measures of this package: everything by name, from samples to an array."""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.answering import answer, on_samples, rate
from data_utils import audio, features
from data_utils.augmentation.pipeline import EFFECTS, AugmentationPipeline, utterance_rng
from data_utils.settings import FeatureSettings

Array = NDArray[np.float32]

RATE = 16000


def extract(kind: Any, loudness: bool = False) -> Callable[[Array], Array]:
    """Features of samples `[n]`, `[frames, bins]`."""
    settings = FeatureSettings(kind, use_db_normalization=loudness)
    return lambda samples: features.extract(samples, settings)


def resample(source: int) -> Callable[[Array], Array]:
    """Samples `[n]` of `source` Hz at 16 kHz."""
    return lambda samples: audio.resample(samples, source, RATE)


NAMED: dict[str, Callable[[Array], Array]] = {
    "linear": extract("linear"),
    "fbank": extract("fbank"),
    "mfcc": extract("mfcc"),
    "loudness and linear": extract("linear", loudness=True),
    **{f"resample {source} soxr": resample(source) for source in (8000, 44100, 48000)},
}


def effect(kind: str, params: dict[str, Any], clip: str, amount: float, seconds: float) -> float:
    """The `rate` of an effect that is applied always, with new draws each time."""
    pipeline = AugmentationPipeline.of([EFFECTS[kind](**params, prob=1.0)])
    samples, numbers = np.load(clip), itertools.count()
    if EFFECTS[kind].domain == "wave":
        return rate(
            lambda: pipeline.wave(samples, utterance_rng(0, next(numbers), "clip")), amount, seconds
        )
    heard = features.extract(samples, FeatureSettings("fbank"))
    normalised = (heard - heard.mean(axis=0)) / heard.std(axis=0)
    return rate(
        lambda: pipeline.features(normalised, utterance_rng(0, next(numbers), "clip")),
        amount,
        seconds,
    )


def effects() -> dict[str, dict[str, Any]]:
    """Every effect with its default parameters."""
    return {
        kind: {
            field.name: field.default for field in dataclasses.fields(made) if field.name != "prob"
        }
        for kind, made in EFFECTS.items()
    }


if __name__ == "__main__":
    answer(**on_samples(NAMED), effect=effect, effects=effects)
