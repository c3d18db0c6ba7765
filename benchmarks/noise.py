"""Recognition in noise: recognisers with and without a front end, by ratio and observation.

Each utterance of a manifest is mixed with a noise at each ratio, always the same one; whatever
stands in front of the recogniser hears the same mixture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Report, Section, names
from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import Options
from model_utils.settings import DeviceSettings

if TYPE_CHECKING:
    import numpy as np

    from inference.front_end import FrontEnd
    from inference.predictor import Predictor


@dataclass(frozen=True)
class NoiseSettings:
    """Who recognises what, in which noise, behind what."""

    models: tuple[str, ...] = option((), "checkpoints of recognisers, separated by commas")
    frontends: tuple[str, ...] = option((), "checkpoints of enhancers or separators, likewise")
    observations: tuple[float, ...] = option(
        (0.0, 0.1, 0.3), "shares of the unprocessed signal to try behind each front end"
    )
    test_manifest: str = option("./dataset/manifest.test", "what is recognised")
    test_noise: str = option("./dataset/noise.test", "noises: list, manifest or folder")
    test_snrs: tuple[float, ...] = option((20.0, 10.0, 5.0, 0.0, -5.0), "ratios", unit="dB")
    seed: int = option(0, "seed of the noises drawn", minimum=0)


SETTINGS = (NoiseSettings, DeviceSettings)


def measure(options: Options) -> Report:
    """Character error rates: of each recogniser a table, front ends by ratios.

    Raises:
        InputError: a model, the manifest or the list cannot be used, or the recognisers hear
            different features.
    """
    from tqdm import tqdm

    from data_utils.enhancement.lists import named_list
    from data_utils.manifest import Manifest
    from data_utils.text import normalize_text
    from scoring.error_rate import ErrorCounts, character_errors

    settings = options[NoiseSettings]
    predictors, fronts = _opened(options)
    features = next(iter(predictors.values())).recogniser.features
    manifest, noises = Manifest.open(settings.test_manifest), named_list(settings.test_noise)
    rows = ["none", *(f"{name}, {o:g}" for name in fronts for o in settings.observations)]
    columns = ["clean", *(f"{snr:g} dB" for snr in settings.test_snrs)]
    counts = {
        (model, row, column): ErrorCounts()
        for model in predictors
        for row in rows
        for column in columns
    }
    done = 0
    for index in tqdm(range(len(manifest)), unit=" utterances", disable=None):
        reference = normalize_text(manifest[index].text)[0]
        heard = mixtures(manifest, index, noises, settings)
        for column, samples in zip(columns, heard, strict=True):
            spectra = _spectra(samples, features, fronts, settings.observations)
            for model, predictor in predictors.items():
                texts = _texts(predictor, spectra)
                for row, text in zip(rows, texts, strict=True):
                    counts[model, row, column] += character_errors(reference, text)
        done += 1
    report = Report()
    for model in predictors:
        report.sections.append(
            Section(
                f"CER of {model} (%)",
                f"{done} utterances, {len(noises)} noises. Rows: front end, and the share of the "
                "unprocessed signal that is kept; with all of it every front end is none.",
                ["front end", *columns],
                [
                    [row, *(f"{100 * counts[model, row, column].rate:.2f}" for column in columns)]
                    for row in rows
                ],
            )
        )
        for row in rows:
            rates = [f"{100 * counts[model, row, column].rate:.2f}" for column in columns]
            report.figures[f"noise {model}, {row}"] = " ".join(rates)
    return report


def _opened(options: Options) -> "tuple[dict[str, Predictor], dict[str, FrontEnd]]":
    from inference.front_end import FrontEnd
    from inference.predictor import Predictor
    from model_utils.trainer import checkpoint
    from model_utils.trainer.checkpoint import newest

    settings = options[NoiseSettings]
    if not settings.models:
        raise InputError("--models: no model given; name checkpoints, separated by commas")
    device = options[DeviceSettings]
    predictors = {
        name: Predictor(newest(path), device)
        for name, path in zip(names(settings.models), settings.models, strict=True)
    }
    kinds = {predictor.recogniser.features for predictor in predictors.values()}
    if len(kinds) > 1:
        raise InputError("--models: of different features; measure them one by one")
    [features] = kinds
    fronts = {}
    for name, path in zip(names(settings.frontends), settings.frontends, strict=True):
        front = FrontEnd(checkpoint.load(newest(path), optimizer=False), features, 0.0)
        front.model = _Remembering(front.model)  # type: ignore[assignment]
        fronts[name] = front
    return predictors, fronts


class _Remembering:
    """A mask network that computes the masks of one wave once, however often it is asked."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._heard: object = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def speech_masks(self, samples: "np.ndarray") -> "np.ndarray":
        """As the model's."""
        if self._heard is not samples:
            self._heard, self._masks = samples, self._model.speech_masks(samples)
        return self._masks


def mixtures(
    manifest: Any, index: int, noises: Any, settings: NoiseSettings
) -> "Iterator[np.ndarray]":
    """The utterance as it is, then at each ratio, float32 [n] at 16 kHz."""
    import numpy as np

    from data_utils.audio import SAMPLE_RATE, read_speech
    from data_utils.augmentation.pipeline import utterance_rng
    from data_utils.augmentation.sounds import Sounds
    from data_utils.mixing import mix

    utterance = manifest[index]
    clean = read_speech(utterance.audio, start=utterance.start, end=utterance.end).samples
    rng = utterance_rng(settings.seed, 0, utterance.key)
    sounds = Sounds(noises, SAMPLE_RATE)
    noise = None
    while noise is None or not np.any(noise):
        noise = sounds.part(int(rng.integers(len(sounds))), float(rng.random()), len(clean))
    yield clean
    for snr in settings.test_snrs:
        yield mix(clean, noise, snr)[0]


def _spectra(
    samples: "np.ndarray",
    settings: Any,
    fronts: "dict[str, FrontEnd]",
    observations: tuple[float, ...],
) -> "np.ndarray":
    """Features of what each front end leaves, the plain ones first: [rows, frames, bins]."""
    import numpy as np

    from data_utils import features

    heard = features.prepare(samples, settings)
    powers = [features.power_spectrum(heard, settings)]
    for front in fronts.values():
        for observation in observations:
            front.observation = np.float32(observation)
            powers.append(front.power(heard))
    return np.stack([features.from_power(power, settings) for power in powers])


def _texts(predictor: "Predictor", spectra: "np.ndarray") -> list[str]:
    import numpy as np

    from decoders.greedy import greedy_decode_batch

    normalised = np.stack([predictor.recogniser.normalizer(one) for one in spectra])
    found = predictor.outputs(normalised, np.full(len(normalised), normalised.shape[1], np.int64))
    decode = predictor.recogniser.vocabulary.decode
    return [decode(one.ids) for one in greedy_decode_batch(found.log_probs, found.frames)]
