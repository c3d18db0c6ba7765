"""Signs that a run goes nowhere, told in time and with cures."""

from data_utils.errors import InputError
from model_utils.trainer.gradients import Outcome
from model_utils.trainer.task import Score

MAX_SKIPPED = 20
"""Steps skipped in a row after which a run ends."""
MAX_COLLAPSED = 3
"""Scores in a row of a collapsed network after which there is a warning."""


class SkippedSteps:
    """Counts the steps in a row that overflowed.

    Args:
        grad_clip: in force, for the advice.
    """

    def __init__(self, grad_clip: float | None) -> None:
        self._count = 0
        self._grad_clip = grad_clip

    def judge(self, outcome: Outcome) -> None:
        """Take in a step.

        Raises:
            InputError: it is one too many; the weights are those before the first of them.
        """
        if outcome.is_finite:
            self._count = 0 if outcome.items else self._count
            return
        self._count += 1
        if self._count == MAX_SKIPPED:
            clip = "" if self._grad_clip is None else f" below {self._grad_clip:g}"
            raise InputError(
                f"{MAX_SKIPPED} steps in a row were skipped ({outcome.problem}); "
                f"try a --learning_rate ten times smaller, a --grad_clip{clip}, "
                f"or a longer --warmup_steps"
            )


class Collapse:
    """Counts the scores in a row in which the network says one thing only."""

    def __init__(self) -> None:
        self._count = 0

    def judge(self, score: Score) -> str:
        """Take in a score; returns a warning where it is the one that makes it clear."""
        self._count = self._count + 1 if score.collapse else 0
        if self._count != MAX_COLLAPSED:
            return ""
        return (
            f"{score.collapse}, {MAX_COLLAPSED} scores in a row: the network may have collapsed. "
            f"A loss that still falls needs patience; one that stands still a smaller "
            f"--learning_rate, --warmup_steps, more data, or a look at the transcripts "
            f"(tools/check_data.py)"
        )
