"""Recognition in noise: recognisers with and without a front end, by ratio and observation.

Each utterance of a manifest is mixed with a noise at each ratio, always the same one; whatever
stands in front of the recogniser hears the same mixture.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.measuring import Report, Section, names, of_each
from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import Options
from model_utils.settings import DeviceSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_utils.augmentation.sounds import Sounds
    from data_utils.excerpts import Listed
    from data_utils.settings import FeatureSettings
    from inference.front_end import FrontEnd
    from inference.predictor import Predictor
    from scoring.error_rate import ErrorCounts

    Array = NDArray[np.float32]


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
        InputError: a model, the manifest, the list, a share or a ratio cannot be used, or the
            recognisers hear different features.
    """
    from data_utils.augmentation.sounds import Sounds
    from data_utils.enhancement.lists import named_list
    from data_utils.manifest import Manifest
    from data_utils.text import normalize_text
    from scoring.error_rate import ErrorCounts, character_errors

    settings = options[NoiseSettings]
    _check(settings)
    predictors, fronts = _opened(options)
    features = next(iter(predictors.values())).recogniser.features
    manifest, noises = Manifest.open(settings.test_manifest), named_list(settings.test_noise)
    rows = ["none", *(f"{name}, {o:g}" for name in fronts for o in settings.observations)]
    columns = ["clean", *(f"{snr:g} dB" for snr in settings.test_snrs)]
    sounds = Sounds(noises)

    def errors(index: int) -> "dict[tuple[str, str, str], ErrorCounts]":
        reference, found = normalize_text(manifest[index].text)[0], {}
        heard = mixtures(manifest, index, sounds, settings)
        for column, samples in zip(columns, heard, strict=True):
            spectra = _spectra(samples, features, fronts.values(), settings.observations)
            for model, predictor in predictors.items():
                texts = _texts(predictor, spectra)
                for row, text in zip(rows, texts, strict=True):
                    found[model, row, column] = character_errors(reference, text)
        return found

    each, count = of_each(manifest, errors, settings.test_manifest, "utterances")
    counts = {key: sum((one[key] for one in each), ErrorCounts()) for key in each[0]}
    report = Report()
    for model in predictors:
        report.sections.append(
            Section(
                f"CER of {model} (%)",
                f"{count}; {len(noises)} noises. Rows: front end, and the share of the "
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


def _check(settings: NoiseSettings) -> None:
    from data_utils.enhancement.settings import check_ratios

    if not settings.models:
        raise InputError("--models: no model given; name checkpoints, separated by commas")
    check_ratios("test_snrs", settings.test_snrs)
    if settings.frontends and not settings.observations:
        raise InputError(
            "--observations: no share given; write one or more, as in --observations=0,0.1"
        )
    for share in settings.observations:
        if not 0 <= share <= 1:
            raise InputError(f"--observations: {share:g} is not between 0 and 1; mend it")


def _opened(options: Options) -> "tuple[dict[str, Predictor], dict[str, FrontEnd]]":
    """The recognisers and the front ends, by name."""
    from inference.front_end import FrontEnd
    from inference.predictor import Predictor
    from model_utils import runtime
    from model_utils.trainer import checkpoint
    from model_utils.trainer.checkpoint import newest

    settings = options[NoiseSettings]
    device = runtime.settled(options[DeviceSettings])
    predictors = {
        name: Predictor(newest(path), device)
        for name, path in zip(names(settings.models), settings.models, strict=True)
    }
    for path, predictor in zip(settings.models, predictors.values(), strict=True):
        if predictor.front_end is not None:
            raise InputError(
                f"{path}: carries a front end of its own, without which it would be scored; name "
                f"recognisers without one, and score this one with eval.py"
            )
    kinds = {predictor.recogniser.features for predictor in predictors.values()}
    if len(kinds) > 1:
        raise InputError("--models: of different features; measure them one by one")
    [features] = kinds
    if settings.frontends:
        runtime.prepare(device)  # recognisers may do without Paddle
    fronts = {
        name: FrontEnd(checkpoint.load(newest(path), optimizer=False), features, observation=0.0)
        for name, path in zip(names(settings.frontends), settings.frontends, strict=True)
    }
    return predictors, fronts


def mixtures(
    manifest: "Listed", index: int, noises: "Sounds", settings: NoiseSettings
) -> "Iterator[Array]":
    """The utterance as it is, then at each ratio, float32 [n] at 16 kHz.

    Raises:
        AudioError: the utterance cannot be used, or no noise can.
    """
    from data_utils.audio import read_speech
    from data_utils.augmentation.pipeline import utterance_rng
    from data_utils.mixing import mix

    utterance = manifest[index]
    clean = read_speech(utterance.audio, start=utterance.start, end=utterance.end).samples
    rng = utterance_rng(settings.seed, 0, utterance.key)
    noise = noises.heard_part(rng, len(clean))
    yield clean
    for snr in settings.test_snrs:
        yield mix(clean, noise, snr)[0]


def _spectra(
    samples: "Array",
    settings: "FeatureSettings",
    fronts: "Iterable[FrontEnd]",
    observations: "Sequence[float]",
) -> "Array":
    """Features of what each front end leaves, the plain ones first: [rows, frames, bins].

    Behind them those of each front end with each share of the unprocessed signal.
    """
    import numpy as np

    from data_utils import features

    heard = features.prepare(samples, settings)
    powers = [features.power_spectrum(heard, settings)]
    for front in fronts:
        powers += front.powers(heard, observations)
    return np.stack([features.from_power(power, settings) for power in powers])


def _texts(predictor: "Predictor", spectra: "Array") -> list[str]:
    import numpy as np

    from decoders.greedy import greedy_decode_batch

    normalised = np.stack([predictor.recogniser.normalizer(one) for one in spectra])
    found = predictor.outputs(normalised, np.full(len(normalised), normalised.shape[1], np.int64))
    decode = predictor.recogniser.vocabulary.decode
    return [decode(one.ids) for one in greedy_decode_batch(found.log_probs, found.frames)]
