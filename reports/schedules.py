"""The learning rate of every schedule over one run, as a picture for docs/training_guide."""

import typing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model_utils.settings import ScheduleSettings
from model_utils.trainer.schedules import Place, learning_rate
from reports.picture import write_picture

EPOCHS, BATCHES = 20, 100
WARMUP = 200
"""Steps of the warm-up in the picture: two epochs."""


@dataclass(frozen=True)
class Example:
    """One schedule with the settings that show its shape."""

    settings: ScheduleSettings
    note: str
    """Those of its settings that are not the default."""
    better: frozenset[int] = frozenset(range(1, 7)) | {9, 10}
    """Epochs with a new best score, which the plateau schedule waits for."""


_SETTINGS: dict[str, dict[str, Any]] = {
    "exponential": {},
    "step": {"lr_decay": 0.3, "lr_step_epochs": 6},
    "multistep": {"lr_decay": 0.3, "lr_milestones": (10, 16)},
    "cosine": {"lr_cycle_epochs": 10, "lr_interval": "batch"},
    "linear": {"lr_interval": "batch"},
    "plateau": {"lr_decay": 0.3},
    "inverse": {"lr_decay": 0.01},
}


def examples() -> list[Example]:
    """One for each schedule there is, the rate as a share of `learning_rate`."""
    names = typing.get_args(typing.get_type_hints(ScheduleSettings)["lr_schedule"])
    made = []
    for name in names:
        changed = _SETTINGS.get(name, {})
        settings = replace(ScheduleSettings(learning_rate=1, lr_schedule=name), **changed)
        note = ", ".join(
            f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
            for key, value in changed.items()
        )
        made.append(Example(settings, note))
    return made


def rates(example: Example, warmup_steps: int) -> list[float]:
    """The rate of every batch of the run."""
    settings = replace(example.settings, warmup_steps=warmup_steps)
    found, stale, reductions = [], 0, 0
    for epoch in range(1, EPOCHS + 1):
        found += [
            learning_rate(settings, Place(epoch, batch, BATCHES, EPOCHS, reductions))
            for batch in range(BATCHES)
        ]
        stale = 0 if epoch in example.better else stale + 1
        reductions += stale > 0 and stale % (settings.plateau_patience + 1) == 0
    return found


def draw_schedules(path: Path) -> None:
    """Draw all schedules, with warm-up and without, as a PNG.

    Raises:
        InputError: `path` is no place for a PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 10), layout="constrained")
    grid = figure.subplots(5, 2, sharex=True)
    epochs = [1 + step / BATCHES for step in range(EPOCHS * BATCHES)]
    for axis, example in zip(grid.flat, examples(), strict=True):
        for warmup, look in ((0, "--"), (WARMUP, "-")):
            label = f"--warmup_steps={warmup}"
            axis.plot(epochs, rates(example, warmup), look, label=label)
        axis.set_title(example.settings.lr_schedule, loc="left", fontsize=11)
        axis.set_title(example.note, loc="right", fontsize=7)
        axis.set_ylim(0, 1.05)
        axis.grid(alpha=0.3)
    for axis in grid[-1]:
        axis.set_xlabel("epoch")
        axis.set_xticks(range(1, EPOCHS + 2, 5))
    for axis in grid[:, 0]:
        axis.set_ylabel("share of learning_rate", fontsize=8)
    grid.flat[0].legend(fontsize=8)
    write_picture(figure, path)
