import numpy as np
import pytest

from data_utils.augmentation.volume import Volume, VolumeParams
from data_utils.errors import InputError


def level(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(samples.astype(np.float64) ** 2))


@pytest.mark.parametrize("gain_db", [-15, -0.5, 0, 6, 15])
def test_level_moves_by_the_gain(speech, gain_db):
    changed = Volume().apply(speech, VolumeParams(gain_db))
    assert level(changed) - level(speech) == pytest.approx(gain_db, abs=1e-3)
    np.testing.assert_allclose(changed / speech, changed[0] / speech[0], rtol=1e-5)


def test_nothing_is_clipped():
    changed = Volume().apply(np.float32([0.9, -0.9]), VolumeParams(20))
    np.testing.assert_allclose(changed, [9, -9], rtol=1e-6)


def test_gain_fills_its_range():
    effect = Volume(min_gain_dBFS=-3, max_gain_dBFS=8)
    rng = np.random.default_rng(0)
    drawn = [effect.choose(rng, (100,)).gain_db for _ in range(500)]
    assert -3 <= min(drawn) < -2.8 and 7.8 < max(drawn) <= 8


@pytest.mark.parametrize(
    "params",
    [
        {"min_gain_dBFS": 5, "max_gain_dBFS": -5},
        {"min_gain_dBFS": -100},
        {"max_gain_dBFS": True},
    ],
)
def test_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        Volume(**params)
