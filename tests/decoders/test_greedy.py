import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_utils.errors import InputError
from decoders.greedy import greedy_decode, greedy_decode_batch


def log_probs_of(path: list[int], classes: int, probability: float = 0.9) -> np.ndarray:
    """Log-probabilities whose best path is `path`."""
    log_probs = np.full((len(path), classes), np.log((1 - probability) / (classes - 1)))
    log_probs[np.arange(len(path)), path] = np.log(probability)
    return log_probs.astype(np.float32)


def collapsed(path: list[int], blank: int) -> tuple[list[int], list[int]]:
    """The definition, frame by frame: a token starts where the class changes to a label."""
    starts = [t for t, c in enumerate(path) if c != blank and (t == 0 or path[t - 1] != c)]
    return [path[t] for t in starts], starts


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 3))
def test_repeats_then_blanks_are_removed(path: list[int], blank: int) -> None:
    decoded = greedy_decode(log_probs_of(path, 4).reshape(-1, 4), blank)
    assert (decoded.ids, decoded.frames) == collapsed(path, blank)
    assert decoded.confidence == pytest.approx(0.9 if path else 1.0)


@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 12), st.integers(2, 5)),
        elements=st.floats(-20, 20, width=32),
    )
)
def test_confidence_is_the_mean_of_each_tokens_peak(logits: np.ndarray) -> None:
    log_probs = logits - np.log(np.exp(logits.astype(np.float64)).sum(1, keepdims=True))
    decoded = greedy_decode(log_probs)
    path = log_probs.argmax(1).tolist()
    peaks = []
    for start in decoded.frames:
        end = start
        while end < len(path) and path[end] == path[start]:
            end += 1
        peaks.append(max(math.exp(log_probs[t].max()) for t in range(start, end)))
    expected = sum(peaks) / len(peaks) if peaks else math.exp(log_probs.max(1).min())
    assert decoded.confidence == pytest.approx(min(expected, 1.0))
    assert 0 <= decoded.confidence <= 1


def test_a_repeated_character_needs_a_blank() -> None:
    assert greedy_decode(log_probs_of([1, 1, 0, 1, 2, 2], 3)).ids == [1, 1, 2]
    assert greedy_decode(log_probs_of([1, 1, 1, 2, 2], 3)).ids == [1, 2]


def test_the_highest_posterior_of_the_run_counts() -> None:
    log_probs = np.log(np.array([[0.4, 0.6], [0.2, 0.8], [0.7, 0.3], [0.5, 0.5]]))
    assert greedy_decode(log_probs).ids == [1]
    assert greedy_decode(log_probs).confidence == pytest.approx(0.8)


def test_nothing_said() -> None:
    uncertain = np.log(np.array([[0.99, 0.01], [0.6, 0.4]]))
    assert greedy_decode(uncertain).ids == []
    assert greedy_decode(uncertain).confidence == pytest.approx(0.6)
    assert greedy_decode(np.zeros((0, 4), dtype=np.float32)).confidence == 1.0


def test_rounding_never_lifts_confidence_above_one() -> None:
    assert greedy_decode(np.array([[-9.0, 1e-7]], dtype=np.float32)).confidence == 1.0


def test_a_batch_equals_each_alone_whatever_the_padding() -> None:
    paths = [[1, 0, 2, 2], [3], []]
    batch = np.full((3, 5, 4), np.nan, dtype=np.float32)
    for row, path in enumerate(paths):
        batch[row, : len(path)] = log_probs_of(path, 4).reshape(-1, 4)
    decoded = greedy_decode_batch(batch, [len(path) for path in paths])
    assert decoded == [greedy_decode(log_probs_of(path, 4).reshape(-1, 4)) for path in paths]
    with pytest.raises(ValueError):
        greedy_decode_batch(batch, [1])


def test_nan_is_not_read_as_text() -> None:
    with pytest.raises(InputError, match="NaN"):
        greedy_decode(np.array([[0.0, np.nan]]))
