import math
import typing
from pathlib import Path

import matplotlib.image
import pytest

from model_utils.settings import ScheduleSettings
from reports.schedules import BATCHES, EPOCHS, WARMUP, draw_schedules, examples, rates


def of(name: str, warmup: int = 0) -> list[float]:
    return rates(next(e for e in examples() if e.settings.lr_schedule == name), warmup)


def test_every_schedule_is_shown_over_the_whole_run() -> None:
    schedules = typing.get_args(typing.get_type_hints(ScheduleSettings)["lr_schedule"])
    assert tuple(example.settings.lr_schedule for example in examples()) == schedules
    for example in examples():
        curve = rates(example, WARMUP)
        assert len(curve) == EPOCHS * BATCHES and min(curve) >= 0 and max(curve) <= 1


def test_warmup_rises_in_a_line() -> None:
    assert of("constant", 200)[:201] == pytest.approx([n / 200 for n in range(1, 201)] + [1])


def test_cosine_is_no_line() -> None:
    """A quarter along it has lost 15 % of its height, where a line has lost 25 %."""
    assert of("cosine")[5 * BATCHES // 2] == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_plateau_waits_for_epochs_without_a_better_score() -> None:
    """Better until 6 and in 9 and 10: the third without is 13, so 14 is lower; then 17 and 20."""
    falls = [
        n for n in range(1, EPOCHS) if of("plateau")[n * BATCHES] < of("plateau")[n * BATCHES - 1]
    ]
    assert [n + 1 for n in falls] == [14, 17, 20]


def test_the_picture(tmp_path: Path) -> None:
    draw_schedules(tmp_path / "schedules.png")
    assert matplotlib.image.imread(tmp_path / "schedules.png").std() > 0
