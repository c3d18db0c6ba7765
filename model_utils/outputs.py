"""What a recogniser says of a batch, whatever computes it. No Paddle needed."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Outputs(NamedTuple):
    """What a network says of a padded batch."""

    log_probs: NDArray[np.float32]
    """Log-probabilities [batch, output_frames, tokens]."""
    frames: NDArray[np.int64]
    """Valid output frames [batch]."""
    classes: NDArray[np.int64] | None = None
    """Number of the class of each utterance [batch]; None where there is no head."""
