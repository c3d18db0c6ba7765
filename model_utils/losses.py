"""CTC (Graves et al. 2006) with the guards that Paddle's own lacks, and two variants of it.

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
from model_utils.fast.ctc import ctc
from model_utils.settings import LossSettings

CERTAIN = 1e-6
"""A loss -log(p) below this is rounding: what it is of is as likely as float32 can say."""


def training_loss(
    logits: Tensor,
    logit_lengths: NDArray[np.integer],
    labels: NDArray[np.integer],
    label_lengths: NDArray[np.integer],
    settings: LossSettings,
    fast: bool = False,
    consumed: bool = False,
) -> Tensor:
    """What a recogniser is trained to make small: CTC, focused and smoothed as `settings` say.

    Focal CTC (Feng, Yao and Zhang 2019, Focal CTC Loss for Chinese Optical Character Recognition
    on Unbalanced Datasets): (1 - p)^gamma * CTC, where p = exp(-CTC) is the probability of the
    whole label. The paper's constant alpha is 1 here: it only scales the gradient.

    Label smoothing (after Kim et al. 2018, Improved Training for Online End-to-End Speech
    Recognition Systems): (1 - s) * CTC + s * the sum over valid frames of KL(uniform || p), p
    being a frame's probabilities. With the sum the gradient of a frame's logits is p less
    (1 - s) * CTC's own target + s * uniform: the smoothed targets of Szegedy et al. 2016
    (Rethinking the Inception Architecture, section 7), as strong in long utterances as in short.

    With gamma 0 and s 0 it is `ctc_loss`, to the last bit.

    Args:
        logits: as for `ctc_loss`, like the three after it.
        logit_lengths: valid frames of each item [batch].
        labels: token ids [batch, labels].
        label_lengths: valid labels of each item [batch].
        settings: gamma and s.
        fast: as for `ctc_loss`.
        consumed: as for `ctc_loss`.

    Returns:
        float32 [batch].

    Raises:
        ValueError: as `ctc_loss`.
    """
    consumed &= not settings.label_smoothing  # which reads them again
    losses = ctc_loss(logits, logit_lengths, labels, label_lengths, fast, consumed)
    if settings.focal_gamma:
        losses = focused(losses, settings.focal_gamma)
    if settings.label_smoothing:
        share = settings.label_smoothing
        losses = (1 - share) * losses + share * _from_uniform(logits, logit_lengths)
    return losses


def focused(losses: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma times each loss -log(p): what is likely already counts for less.

    Args:
        losses: float32 of any shape, not below 0.
        gamma: above 0.
    """
    # Not below CERTAIN: with gamma < 1 the slope of the power is infinite at 0.
    doubt = -paddle.expm1(-paddle.clip(losses, min=CERTAIN))
    return doubt**gamma * losses


def _from_uniform(logits: Tensor, lengths: NDArray[np.integer]) -> Tensor:
    """KL(uniform || p) of each item, summed over its valid frames: float32 [batch]."""
    _, frames, classes = logits.shape
    divergence = -functional.log_softmax(logits).mean(axis=-1) - float(np.log(classes))
    valid = paddle.to_tensor(np.arange(frames) < np.asarray(lengths)[:, None])
    return paddle.where(valid, divergence, paddle.zeros_like(divergence)).sum(axis=-1)


def ctc_loss(
    logits: Tensor,
    logit_lengths: NDArray[np.integer],
    labels: NDArray[np.integer],
    label_lengths: NDArray[np.integer],
    fast: bool = False,
    consumed: bool = False,
) -> Tensor:
    """Negative log-likelihood of each item's labels, blank id 0.

    Args:
        logits: float32 [batch, frames, classes], before the softmax.
        logit_lengths: valid frames of each item [batch].
        labels: token ids [batch, labels], padded with anything.
        label_lengths: valid labels of each item [batch].
        fast: compute by `model_utils.fast`, on CPU alone.
        consumed: whether the caller has no use for the logits any more; if fast, their gradient
            then takes their memory.

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
    if fast:
        return ctc(logits, logit_lengths, labels, label_lengths, consumed)
    return functional.ctc_loss(
        logits.transpose([1, 0, 2]),
        paddle.to_tensor(labels.astype("int32")),
        paddle.to_tensor(np.asarray(logit_lengths, dtype="int64")),
        paddle.to_tensor(np.asarray(label_lengths, dtype="int64")),
        blank=0,
        reduction="none",
    )
