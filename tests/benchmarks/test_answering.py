"""What a measured process does with a question."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks import answering


class Clock:
    """Time passes as actions say."""

    def __init__(self) -> None:
        self.now = 100.0

    def taking(self, *seconds: float) -> Callable[[], None]:
        """An action that takes so long at each call, the last of them again and again."""
        left = list(seconds)

        def action() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return action


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(answering.time, "perf_counter", lambda: clock.now)
    return clock


def test_the_first_call_does_not_count(clock: Clock) -> None:
    assert answering.rate(clock.taking(50, 0.25), amount=3, seconds=1) == 3 / 0.25


def test_one_call_at_least_is_measured(clock: Clock) -> None:
    assert answering.rate(clock.taking(1, 2), amount=10, seconds=0) == 5


def test_functions_of_samples_are_measured_and_saved(tmp_path: Path) -> None:
    clip, result = tmp_path / "clip.npy", tmp_path / "result.npy"
    np.save(clip, np.arange(3, dtype=np.float32))
    functions = answering.on_samples({"double": lambda samples: 2 * samples})
    functions["save"](name="double", clip=str(clip), path=str(result))
    assert np.load(result).tolist() == [0, 2, 4]
    assert functions["measure"](name="double", clip=str(clip), amount=1, seconds=0) > 0
