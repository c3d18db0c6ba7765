"""The learning-rate range test: a few steps at rising rates show which of them train.

Smith 2017, Cyclical Learning Rates for Training Neural Networks, section 3.3; here the rate rises
geometrically, so that each power of ten gets as many steps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data_utils.errors import InputError
from model_utils.trainer.task import Task
from model_utils.trainer.updating import Updater

MEMORY = 0.9
"""Weight of the past in the smoothed loss."""
SETTLED = 10
"""Steps after which it is an average of many: until then one easy batch would be the lowest."""
DIVERGED = 4.0
"""The test ends where the smoothed loss is so many times its minimum."""
SHARE = 0.1
"""Of the rate with the lowest loss, where progress has ended already: a power of ten below
(Howard and Gugger 2020, Deep Learning for Coders, chapter 5)."""


@dataclass
class RangeTest:
    """Rates and what became of the loss, step by step."""

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    """Mean loss of an item of the batch, before the step."""
    smoothed: list[float] = field(default_factory=list)
    """The same as a running average of memory `MEMORY`, without its bias towards 0."""
    ran_away: bool = False
    """Whether the test ended early: the loss far above its minimum, or not finite."""

    def add(self, rate: float, loss: float) -> None:
        """Take in a step."""
        self.rates.append(rate)
        self.losses.append(loss)
        weights = MEMORY ** np.arange(len(self.losses))[::-1]
        self.smoothed.append(float(np.average(self.losses, weights=weights)))

    @property
    def lowest(self) -> int:
        """The step with the lowest smoothed loss, of those after `SETTLED`."""
        return SETTLED + int(np.argmin(self.smoothed[SETTLED:]))

    @property
    def suggestion(self) -> float:
        """The rate to train with, two digits of it.

        Raises:
            InputError: the loss never fell.
        """
        if len(self.smoothed) <= SETTLED or self.lowest == SETTLED:
            raise InputError(
                f"the loss never fell in {len(self.losses)} steps; try a smaller --lr_start, a "
                f"smaller --grad_clip, or look at the data with tools/check_data.py"
            )
        return float(f"{SHARE * self.rates[self.lowest]:.1e}")

    def has_diverged(self) -> bool:
        """Whether the smoothed loss has left its minimum for good."""
        settled = self.smoothed[SETTLED:]
        return bool(settled) and settled[-1] > DIVERGED * min(settled)


def range_test(
    task: Task[Any],
    updater: Updater,
    *,
    lr_start: float,
    lr_end: float,
    num_steps: int,
    step_done: Callable[[], object] = lambda: None,
) -> RangeTest:
    """Train `num_steps` steps at rates that rise geometrically, or until the loss is lost.

    The network is no good afterwards.

    Args:
        task: what is trained; its epochs follow one another as often as it takes.
        updater: makes the steps.
        lr_start: rate of the first step.
        lr_end: rate of the last one.
        num_steps: how many, at least 2.
        step_done: called after each step.

    Raises:
        InputError: no batch had an item that could be used.
    """
    found, lost = RangeTest(), ""
    task.network.train()
    batches = _endless(task)
    for step in range(num_steps):
        rate = lr_start * (lr_end / lr_start) ** (step / (num_steps - 1))
        parts = next(batches)
        lost = lost or next((problem for part in parts for problem in task.problems(part)), "")
        outcome = updater.step(parts, rate, step)
        if outcome.is_good:
            found.add(rate, outcome.loss)
        step_done()
        is_broken = not (outcome.is_finite or updater.precision.is_searching)
        found.ran_away = is_broken or found.has_diverged()
        if found.ran_away:
            break
    if lost and not found.losses:
        raise InputError(f"nothing was learned, every item had to be left out; the first: {lost}")
    return found


def _endless(task: Task[Any]) -> Iterator[list[Any]]:
    """The task's batches, epoch after epoch."""
    epoch = 1
    while True:
        yield from task.train_batches(epoch)
        epoch += 1
