"""What a training holds of a manifest, in bytes a line, at a million lines."""

from collections.abc import Mapping

import pytest

from benchmarks import scale

LINES = 1_000_000
FEW = 1_000
MB = 2**20


@pytest.fixture(scope="module")
def grown() -> Mapping[str, float]:
    """By how much each figure of a million lines exceeds that of a thousand, in MB or seconds."""
    found = []
    for lines in (FEW, LINES):
        with scale._manifest(lines) as path:
            found.append(scale._ours(path))
    few, many = found
    return {name: many[name] - few[name] for name in many}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("open_mb", 30),  # 20 are a row of the index
        ("plan_mb", 60),  # 8 are an item's place in the order, 4 a view for each 32
        ("worker_mb", 12),  # a third of the index, which two workers share with the trainer
        ("all_mb", 100),  # 120 and more if each worker had an index
        ("peak_mb", 120),
    ],
)
def test_a_line_takes_few_bytes(grown: Mapping[str, float], what: str, most: float) -> None:
    assert grown[what] * MB / (LINES - FEW) < most


@pytest.mark.slow
def test_an_epoch_is_planned_and_resumed_in_a_moment(grown: Mapping[str, float]) -> None:
    """Against the reading of the lines, which is a thousand times the work."""
    assert max(grown["reshuffle"], grown["resume"]) < grown["open"] / 4
