import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.augmentation.resample import Resample, ResampleParams
from data_utils.errors import InputError


def tone(frequency: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(16000) / 16000).astype(np.float32)


@pytest.mark.parametrize(
    ("rate", "kept", "lost"), [(8000, 3000, 5000), (4000, 1500, 2500), (11025, 4500, 6500)]
)
def test_bandwidth_above_half_the_rate_is_lost(rate, kept, lost):
    effect = Resample(new_sample_rate=rate)
    inner = slice(1000, -1000)  # the tones begin and end with a click
    low = effect.apply(tone(kept), ResampleParams(rate))
    np.testing.assert_allclose(low[inner], tone(kept)[inner], atol=0.01)
    assert np.abs(effect.apply(tone(lost), ResampleParams(rate))[inner]).max() < 0.01


@given(count=st.integers(1, 3000), rate=st.integers(1000, 15999))
def test_length_stays(count, rate):
    samples = np.ones(count, np.float32)
    changed = Resample().apply(samples, ResampleParams(rate))
    assert changed.shape == samples.shape and changed.dtype == np.float32


def test_one_of_a_list_is_drawn():
    effect = Resample(new_sample_rate=[4000, 8000, 44100])
    rng = np.random.default_rng(0)
    assert {effect.choose(rng, (100,)).rate for _ in range(100)} == {4000, 8000, 44100}
    assert {Resample().choose(rng, (100,)).rate for _ in range(9)} == {8000}


def test_higher_rate_loses_nothing():
    samples = tone(7000)
    assert Resample().apply(samples, ResampleParams(44100)) is samples


@pytest.mark.parametrize("rates", [16000, [32000, 44100], 500, [8000, 500], [], "8000", [8e3]])
def test_bad_values(rates):
    with pytest.raises(InputError, match="new_sample_rate"):
        Resample(new_sample_rate=rates)
