"""How well noisy speech was cleaned: SI-SDR of the wave, STOI and PESQ of what is heard.

Each compares an estimate with the clean speech that it should be, both `[samples]`. Where a measure
is not defined, because a signal is silent or too short for it, it is NaN.
"""

import importlib
import importlib.util
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import resample
from data_utils.errors import InputError

PESQ_RANGE = (-0.5, 4.5)
"""What `pesq_scaled` spreads over 0 to 1: the scores of P.862; those of P.862.2 lie within."""

_RATES = {16000: "wb", 8000: "nb"}  # of PESQ, each with its band

Wave = NDArray[np.floating]


@dataclass(frozen=True)
class Quality:
    """Means of the measures over recordings, of each over those where it is defined.

    Sums and counts, so that those of several processes can be added.
    """

    totals: tuple[float, ...] = (0.0,) * 6
    """Of SI-SDR, STOI and PESQ the sums, then the counts."""

    @classmethod
    def of(cls, estimate: Wave, reference: Wave, rate: int) -> "Quality":
        """Those of one recording; PESQ where its package is installed.

        Raises:
            InputError: pystoi is not installed.
        """
        values = [si_sdr(estimate, reference), stoi(estimate, reference, rate)]
        values.append(pesq(estimate, reference, rate) if has_pesq() else math.nan)
        defined = [math.isfinite(value) for value in values]
        sums = [
            value if is_defined else 0.0 for value, is_defined in zip(values, defined, strict=True)
        ]
        return cls((*sums, *map(float, defined)))

    def __add__(self, other: "Quality") -> "Quality":
        return Quality(tuple(map(sum, zip(self.totals, other.totals, strict=True))))

    @property
    def si_sdr(self) -> float:
        """Mean in dB, see `si_sdr`."""
        return self._mean(0)

    @property
    def stoi(self) -> float:
        """Mean, see `stoi`."""
        return self._mean(1)

    @property
    def pesq(self) -> float:
        """Mean, see `pesq`; NaN where it was not measured."""
        return self._mean(2)

    @property
    def score(self) -> float:
        """One number, 0 to 1: the mean of STOI and scaled PESQ, or STOI alone without PESQ."""
        return self.stoi if math.isnan(self.pesq) else (self.stoi + pesq_scaled(self.pesq)) / 2

    def __str__(self) -> str:
        pesq = "" if math.isnan(self.pesq) else f", pesq {self.pesq:.2f}"
        return f"si-sdr {self.si_sdr:.2f} dB, stoi {self.stoi:.3f}{pesq}"

    def _mean(self, number: int) -> float:
        count = self.totals[number + 3]
        return self.totals[number] / count if count else math.nan


def si_sdr(estimate: Wave, reference: Wave) -> float:
    """Scale-invariant signal-to-distortion ratio in dB.

    10 log10(|a s|^2 / |a s - e|^2) of the reference s and the estimate e, where a scales s to be
    nearest to e (Le Roux et al. 2019, SDR: half-baked or well done?). Means are not removed: an
    offset is a distortion.

    Returns:
        infinity where nothing but the level differs, minus infinity where nothing of the reference
        is in the estimate, NaN for a silent reference.

    Raises:
        ValueError: the lengths differ.
    """
    _check_lengths(estimate, reference)
    found, wanted = estimate.astype(np.float64), reference.astype(np.float64)
    energy = float(wanted @ wanted)
    if energy == 0.0:
        return math.nan
    target = (float(found @ wanted) / energy) * wanted
    residual = found - target
    signal, distortion = float(target @ target), float(residual @ residual)
    if signal == 0.0:
        return -math.inf
    return 10 * math.log10(signal / distortion) if distortion else math.inf


def stoi(estimate: Wave, reference: Wave, rate: int) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), about 0 to 1.

    At least 0.4 s of speech above the background are needed.

    Args:
        estimate: `[samples]`.
        reference: `[samples]`.
        rate: Hz of both.

    Raises:
        InputError: pystoi is not installed.
        ValueError: the lengths differ.
    """
    measure = _library("pystoi", "STOI").stoi
    _check_lengths(estimate, reference)
    # What pystoi cannot cut a single frame of, 256 samples at 10 kHz, ends in an error.
    if len(reference) / rate < 0.03 or not (np.any(reference) and np.any(estimate)):
        return math.nan
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            return float(measure(reference.astype(np.float64), estimate.astype(np.float64), rate))
        except RuntimeWarning:  # it would give 1e-5, which pulls averages down
            return math.nan


def pesq(estimate: Wave, reference: Wave, rate: int) -> float:
    """Perceptual evaluation of speech quality, as a mean opinion score of 1 to about 4.6.

    Wide band (ITU-T P.862.2) at 16 kHz, narrow band (P.862.1) at 8 kHz; recordings at other rates
    are brought to the nearest of these below, or to 8 kHz.

    Args:
        estimate: `[samples]`.
        reference: `[samples]`.
        rate: Hz of both.

    Raises:
        InputError: pesq is not installed.
        ValueError: the lengths differ.
    """
    library = _library("pesq", "PESQ")
    _check_lengths(estimate, reference)
    if not (np.any(reference) and np.any(estimate)):
        return math.nan
    own_rate = 16000 if rate >= 16000 else 8000
    waves = [resample(wave.astype(np.float32), rate, own_rate) for wave in (reference, estimate)]
    try:
        return float(library.pesq(own_rate, *waves, _RATES[own_rate]))
    except (library.NoUtterancesError, library.BufferTooShortError):
        return math.nan


def has_pesq() -> bool:
    """Whether `pesq` can be measured: its package has to be compiled, and may be missing."""
    return importlib.util.find_spec("pesq") is not None


def pesq_scaled(score: float) -> float:
    """A score of PESQ as 0 to 1, to be averaged with STOI; NaN stays NaN."""
    low, high = PESQ_RANGE
    return (score - low) / (high - low)


def _check_lengths(estimate: Wave, reference: Wave) -> None:
    if estimate.shape != reference.shape or estimate.ndim != 1:
        raise ValueError(f"estimate {estimate.shape} and reference {reference.shape} differ")


def _library(name: str, measure: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"{measure} needs the package {name}: pip install {name}") from None
