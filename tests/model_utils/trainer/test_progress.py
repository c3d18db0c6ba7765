"""The best score, and when the plateau schedule reduces, against Paddle's own."""

import math
from pathlib import Path

import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.errors import InputError
from model_utils.trainer.progress import Progress
from model_utils.trainer.task import Score


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 4))
def test_reductions_come_when_paddles_scheduler_makes_them(values: list[int], wait: int) -> None:
    # Its epsilon: reductions smaller than that it leaves out, the 27th and all after it.
    scheduler = paddle.optimizer.lr.ReduceOnPlateau(
        1.0, factor=0.5, patience=wait, threshold=0.0, epsilon=0.0
    )
    progress = Progress()
    for epoch, value in enumerate(values, start=1):
        progress.judge(epoch, "dev", Score("cer", float(value)), wait)
        scheduler.step(float(value))
        assert 0.5**progress.reductions == scheduler()
    assert progress.best is not None
    assert progress.best["value"] == min(values)
    assert progress.best["epoch"] == values.index(min(values)) + 1, "the first of equals"
    last = len(values) - 1 - values.index(min(values))
    assert progress.stale == last


def test_what_is_not_finite_is_never_better() -> None:
    progress = Progress()
    assert not progress.judge(1, "dev", Score("cer", math.nan), 2)
    assert progress.best is None and progress.stale == 1
    assert progress.judge(2, "dev", Score("cer", 0.5), 2)
    assert not progress.judge(3, "dev", Score("cer", math.nan), 2)
    assert progress.best is not None and progress.best["epoch"] == 2


def test_a_score_of_another_set_is_not_compared() -> None:
    progress = Progress()
    progress.judge(1, "dev", Score("cer", 0.1), 2)
    assert progress.judge(2, "test", Score("cer", 0.5), 2)


def test_the_higher_score_is_better_where_that_is_so() -> None:
    progress = Progress()
    for value, better in ((0.5, True), (0.4, False), (0.6, True), (0.6, False)):
        assert progress.judge(1, "dev", Score("stoi", value, higher_is_better=True), 2) == better


def test_which_way_a_score_is_better_is_kept() -> None:
    progress = Progress()
    progress.judge(1, "dev", Score("stoi", 0.5, higher_is_better=True), 2)
    assert Progress.of(progress.describe(), Path("a.json")) == progress
    assert progress.last is not None and progress.last["higher_is_better"] is True
    progress.last["higher_is_better"] = 1
    with pytest.raises(InputError, match=r"(best|last) is"):
        Progress.of(progress.describe(), Path("a.json"))
