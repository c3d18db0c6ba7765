"""How well stems were separated: the four ratios of BSS Eval, in dB, larger is better.

Vincent et al. 2012, "The signal separation evaluation campaign (2007-2010)", section 3. An estimate
is taken apart: the reference itself; what a filter of 512 taps makes of the reference beyond that
(spatial distortion); what filters make of the other references (interference); the rest
(artefacts).
"""

import importlib
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import InputError


@dataclass(frozen=True)
class StemScore:
    """The ratios of one stem, in dB."""

    sdr: float
    """Reference to everything else in the estimate."""
    sir: float
    """Reference, as filtered, to interference of the other stems."""
    sar: float
    """What references explain to artefacts."""
    isr: float
    """Reference to how it was filtered: wrong levels and colours."""


NO_SCORE = StemScore(math.nan, math.nan, math.nan, math.nan)


def bss_eval(estimates: NDArray[np.floating], references: NDArray[np.floating]) -> list[StemScore]:
    """The score of each stem.

    The filters are those of the whole length, which wants some seconds of sound: half a minute at
    most, for time and memory grow with it.

    Args:
        estimates: [stems, samples], in the order of the references.
        references: [stems, samples], as they were mixed.

    Returns:
        a score for each stem; `NO_SCORE`, NaN, for all where one reference or estimate is silent,
        since then no ratio is defined (a part of a song without vocals).

    Raises:
        InputError: mir_eval is not installed.
        ValueError: the shapes differ.
    """
    if estimates.shape != references.shape or estimates.ndim != 2:
        raise ValueError(f"estimates {estimates.shape} and references {references.shape} differ")
    if not (estimates.any(axis=1).all() and references.any(axis=1).all()):
        return [NO_SCORE] * len(references)
    separation = _mir_eval()
    with warnings.catch_warnings():
        # It goes in 0.9, and museval, which is named in its place, brings twelve packages.
        warnings.simplefilter("ignore", FutureWarning)
        sdr, isr, sir, sar, _ = separation.bss_eval_images(
            references.astype(np.float64)[..., None],
            estimates.astype(np.float64)[..., None],
            compute_permutation=False,
        )
    return [StemScore(*map(float, row)) for row in zip(sdr, sir, sar, isr, strict=True)]


def _mir_eval() -> Any:
    try:
        return importlib.import_module("mir_eval.separation")
    except ImportError:
        raise InputError(
            "SDR, SIR, SAR and ISR need the package mir_eval: pip install 'mir_eval<0.9'"
        ) from None
