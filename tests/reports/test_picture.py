"""No command that draws replaces a file that is no picture."""

from collections.abc import Callable
from pathlib import Path

import pytest

from data_utils.errors import InputError
from model_utils.trainer.range_test import RangeTest
from reports.curves import draw_curves
from reports.masks import draw_masks
from reports.picture import check_picture
from reports.range_test import draw_range_test
from reports.runs import draw_losses
from reports.schedules import draw_schedules

FALLING = [float(n) for n in range(20, 0, -1)]
FOUND = RangeTest(FALLING[::-1], FALLING, FALLING)


@pytest.mark.parametrize(
    "draw",
    [
        check_picture,
        lambda path: draw_curves({}, path),
        lambda path: draw_losses({"a run": [(1.0, 9.0)]}, path),
        draw_masks,
        draw_schedules,
        lambda path: draw_range_test(FOUND, path),
    ],
    ids=["check", "curves", "losses", "masks", "schedules", "range_test"],
)
def test_only_a_picture_is_replaced(draw: Callable[[Path], None], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"curves\.txt: .* ends in \.png"):
        draw(tmp_path / "curves.txt")
    path = tmp_path / "curves.png"
    path.write_text("my notes")
    with pytest.raises(InputError, match="another kind stands there"):
        draw(path)
    assert path.read_text() == "my notes"


def test_a_picture_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "curves.PNG"
    draw_curves({}, path)
    draw_curves({}, path)
