"""Pictures as files: where one may be put, and how it gets there."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.atomic import check_place, write_atomically
from data_utils.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PNG = re.compile(rb"\x89PNG")


def check_picture(path: Path) -> None:
    """Refuse a place for a PNG, before there is something to draw.

    Raises:
        InputError: `path` is not the name of a PNG, something else stands there, or it cannot be
            written.
    """
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: the picture is a PNG; choose a name that ends in .png")
    check_place(path, kind=_PNG)


def write_picture(figure: "Figure", path: Path) -> None:
    """Write a figure as a PNG, whole or not at all.

    Raises:
        InputError: `path` is no place for one, see `check_picture`.
    """
    check_picture(path)
    with write_atomically(path) as (temporary,):
        figure.savefig(temporary, format="png", dpi=100)


def marker(points: Sequence[object]) -> str:
    """How the points of a line are marked: not at all, but one alone would not be seen."""
    return "." if len(points) == 1 else ""


def plain_numbers(axes: "Axes") -> None:
    """Write the numbers of a logarithmic y axis as 20 and 300, those between powers of ten too."""
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
