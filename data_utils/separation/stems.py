"""From a network's masks, one for each stem by itself, to stems that share the recording.

Each network says what it hears of a mixture. In every bin the stems get shares of the mixture in
proportion to powers of what was heard (`mask_exponent`), so that nothing is lost and nothing is
there twice: stems that are put together again from these shares sum to the recording.

Above the F bins that the networks hear nobody knows, and `mask_extension` decides:

- average: each stem gets its average share of the frame's bins. The stems sum to the whole
  recording.
- zeros: no stem gets any. Nothing of the cymbals is in the vocals, but the stems sum to the
  recording without what lies above F.
"""

import numpy as np
from numpy.typing import NDArray

from data_utils.separation.settings import MaskExtension, StemSettings

EPSILON = 1e-10
"""Power that is divided evenly, for bins where no stem has any; as in Spleeter."""


def stem_shares(
    heard: NDArray[np.float32],
    masks: NDArray[np.float32],
    bins: int,
    settings: StemSettings,
) -> NDArray[np.float32]:
    """What each stem gets of a mixture; times the mixture it is the stem's spectrum.

    Args:
        heard: magnitudes of the mixture's F lowest bins, float32 [frames, F], of any level.
        masks: what the network says of them, float32 [stems, frames, F].
        bins: of the mixture.
        settings: how bins are shared, and what becomes of those above F.

    Returns:
        Float32 [stems, frames, bins]. They sum to 1; with `zeros` below F alone.
    """
    shares = power_shares(masks * heard, settings.mask_exponent)
    return extended(shares, bins, settings.mask_extension)


def power_shares(magnitudes: NDArray[np.float32], exponent: float = 2.0) -> NDArray[np.float32]:
    """Share of each stem in every bin: |s|^p / sum |s|^p.

    Args:
        magnitudes: of the stems, float32 [stems, frames, bins].
        exponent: p; 2 shares by powers.

    Returns:
        Float32 [stems, frames, bins] that sums to 1; even shares where all are silent.
    """
    powers = magnitudes**exponent + np.float32(EPSILON ** (exponent / 2) / len(magnitudes))
    return powers / powers.sum(axis=0)


def extended(
    shares: NDArray[np.float32], bins: int, mask_extension: MaskExtension
) -> NDArray[np.float32]:
    """Shares of F bins carried on to all `bins`: [stems, frames, F] -> [stems, frames, bins].

    Args:
        shares: float32 [stems, frames, F].
        bins: at least F.
        mask_extension: `average` or `zeros`.
    """
    above = ((0, 0), (0, 0), (0, bins - shares.shape[2]))
    if mask_extension == "zeros":
        return np.pad(shares, above)
    extension = shares.mean(axis=2, keepdims=True)
    return np.concatenate(
        [shares, np.broadcast_to(extension, (*shares.shape[:2], above[2][1]))], axis=2
    )
