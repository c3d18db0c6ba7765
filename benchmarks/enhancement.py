"""Speech enhancement: trained models, classical methods, and none.

Every method gets the same mixtures (`data_utils.enhancement.dataset.NoisyPairs`). The classical
ones run in an environment of their own. Of a few settings tried on dev mixtures at 0 dB these were
the best, of the filter only those of its documentation:

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

from benchmarks.measuring import Report, Section, names, of_each, versions_of
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
        InputError: a model, a list or a ratio cannot be used, or the models hear different rates.
    """
    from data_utils.enhancement.dataset import NoisyPairs
    from data_utils.enhancement.lists import named_list
    from data_utils.enhancement.settings import check_ratios
    from inference.loading import load_enhancer
    from scoring.speech_quality import Quality, has_pesq

    settings = options[EnhancementSettings]
    if not settings.models:
        raise InputError("--models: no model given; name checkpoints, separated by commas")
    check_ratios("test_snrs", settings.test_snrs)
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
    measures, without = [("si_sdr", "SI-SDR (dB)", 2), ("stoi", "STOI", 3)], ""
    if has_pesq():
        measures.append(("pesq", "PESQ", 2))
        report.versions |= versions_of("pesq")
    else:
        without = " No PESQ: its package is not installed."
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

        def qualities(recording: int) -> "dict[tuple[str, float], Quality]":
            found = {}
            for number, snr in enumerate(settings.test_snrs):
                pair = pairs.pair(recording * len(settings.test_snrs) + number)
                for name, enhance in methods.items():
                    found[name, snr] = Quality.of(enhance(pair.noisy), pair.clean, rate)
            return found

        each, count = of_each(
            clean, qualities, settings.test_clean, "recordings", len(clean.problems)
        )
    found = {key: sum((one[key] for one in each), Quality()) for key in each[0]}
    header = ["method", *(f"{snr:g} dB" for snr in settings.test_snrs)]
    text = f"{count}, each at each ratio; {len(noise)} noises; means.{without}"
    for measure_name, heading, digits in measures:
        rows = [
            [name]
            + [
                f"{getattr(found[name, snr], measure_name):.{digits}f}"
                for snr in settings.test_snrs
            ]
            for name in methods
        ]
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
