"""CTC (Graves et al. 2006) on CPU: softmax, loss and gradient in one pass over the logits.

Forward and backward variables in logarithms and double precision, all utterances of a batch at a
time; the section numbers are the paper's. Where a label is next to impossible (a loss of hundreds)
the loss is larger than that of Paddle, whose logarithms end sooner. That one, with what it takes to
bring the logits into its order, takes twice as long where there are thousands of classes.
"""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.autograd import PyLayer, PyLayerContext

from model_utils.fast.memory import values

BLANK = 0


class _Ctc(PyLayer):
    """Losses of a batch; the gradient is computed with them."""

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def forward(
        ctx: PyLayerContext,
        logits: Tensor,
        frames: NDArray[np.int64],
        labels: NDArray[np.int64],
        counts: NDArray[np.int64],
        consumed: bool,
    ) -> Tensor:
        logits = logits.contiguous()
        given = values(logits)
        gradient = logits.detach() if consumed else paddle.empty(logits.shape)
        probabilities = values(gradient)
        states, sizes = _states(labels, counts)
        log_probs = np.full((*given.shape[:2], states.shape[1]), -np.inf)

        own = [
            (slice(length), states[item, :size])
            for item, (length, size) in enumerate(zip(frames, sizes, strict=True))
        ]
        for item, (rows, ids) in enumerate(own):
            here, found = given[item, rows], probabilities[item, rows]
            peak = here.max(axis=1, keepdims=True)
            own_logits = here[:, ids].astype("float64")  # `found` may be their memory
            np.subtract(here, peak, out=found)
            np.exp(found, out=found)
            total = found.sum(axis=1, keepdims=True)
            found /= total
            log_total = np.log(total.astype("float64"))
            log_probs[item, rows, : len(ids)] = own_logits - peak - log_total
            probabilities[item, len(here) :] = 0
        losses, posteriors = _align(log_probs, frames, states, sizes)
        for item, (rows, ids) in enumerate(own):
            # A class may be that of several states, the blank always is.
            classes, of_state = np.unique(ids, return_inverse=True)
            summed = posteriors[item, rows, : len(ids)] @ np.eye(len(classes))[of_state]
            found = probabilities[item, rows]
            found[:, classes] -= summed
        ctx.gradient, ctx.frames = gradient, frames
        return paddle.to_tensor(losses.astype("float32"))

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def backward(ctx: PyLayerContext, grad: Tensor) -> Tensor:
        gradient = values(ctx.gradient)
        for item, weight in enumerate(values(grad.contiguous())):
            gradient[item, : ctx.frames[item]] *= weight
        return ctx.gradient


def ctc(
    logits: Tensor,
    frames: NDArray[np.integer],
    labels: NDArray[np.integer],
    counts: NDArray[np.integer],
    consumed: bool = False,
) -> Tensor:
    """Negative log-likelihood of each item's labels; whoever calls has seen to it that they fit.

    Args:
        logits: float32 [batch, frames, classes], before the softmax.
        frames: valid frames of each item [batch].
        labels: token ids [batch, labels], padded with anything.
        counts: valid labels of each item [batch].
        consumed: whether nobody reads the logits any more: their gradient takes their place.

    Returns:
        float32 [batch].
    """
    lists = (np.asarray(given, dtype="int64") for given in (frames, labels, counts))
    return _Ctc.apply(logits, *lists, consumed)


def _states(
    labels: NDArray[np.int64], counts: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The labels with a blank before and behind each (section 4.1), [batch, states]; how many."""
    states = np.full((len(labels), 2 * int(counts.max(initial=0)) + 1), BLANK)
    for item, count in enumerate(counts):
        states[item, 1 : 2 * count : 2] = labels[item, :count]
    return states, 2 * counts + 1


def _align(
    log_probs: NDArray[np.float64],
    frames: NDArray[np.int64],
    states: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Losses [batch] and how probable each state is at each frame [batch, frames, states].

    Args:
        log_probs: of the states at each frame, [batch, frames, states]; -inf beyond an item's own.
        frames: of each item.
        states: class of each state, [batch, states].
        sizes: states of each item.
    """
    # The backward variables are the forward ones of the item read from its end.
    turned_frames = _turned(frames, log_probs.shape[1])
    turned_states = _turned(sizes, log_probs.shape[2])
    items = np.arange(len(frames))
    turned = log_probs[items[:, None, None], turned_frames[:, :, None], turned_states[:, None, :]]
    forward, backward = np.split(
        _forward(
            np.concatenate([log_probs, turned]),
            np.concatenate([states, states[items[:, None], turned_states]]),
        ),
        2,
    )
    backward = backward[items[:, None, None], turned_frames[:, :, None], turned_states[:, None, :]]
    last = forward[items, frames - 1]
    ends = np.stack([last[items, sizes - 1], last[items, sizes - 2]])
    likelihood = np.logaddexp(*ends)
    with np.errstate(invalid="ignore"):  # -inf less -inf, beyond an item's own
        posteriors = np.exp(forward + backward - log_probs - likelihood[:, None, None])
    return -likelihood, np.nan_to_num(posteriors, copy=False, nan=0.0)


def _turned(lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Places that turn each item's own round, [batch, size]; they are their own inverse."""
    places = np.arange(size)
    return np.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)


def _forward(log_probs: NDArray[np.float64], states: NDArray[np.int64]) -> NDArray[np.float64]:
    """The forward variables (equations 5 to 8) as logarithms, [batch, frames, states]."""
    batch, frames, size = log_probs.shape
    found = np.full((frames, batch, size + 2), -np.inf)  # two more states in front, never reached
    found[0, :, 2:4] = log_probs[:, 0, :2]
    skips = np.zeros((batch, size), bool)
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    barred = np.where(skips, 0.0, -np.inf)
    for frame in range(1, frames):
        before = found[frame - 1]
        reached = np.logaddexp(before[:, 2:], before[:, 1:-1])
        np.logaddexp(reached, before[:, :-2] + barred, out=reached)
        np.add(reached, log_probs[:, frame], out=found[frame, :, 2:])
    return found[:, :, 2:].transpose([1, 0, 2])
