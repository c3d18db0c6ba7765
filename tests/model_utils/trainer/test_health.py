"""Signs that a run goes nowhere."""

import math

import pytest

from data_utils.errors import InputError
from model_utils.trainer.gradients import Outcome
from model_utils.trainer.health import MAX_COLLAPSED, MAX_SKIPPED, Collapse, SkippedSteps
from model_utils.trainer.task import Score

GOOD = Outcome(1.0, 4, 1.0, 1.0, False)
BROKEN = Outcome(math.nan, 4, math.nan, 1.0, False)
EMPTY = Outcome(math.nan, 0, 0.0, 1.0, False)


def test_a_run_of_skipped_steps_ends_with_advice() -> None:
    steps = SkippedSteps(5.0)
    for _ in range(MAX_SKIPPED - 1):
        steps.judge(BROKEN)
    steps.judge(EMPTY)  # says nothing
    with pytest.raises(InputError, match=r"20 steps in a row.*loss is nan.*--grad_clip below 5,"):
        steps.judge(BROKEN)


def test_a_good_step_between_starts_the_count_anew() -> None:
    steps = SkippedSteps(5.0)
    for _ in range(3):
        for _ in range(MAX_SKIPPED - 1):
            steps.judge(BROKEN)
        steps.judge(GOOD)


def test_a_collapse_is_told_once() -> None:
    collapse = Collapse()
    bad = Score("cer", 1.0, collapse="99.7 % of all frames are blanks")
    said = [collapse.judge(bad) for _ in range(10)]
    assert said[MAX_COLLAPSED - 1].startswith("99.7 % of all frames are blanks, 3 scores in a row")
    assert sum(map(bool, said)) == 1


def test_a_score_that_is_well_ends_the_row() -> None:
    collapse = Collapse()
    bad, well = Score("cer", 1.0, collapse="all blanks"), Score("cer", 0.9)
    assert not any(collapse.judge(score) for score in [bad, bad, well, bad, bad])
