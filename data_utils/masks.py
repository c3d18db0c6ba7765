"""Ideal masks: how much of a mixture each unit of time and frequency keeps.

A unit is one bin of one frame. Of each the clean spectrum S and that of the noise N, as it was
added, are known; the mixture is Y = S + N. The enhanced magnitude is mask * |Y|.

    irm     |S| / sqrt(|S|^2 + |N|^2)           square root of the share of the power
    ratio   |S| / (|S| + |N|)                   share of the magnitudes
    ibm     1 where |S| > |N|, else 0           all or nothing
    psm     Re(S / Y), clipped to 0..1          what is best where the phase of Y is kept
"""

import numpy as np
from numpy.typing import NDArray

from data_utils.enhancement.settings import MaskName


def ideal_mask(
    name: MaskName, clean: NDArray[np.complex64], noise: NDArray[np.complex64]
) -> NDArray[np.float32]:
    """The mask that brings `clean + noise` nearest to `clean`, by one of four definitions.

    `ibm` (with a local criterion of 0 dB) and `irm` (with an exponent of 0.5): Wang, Narayanan and
    Wang 2014, On training targets for supervised speech separation, section III. `psm`: Erdogan et
    al. 2015, Phase-sensitive and recognition-boosted speech separation using deep recurrent neural
    networks, the phase-sensitive filter, truncated to 0..1. `ratio` is what users know from older
    packages.

    Args:
        name: which definition.
        clean: spectrum of the clean speech, complex `[frames, bins]`.
        noise: spectrum of the noise at the level at which it was added, `[frames, bins]`.

    Returns:
        Float32 `[frames, bins]`, 0 to 1; 0 where both are zero.
    """
    if name == "psm":
        # In double precision: no quotient of single ones overflows there.
        speech = clean.astype(np.complex128)
        mixture = speech + noise
        quotient = np.divide(speech, mixture, out=np.zeros_like(mixture), where=mixture != 0)
        return np.clip(quotient.real, 0.0, 1.0).astype(np.float32)
    speech, other = np.abs(clean), np.abs(noise)
    if name == "ibm":
        return (speech > other).astype(np.float32)
    whole = np.hypot(speech, other) if name == "irm" else speech + other
    shares = np.divide(speech, whole, out=np.zeros_like(whole), where=whole != 0)
    return shares.astype(np.float32, copy=False)
