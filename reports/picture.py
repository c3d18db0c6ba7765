"""Where a picture may be put."""

import re
from pathlib import Path

from data_utils.atomic import check_place
from data_utils.errors import InputError

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
