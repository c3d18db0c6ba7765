"""Speech enhancement: trained models, classical methods, and none.

Every method gets the same mixtures (`data_utils.enhancement.dataset.NoisyPairs`). The classical
ones run in an environment of their own, with the settings that served best on dev mixtures:

    spectral gating          noisereduce, not stationary
    spectral subtraction     pyroomacoustics, Berouti et al. 1979
    iterative Wiener filter  pyroomacoustics, Lim and Oppenheim 1979
"""

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Report, Section, names, versions_of
from benchmarks.peers import PeerSettings, Side, environment
from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import Options
from model_utils.settings import DeviceSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Wave = NDArray[np.float32]
    Method = Callable[[Wave], Wave]

REQUIREMENTS = (
    "noisereduce==3.0.3",
    "numpy==2.4.6",
    "pyroomacoustics==0.10.1",
    "scipy==1.17.1",
)
"""Where the classical methods come from."""

CLASSICAL = ("spectral gating", "spectral subtraction", "iterative Wiener filter")


@dataclass(frozen=True)
class EnhancementSettings:
    """What is enhanced, by which models."""

    models: tuple[str, ...] = option((), "checkpoints of enhancers, separated by commas")
    test_clean: str = option("./dataset/clean.test", "clean speech: list, manifest or folder")
    test_noise: str = option("./dataset/noise.test", "noises: list, manifest or folder")
    test_snrs: tuple[float, ...] = option((-5.0, 0.0, 5.0, 10.0), "ratios", unit="dB")


SETTINGS = (EnhancementSettings, PeerSettings, DeviceSettings)


def measure(options: Options) -> Report:
    """SI-SDR, STOI and PESQ of every method at every ratio.

    Raises:
        InputError: a model or a list cannot be used, or the models hear different rates.
    """
    from tqdm import tqdm

    from data_utils.enhancement.dataset import NoisyPairs
    from data_utils.enhancement.lists import named_list
    from inference.loading import load_enhancer
    from scoring.speech_quality import Quality

    settings = options[EnhancementSettings]
    if not settings.models:
        raise InputError("--models: no model given; name checkpoints, separated by commas")
    predictors = {
        name: load_enhancer(path, options[DeviceSettings])
        for name, path in zip(names(settings.models), settings.models, strict=True)
    }
    rates = {predictor.masking.rate for predictor in predictors.values()}
    if len(rates) > 1:
        raise InputError(f"--models: of different rates ({rates}); measure them one by one")
    [rate] = rates
    clean, noise = named_list(settings.test_clean), named_list(settings.test_noise)
    pairs = NoisyPairs(clean, noise, settings.test_snrs, rate)
    methods: dict[str, Method] = {"none": lambda noisy: noisy}
    report = Report(versions=versions_of("pystoi"))
    with contextlib.ExitStack() as stack:
        if options[PeerSettings].peers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
            python = environment("enhancement", REQUIREMENTS)
            side = stack.enter_context(Side("benchmarks.enhancement_peers", python=python, cores=1))
            for name in CLASSICAL:
                methods[name] = _classical(side, name, folder, rate)
            packages = [requirement.partition("==")[0] for requirement in REQUIREMENTS]
            report.peers = side("versions", packages=packages)
        for name, predictor in predictors.items():
            methods[f"{predictor.enhancer.network.network} ({name})"] = predictor.enhance
        found = {(name, snr): Quality() for name in methods for snr in settings.test_snrs}
        for index in tqdm(range(len(pairs)), unit=" mixtures", disable=None):
            pair = pairs.pair(index)
            for name, enhance in methods.items():
                estimate = enhance(pair.noisy)
                found[name, pair.snr_db] += Quality.of(estimate, pair.clean, rate)
    header = ["method", *(f"{snr:g} dB" for snr in settings.test_snrs)]
    text = f"{len(clean)} recordings at each ratio, {len(noise)} noises; means."
    for measure_name, digits in (("si_sdr", 2), ("stoi", 3), ("pesq", 2)):
        rows = [
            [name]
            + [
                f"{getattr(found[name, snr], measure_name):.{digits}f}"
                for snr in settings.test_snrs
            ]
            for name in methods
        ]
        heading = {"si_sdr": "SI-SDR (dB)", "stoi": "STOI", "pesq": "PESQ"}[measure_name]
        report.sections.append(Section(heading, text, header, rows))
    for name in methods:
        for snr in settings.test_snrs:
            gain = found[name, snr].si_sdr - found["none", snr].si_sdr
            if name != "none":
                report.figures[f"enhancement {name} SI-SDR gain at {snr:g} dB"] = f"{gain:.2f} dB"
    return report


def _classical(side: Side, name: str, folder: Path, rate: int) -> "Method":
    import numpy as np

    def enhance(noisy: "Wave") -> "Wave":
        noisy_path, path = folder / "noisy.npy", folder / "enhanced.npy"
        np.save(noisy_path, noisy)
        side("enhance", method=name, noisy=str(noisy_path), path=str(path), rate=rate)
        found: Wave = np.load(path)
        return found

    return enhance
