"""CTC (Graves et al. 2006) with the guards that Paddle's own lacks.

Paddle's `ctc_loss` returns 0 without a gradient for a label that cannot fit, dies of SIGFPE when
every label of a batch is empty, and corrupts memory when a length exceeds the tensor. Whatever
leads there is refused here by the number of the item; the data side leaves such utterances out
before they come this far.
"""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import functional

from data_utils.dataset import required_frames


def ctc_loss(
    logits: Tensor,
    logit_lengths: NDArray[np.integer],
    labels: NDArray[np.integer],
    label_lengths: NDArray[np.integer],
) -> Tensor:
    """Negative log-likelihood of each item's labels, blank id 0.

    Args:
        logits: float32 [batch, frames, classes], before the softmax.
        logit_lengths: valid frames of each item [batch].
        labels: token ids [batch, labels], padded with anything.
        label_lengths: valid labels of each item [batch].

    Returns:
        float32 [batch].

    Raises:
        ValueError: an item with no label, with labels that its frames cannot hold, with a length
            beyond its tensor, or with an id that is the blank or no class.
    """
    batch, frames, classes = logits.shape
    for item in range(batch):
        given, ids = int(logit_lengths[item]), labels[item, : int(label_lengths[item])]
        if not 0 < given <= frames:
            raise ValueError(f"item {item}: {given} frames, the tensor has {frames}")
        if not 0 < int(label_lengths[item]) <= labels.shape[1]:
            raise ValueError(
                f"item {item}: {int(label_lengths[item])} labels, the tensor has {labels.shape[1]}"
            )
        if ids.min() < 1 or ids.max() >= classes:
            raise ValueError(
                f"item {item}: label ids {ids.min()}..{ids.max()} of {classes} classes"
            )
        needed = required_frames(ids.tolist())
        if needed > given:
            raise ValueError(f"item {item}: its labels need {needed} frames, it has {given}")
    return functional.ctc_loss(
        logits.transpose([1, 0, 2]),
        paddle.to_tensor(labels.astype("int32")),
        paddle.to_tensor(np.asarray(logit_lengths, dtype="int64")),
        paddle.to_tensor(np.asarray(label_lengths, dtype="int64")),
        blank=0,
        reduction="none",
    )
