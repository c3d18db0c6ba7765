"""The training loss of several runs in one picture, to see what a setting changes."""

from collections.abc import Sequence
from pathlib import Path

from data_utils.errors import InputError
from model_utils.trainer.runlog import LOSS
from reports.curves import Curve, read_curves
from reports.picture import marker, plain_numbers, write_picture


def read_losses(log_dirs: Sequence[Path]) -> dict[str, Curve]:
    """The training loss over steps below each log folder, by the folder's name.

    Raises:
        InputError: a folder has no run, or its runs no loss; or two folders have one name.
    """
    losses: dict[str, Curve] = {}
    for folder in log_dirs:
        name = folder.resolve().name
        curve = read_curves(folder).get(LOSS)
        if curve is None:
            raise InputError(f"{folder}: no training loss in it yet")
        if name in losses:
            raise InputError(f"{folder}: a second folder named {name}; rename one of them")
        losses[name] = curve
    return losses


def draw_losses(losses: dict[str, Curve], path: Path) -> None:
    """Draw the losses over steps on a logarithmic scale, as a PNG.

    Raises:
        InputError: `path` is no place for a PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, curve in losses.items():
        axes.plot(*zip(*curve, strict=True), label=name, marker=marker(curve))
    axes.set(xlabel="step", ylabel=LOSS, yscale="log")
    plain_numbers(axes)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    write_picture(figure, path)
