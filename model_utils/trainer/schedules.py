"""The learning rate as a function of the place in the run.

Paddle's schedulers are objects that count their calls; a pure function of the place needs no state
in a checkpoint, cannot start again when a run is resumed, and lets a later `--num_epoch` stretch
the schedules that depend on it. Their formulas are the same, and tested against theirs.
"""

import math
from dataclasses import dataclass
from typing import Literal

from model_utils.settings import ScheduleSettings

ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1e-4
"""First and last rate of the one-cycle schedule, as shares of its peak."""


@dataclass(frozen=True)
class Place:
    """Where in a run a batch is."""

    epoch: int
    """From 1."""
    batch: int
    """Batches of the epoch before it."""
    num_batches: int
    """Batches in an epoch."""
    num_epoch: int
    """Last epoch of the run."""
    reductions: int = 0
    """How often the plateau schedule has reduced the rate."""

    @property
    def step(self) -> int:
        """Batches before it in all."""
        return (self.epoch - 1) * self.num_batches + self.batch


def learning_rate(settings: ScheduleSettings, place: Place) -> float:
    """The rate of the batch at `place`.

    With t, the epochs done (whole ones, or with `lr_interval` batch the share of the one under way
    too), E epochs in all, and every value times `learning_rate`:

    - constant: 1
    - exponential: lr_decay ** t
    - step: lr_decay ** floor(t / lr_step_epochs)
    - multistep: lr_decay ** (how many of `lr_milestones` t has reached)
    - cosine: from 1 to `lr_end_share` along half a cosine of `lr_cycle_epochs`, then again from 1,
      each cycle `lr_cycle_growth` times as long (Loshchilov and Hutter 2017, SGDR, eq. 5)
    - linear: from `lr_start_share` to `lr_end_share` over E epochs
    - noam: min(sqrt(w / s), s / w) at step s from 1, with w `warmup_steps` (Vaswani et al. 2017,
      eq. 3, scaled so that its top is `learning_rate`)
    - plateau: lr_decay ** reductions
    - inverse: 1 / (1 + s lr_decay) at step s from 0
    - onecycle: over `warmup_share` of all steps up from 1/25 along half a cosine, then down to
      1/10,000 (Smith and Topin 2018, with cosine slopes)

    All but noam and onecycle, which rise by themselves, are multiplied by s / `warmup_steps` in
    the first `warmup_steps` steps.
    """
    share = _share(settings, place)
    if settings.lr_schedule not in ("noam", "onecycle") and place.step < settings.warmup_steps:
        share *= (place.step + 1) / settings.warmup_steps
    return settings.learning_rate * share


def device_factor(scaling: Literal["linear", "sqrt", "none"], devices: int) -> float:
    """What the rate is multiplied with where `devices` share a step.

    linear: their number (Goyal et al. 2017, section 2.1); sqrt: its root, which keeps the noise of
    the steps (Hoffer et al. 2017, section 4).
    """
    return {"linear": float(devices), "sqrt": math.sqrt(devices), "none": 1.0}[scaling]


def _share(settings: ScheduleSettings, place: Place) -> float:
    done = place.epoch - 1.0
    if settings.lr_interval == "batch":
        done += place.batch / place.num_batches
    match settings.lr_schedule:
        case "exponential":
            return settings.lr_decay**done
        case "step":
            return settings.lr_decay ** (done // settings.lr_step_epochs)
        case "multistep":
            passed = sum(done >= milestone for milestone in settings.lr_milestones)
            return settings.lr_decay**passed
        case "cosine":
            return _cosine(settings, done, place.num_epoch)
        case "linear":
            along = min(1.0, done / place.num_epoch)
            return settings.lr_start_share * (1 - along) + settings.lr_end_share * along
        case "noam":
            warmup, step = max(1, settings.warmup_steps), place.step + 1
            return min(math.sqrt(warmup / step), step / warmup)
        case "plateau":
            return settings.lr_decay**place.reductions
        case "inverse":
            return 1 / (1 + place.step * settings.lr_decay)
        case "onecycle":
            return _one_cycle(settings.warmup_share, place)
    return 1.0


def _cosine(settings: ScheduleSettings, done: float, num_epoch: int) -> float:
    length = settings.lr_cycle_epochs or float(num_epoch)
    while done >= length and settings.lr_cycle_epochs is not None:
        done -= length
        length *= settings.lr_cycle_growth
    return _half_cosine(1.0, settings.lr_end_share, min(1.0, done / length))


def _one_cycle(rise: float, place: Place) -> float:
    done = place.step / max(1, place.num_epoch * place.num_batches - 1)
    if done < rise:
        return _half_cosine(ONE_CYCLE_START, 1.0, done / rise)
    share = (done - rise) / (1 - rise) if rise < 1 else 0.0
    return _half_cosine(1.0, ONE_CYCLE_END, min(1.0, share))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
