"""The curves of training runs as one picture."""

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from data_utils.errors import InputError
from model_utils.trainer.runlog import ACCURACY, LOSS, METRICS, RATE
from reports.picture import marker, write_picture

Curve = list[tuple[float, float]]
"""(step or epoch, value), in order of time."""

_PERCENT = ("cer", "wer")
"""Measures that are drawn in percent, as error rates."""
_SETS = ("Dev", "Test")
"""First word of the tags of scores, such as `Dev cer`."""


def draw_run(folder: Path) -> None:
    """Draw the curves of one run as `curves.png` in its folder.

    A training that is done must not fail by its picture: what goes wrong is a warning.
    """
    try:
        draw_curves(read_curves(folder), folder / "curves.png")
    except Exception as error:
        print(f"warning: no picture of the curves ({error})", file=sys.stderr)


def read_curves(log_dir: Path) -> dict[str, Curve]:
    """The curves of all runs below `log_dir`, one after the other: a resumed run goes on.

    Of a folder that is a run's own, those of this run alone.

    A run may be under way: a last line without its end is not there yet.

    Raises:
        InputError: there is no run there, or a line is none of a run's.
    """
    own = log_dir / METRICS
    files = [own] if own.is_file() else sorted(log_dir.glob(f"*/{METRICS}"))
    if not files:
        raise InputError(f"{log_dir}: no run in it; train.py makes one, --log_dir names its folder")
    curves: dict[str, dict[float, float]] = defaultdict(dict)
    for file in files:
        begun: set[str] = set()
        *lines, _ = file.read_text(encoding="utf-8", errors="replace").split("\n")
        for number, line in enumerate(lines, start=1):
            try:
                row = json.loads(line)
                tag, step, value = str(row["tag"]), float(row["step"]), float(row["value"])
            except (ValueError, KeyError, TypeError):
                raise InputError(f"{file}:{number}: not a line of a run's metrics") from None
            if tag not in begun:  # a run begun again from an earlier step replaces what came after
                begun.add(tag)
                curves[tag] = {s: v for s, v in curves[tag].items() if s < step}
            curves[tag][step] = value
    return {tag: sorted(points.items()) for tag, points in curves.items()}


def draw_curves(curves: dict[str, Curve], path: Path) -> None:
    """Draw loss and learning rate over steps, and scores over epochs, as a PNG.

    Where there are accuracies of classes, they get a panel of their own.

    Raises:
        InputError: `path` is no place for a PNG.
    """
    from matplotlib.figure import Figure

    scores = {tag: curve for tag, curve in curves.items() if tag.split()[0] in _SETS}
    shares = {tag: scores.pop(tag) for tag in list(scores) if tag.split()[-1] == ACCURACY}
    panels = 3 + bool(shares)
    figure = Figure(figsize=(4 * panels, 3.4), layout="constrained")
    axes = figure.subplots(1, panels)
    for axis, tag, scale in ((axes[0], LOSS, "log"), (axes[2], RATE, "linear")):
        if tag in curves:
            axis.plot(*zip(*curves[tag], strict=True), color="tab:blue", marker=marker(curves[tag]))
            axis.set_yscale(scale)
        axis.set(title=tag, xlabel="step")
    is_rate = bool(scores) and all(tag.split()[-1] in _PERCENT for tag in scores)
    _draw_scores(axes[1], scores, "Character error rate" if is_rate else "Score", is_rate)
    if shares:
        _draw_scores(axes[3], shares, "Accuracy", in_percent=True)
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.margins(x=0.02)
    write_picture(figure, path)


def _draw_scores(axis: Any, scores: dict[str, Curve], title: str, in_percent: bool) -> None:
    """Curves over epochs, each with its last value written beside it."""
    unit, form = (100, "{:.1f} %") if in_percent else (1, "{:.3f}")
    for tag, curve in sorted(scores.items()):
        axis.plot(*zip(*[(x, unit * y) for x, y in curve], strict=True), marker="o", label=tag)
        x, y = curve[-1]
        axis.annotate(
            form.format(unit * y), (x, unit * y), (0, 8), textcoords="offset points", ha="right"
        )
    axis.set(title=title, xlabel="epoch")
    if in_percent:
        axis.set_ylabel("%")
        axis.set_ylim(bottom=0)
    axis.xaxis.get_major_locator().set_params(integer=True)
    if scores:
        axis.legend()
