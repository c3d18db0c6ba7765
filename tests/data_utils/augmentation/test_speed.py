import numpy as np
import pytest

from data_utils.augmentation.speed import Speed, SpeedParams
from data_utils.errors import InputError


def tone(frequency: float, count: int = 32000) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(count) / 16000).astype(np.float32)


def pitch(samples: np.ndarray) -> float:
    """Frequency of the highest peak, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), n=1 << 17))
    return float(spectrum.argmax()) * 16000 / (1 << 17)


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.1, 1.2345, 2.0])
def test_length_and_pitch(rate):
    fast = Speed().apply(tone(440), SpeedParams(rate))
    assert len(fast) == pytest.approx(32000 / rate, abs=2)
    assert pitch(fast) == pytest.approx(440 * rate, rel=1e-3)
    assert fast.dtype == np.float32


def test_rate_one_is_the_identity():
    samples = tone(440)
    assert Speed().apply(samples, SpeedParams(1.0)) is samples
    middle = np.linspace(0.9, 1.1, 3)[1]
    assert Speed().apply(samples, SpeedParams(float(middle))) is samples


def drawn(effect: Speed) -> set[float]:
    rng = np.random.default_rng(0)
    return {round(effect.choose(rng, (100,)).rate, 9) for _ in range(300)}


def test_rates_are_evenly_spaced():
    assert drawn(Speed(min_speed_rate=0.9, max_speed_rate=1.1)) == {0.9, 1.0, 1.1}
    effect = Speed(min_speed_rate=0.8, max_speed_rate=1.2, num_rates=5)
    assert drawn(effect) == {0.8, 0.9, 1.0, 1.1, 1.2}


@pytest.mark.parametrize("num_rates", [-1, None])
def test_any_rate(num_rates):
    rates = drawn(Speed(min_speed_rate=0.8, max_speed_rate=1.2, num_rates=num_rates))
    assert len(rates) == 300
    assert 0.8 <= min(rates) < 0.81 and 1.19 < max(rates) <= 1.2


@pytest.mark.parametrize(
    "params",
    [
        {"min_speed_rate": 1.1, "max_speed_rate": 0.9},
        {"min_speed_rate": 0.1},
        {"max_speed_rate": 3},
        {"num_rates": 0},
        {"num_rates": -2},
        {"num_rates": 2.5},
    ],
)
def test_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        Speed(**params)
