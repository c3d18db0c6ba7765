import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from librosa import hz_to_mel
from librosa.filters import mel

from data_utils.mel import mel_bands, to_hertz, to_mel


@given(st.floats(0, 24_000))
def test_the_scale_is_that_of_librosa(hertz: float) -> None:
    assert to_mel(hertz) == pytest.approx(hz_to_mel(hertz), rel=1e-12)
    assert to_hertz(to_mel(hertz)) == pytest.approx(hertz, rel=1e-12)


@pytest.mark.parametrize(
    ("num_bands", "n_fft", "rate"),
    [(8, 512, 16_000), (80, 512, 16_000), (128, 512, 16_000), (40, 400, 8_000), (64, 1023, 44_100)],
)
def test_the_bands_are_those_of_librosa(num_bands: int, n_fft: int, rate: int) -> None:
    expected = mel(sr=rate, n_fft=n_fft, n_mels=num_bands)
    np.testing.assert_allclose(
        mel_bands(num_bands, n_fft, rate), expected, rtol=3e-7, atol=1e-9, strict=True
    )
