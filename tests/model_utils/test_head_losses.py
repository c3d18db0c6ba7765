"""The losses of the head against their formulas, float64, one utterance at a time."""

import math

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.head_losses import head_losses
from model_utils.settings import HeadSettings

Batch = tuple[np.ndarray, np.ndarray]

SETTINGS = [
    HeadSettings(),
    HeadSettings(head_loss="focal", head_gamma=0.5),
    HeadSettings(head_loss="focal", head_gamma=2.0),
    HeadSettings(head_loss="multi_margin"),
    HeadSettings(head_loss="multi_margin", head_margin=0.3),
]


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    """Scores float32 [batch, classes], and classes [batch], of which some are none."""
    classes, items = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    spread = draw(st.sampled_from([0.1, 1.0, 10.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = rng.normal(0, spread, (items, classes)).astype("float32")
    return scores, rng.integers(-1, classes + 1, items).astype(np.int32)


def brute_force(scores: np.ndarray, right: int, given_: HeadSettings) -> float:
    """One utterance's loss, term by term."""
    x = [float(score) for score in scores]
    if not 0 <= right < len(x):
        return 0.0
    if given_.head_loss == "multi_margin":
        lacks = [
            max(0.0, given_.head_margin - x[right] + other)
            for number, other in enumerate(x)
            if number != right
        ]
        return sum(lacks) / len(x)
    highest = max(x)
    log_p = x[right] - highest - math.log(sum(math.exp(score - highest) for score in x))
    if given_.head_loss == "focal":
        return -((1 - math.exp(log_p)) ** given_.head_gamma) * log_p
    return -log_p


@pytest.mark.parametrize("settings_", SETTINGS, ids=str)
@given(batches())
@settings(max_examples=40, deadline=None)
def test_a_loss_equals_its_formula(settings_: HeadSettings, batch: Batch) -> None:
    scores, classes = batch
    losses = head_losses(paddle.to_tensor(scores), classes, settings_)
    assert losses.dtype == paddle.float32 and losses.shape == [len(classes)]
    expected = [brute_force(*item, settings_) for item in zip(scores, classes, strict=True)]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings_", SETTINGS, ids=str)
@given(batches())
@settings(max_examples=10, deadline=None)
def test_the_gradient_equals_finite_differences(settings_: HeadSettings, batch: Batch) -> None:
    scores, classes = batch
    x = paddle.to_tensor(scores, stop_gradient=False)
    head_losses(x, classes, settings_).sum().backward()
    for row, right in enumerate(classes):
        for place in range(scores.shape[1]):
            step = np.zeros(scores.shape[1])
            step[place] = 1e-5
            up, down, here = (
                brute_force(scores[row].astype(np.float64) + s, right, settings_)
                for s in (step, -step, 0 * step)
            )
            if abs(up + down - 2 * here) > 1e-8:
                continue  # a corner of the hinge lies between
            assert np.isclose(x.grad.numpy()[row, place], (up - down) / 2e-5, atol=1e-3)


@pytest.mark.parametrize("settings_", SETTINGS, ids=str)
def test_who_is_of_no_class_learns_nothing(settings_: HeadSettings) -> None:
    x = paddle.to_tensor(np.ones((3, 2), "float32"), stop_gradient=False)
    losses = head_losses(x, np.array([-1, 2, 0]), settings_)
    losses.sum().backward()
    assert (losses.numpy() != 0).tolist() == [False, False, True]
    assert x.grad.numpy().any(axis=1).tolist() == [False, False, True]


@pytest.mark.parametrize("settings_", SETTINGS, ids=str)
@pytest.mark.parametrize("lead", [60.0, -60.0])
def test_of_a_certain_utterance_all_is_finite(settings_: HeadSettings, lead: float) -> None:
    # Its p rounds to 1, or to 0: the root of 1 - p has no slope there.
    x = paddle.to_tensor(np.array([[lead, 0.0, 0.0]], "float32"), stop_gradient=False)
    loss = head_losses(x, np.array([0]), settings_)
    loss.sum().backward()
    assert np.isfinite(loss.numpy()).all() and np.isfinite(x.grad.numpy()).all()


def test_what_is_clear_already_counts_for_less_with_focus() -> None:
    scores, classes = paddle.to_tensor([[3.0, 0.0], [0.0, 0.0]]), np.array([0, 0])
    plain = head_losses(scores, classes, HeadSettings())
    easy, hard = (head_losses(scores, classes, HeadSettings(head_loss="focal")) / plain).numpy()
    assert easy < 0.01 and np.isclose(hard, 0.25)
    unfocused = head_losses(scores, classes, HeadSettings(head_loss="focal", head_gamma=0.0))
    assert np.array_equal(unfocused.numpy(), plain.numpy())
