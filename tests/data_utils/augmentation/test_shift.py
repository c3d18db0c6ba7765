import numpy as np
import pytest

from data_utils.augmentation.shift import Shift, ShiftParams
from data_utils.errors import InputError


def click(at: int, count: int = 1600) -> np.ndarray:
    samples = np.zeros(count, np.float32)
    samples[at] = 1.0
    return samples


@pytest.mark.parametrize(("shift_ms", "expected"), [(5, 880), (-5, 720), (0, 800), (0.0625, 801)])
def test_positive_is_later(shift_ms, expected):
    moved = Shift().apply(click(800), ShiftParams(shift_ms))
    np.testing.assert_array_equal(moved, click(expected))


@pytest.mark.parametrize("shift_ms", [99.9, 100, 101, 5000, -99.9, -100, -5000])
def test_free_place_is_zero(shift_ms):
    samples = np.arange(1, 1601, dtype=np.float32)
    moved = Shift().apply(samples, ShiftParams(shift_ms))
    later = round(shift_ms * 16)
    expected = [samples[i - later] if 0 <= i - later < 1600 else 0 for i in range(1600)]
    np.testing.assert_array_equal(moved, expected)


def test_shift_fills_its_range():
    effect = Shift(min_shift_ms=-2, max_shift_ms=30)
    rng = np.random.default_rng(0)
    drawn = [effect.choose(rng, (100,)).shift_ms for _ in range(500)]
    assert -2 <= min(drawn) < -1.5 and 29.5 < max(drawn) <= 30


@pytest.mark.parametrize(
    "params",
    [{"min_shift_ms": 5, "max_shift_ms": -5}, {"min_shift_ms": -1e5}, {"max_shift_ms": []}],
)
def test_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        Shift(**params)
