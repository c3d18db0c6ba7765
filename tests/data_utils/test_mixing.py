"""The ratio of a mixture is measured from what it returns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.mixing import mix


def white(seed: int, count: int, level: float) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * level).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 4000),
    clean_level=st.floats(1e-4, 1.0),
    noise_level=st.floats(1e-4, 1.0),
    snr_db=st.floats(-20, 60),
)
def test_ratio_is_exact(seed, count, clean_level, noise_level, snr_db):
    clean, noise = white(seed, count, clean_level), white(seed + 1, count, noise_level)
    mixture, scaled = mix(clean, noise, snr_db)
    energies = [sum(float(x) ** 2 for x in signal) for signal in (clean, scaled)]
    assert 10 * np.log10(energies[0] / energies[1]) == pytest.approx(snr_db, abs=0.001)
    assert mixture.dtype == scaled.dtype == np.float32
    np.testing.assert_array_equal(mixture, clean + scaled)


def test_noise_keeps_its_shape_and_inputs_stay():
    clean, noise = white(0, 1000, 0.1), white(1, 1000, 0.3)
    copies = clean.copy(), noise.copy()
    _, scaled = mix(clean, noise, 5.0)
    np.testing.assert_allclose(scaled / noise, scaled[0] / noise[0], rtol=1e-5)
    np.testing.assert_array_equal(clean, copies[0])
    np.testing.assert_array_equal(noise, copies[1])


@pytest.mark.parametrize("silent", ["clean", "noise", "both"])
def test_silence_adds_nothing(silent):
    clean, noise = white(0, 100, 0.1), white(1, 100, 0.1)
    if silent in ("clean", "both"):
        clean[:] = 0
    if silent in ("noise", "both"):
        noise[:] = 0
    mixture, scaled = mix(clean, noise, 10.0)
    np.testing.assert_array_equal(mixture, clean)
    assert not scaled.any()


def test_nothing_to_mix():
    mixture, scaled = mix(white(0, 0, 1.0), white(0, 0, 1.0), 10.0)
    assert mixture.shape == scaled.shape == (0,)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="length"):
        mix(white(0, 3, 1.0), white(0, 4, 1.0), 10.0)
