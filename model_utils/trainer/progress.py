"""Where a run is: all that a resumed one needs beside weights and optimizer."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_utils.errors import InputError
from model_utils.trainer.task import Score

_SCORE = {"epoch": int, "set": str, "measure": str, "value": float}


@dataclass
class Progress:
    """The place in a run, and how its scores went."""

    epoch: int = 1
    """The epoch being trained, from 1."""
    batch: int = 0
    """Batches of it that are done."""
    step: int = 0
    """Batches done in all."""
    best: dict[str, Any] | None = None
    """Epoch, set, measure and value of the best score so far."""
    last: dict[str, Any] | None = None
    """The same of the newest score; None where it was not finite."""
    stale: int = 0
    """Epochs in a row without a better score."""
    reductions: int = 0
    """How often the plateau schedule has reduced the rate."""
    is_to_score: bool = False
    """Whether the epoch before this one is saved and not scored yet."""
    run: str = ""
    """Drawn for each new run and kept when it is resumed: tells whose a checkpoint is."""

    @classmethod
    def of(cls, content: Any, where: Path) -> "Progress":
        """The place that a checkpoint's JSON holds.

        Raises:
            InputError: it is none.
        """
        try:
            if not isinstance(content, dict):
                raise TypeError(f"progress is {content!r}")
            progress = cls(**content)
            counts = dataclasses.asdict(progress)
            to_score, run = counts.pop("is_to_score"), counts.pop("run")
            scores = {name: counts.pop(name) for name in ("best", "last")}
            if type(to_score) is not bool or type(run) is not str:
                raise TypeError(f"is_to_score is {to_score!r}, run is {run!r}")
            if any(type(n) is not int or n < 0 for n in counts.values()) or not progress.epoch:
                raise TypeError(", ".join(f"{name} is {n!r}" for name, n in counts.items()))
            for which, score in scores.items():
                if score is None:
                    continue
                kinds = {name: type(value) for name, value in score.items()}
                if kinds.pop("higher_is_better", bool) is not bool or kinds != _SCORE:
                    raise TypeError(f"{which} is {score!r}")
        except (TypeError, AttributeError) as error:
            raise InputError(
                f"{where}: no place to go on from in its description ({error}); "
                f"start anew from it with --pretrained_model"
            ) from None
        return progress

    def describe(self) -> dict[str, Any]:
        """JSON values, from which `of` makes an equal place."""
        return dataclasses.asdict(self)

    def judge(self, epoch: int, name: str, score: Score, patience: int) -> bool:
        """Take in the score of an epoch; whether it is the best so far.

        Args:
            epoch: what was scored.
            name: the set on which.
            score: what came out; one that is not finite is never better.
            patience: epochs without a better score after which the plateau schedule reduces.
        """
        best = self.best
        if best is not None and (best["set"], best["measure"]) != (name, score.name):
            best = None  # a resumed run is judged by other data: not to be compared
        last = {"epoch": epoch, "set": name, "measure": score.name, "value": score.value}
        if score.higher_is_better:
            last["higher_is_better"] = True
        self.last = last if math.isfinite(score.value) else None
        if self.last is not None and (best is None or score.is_better_than(best["value"])):
            self.best = self.last
            self.stale = 0
            return True
        self.stale += 1
        if self.stale % (patience + 1) == 0:
            self.reductions += 1
        return False
