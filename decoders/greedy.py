"""Greedy CTC decoding: the most probable class of every frame, repeats and blanks removed."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import InputError


@dataclass(frozen=True, slots=True)
class Greedy:
    """What greedy decoding found in one utterance."""

    ids: list[int]
    """Token ids, blanks removed."""
    frames: list[int]
    """For each token the first frame of its run."""
    confidence: float
    """Between 0 and 1: how sure the network was, see `greedy_decode`."""


def greedy_decode(log_probs: NDArray[np.floating[Any]], blank_id: int = 0) -> Greedy:
    """Follow the best path of one utterance (Graves et al. 2006, section 3.2, equation 4).

    The best class of each frame; runs of the same class become one token; blanks are removed. So
    `a a - a b b` reads `a a b`. Between equal probabilities the smaller id wins.

    The confidence is the mean over the tokens of each token's highest probability within its run:
    a token is as certain as its clearest frame, the frames where it fades in and out do not count,
    nor do blanks, most of which are certain however bad the recording. An empty hypothesis made no
    such choice; it is as certain as its least certain blank (1.0 for no frames at all).

    Args:
        log_probs: natural logarithms of probabilities, `[frames, classes]`.
        blank_id: the class of the blank.

    Raises:
        InputError: a value is NaN: the network is broken.
    """
    assert log_probs.ndim == 2 and log_probs.shape[1] > blank_id >= 0, log_probs.shape
    if np.isnan(log_probs).any():
        raise InputError(
            "the network's output holds NaN: this checkpoint is broken, use an earlier one"
        )
    best = log_probs.argmax(axis=1)
    highest = log_probs.max(axis=1)
    ids, frames, peaks = [], [], []
    start = 0
    for token_id, run in itertools.groupby(best.tolist()):
        end = start + sum(1 for _ in run)
        if token_id != blank_id:
            ids.append(token_id)
            frames.append(start)
            peaks.append(highest[start:end].max())
        start = end
    return Greedy(ids, frames, _confidence(peaks, highest))


def greedy_decode_batch(
    log_probs: NDArray[np.floating[Any]], lengths: Iterable[int], blank_id: int = 0
) -> list[Greedy]:
    """Decode a padded batch.

    Args:
        log_probs: natural logarithms of probabilities, `[batch, frames, classes]`.
        lengths: valid frames of each utterance; what follows them is not looked at.
        blank_id: the class of the blank.

    Raises:
        InputError: a value within an utterance is NaN.
    """
    return [
        greedy_decode(utterance[:length], blank_id)
        for utterance, length in zip(log_probs, lengths, strict=True)
    ]


def _confidence(peaks: list[Any], highest: NDArray[np.floating[Any]]) -> float:
    if peaks:
        confidence = np.exp(np.asarray(peaks, dtype=np.float64)).mean()
    else:
        confidence = np.exp(np.float64(highest.min(initial=0.0)))
    # Rounding in the network's float32 may bring a probability above 1.
    return float(min(confidence, 1.0))
