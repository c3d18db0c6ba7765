"""What a mask network hears: the recogniser's frames, at the network's level."""

import numpy as np
import pytest

from data_utils.hearing import Hearing
from data_utils.settings import FeatureSettings
from data_utils.stft import Stft

SAMPLES = (0.02 * np.random.default_rng(0).standard_normal(2000)).astype(np.float32)


@pytest.mark.parametrize("bins", [161, 128])
@pytest.mark.parametrize("level", [-25.0, None])
def test_magnitudes_of_the_frames_that_fit_whole(bins: int, level: float | None) -> None:
    hearing = Hearing(Stft(320, 160, 320), 16000, bins, level)
    gain = 1.0
    if level is not None:
        gain = 10 ** (level / 20) / np.sqrt(np.mean(SAMPLES.astype(float) ** 2))
    found = hearing.magnitudes(SAMPLES)
    assert found.shape == (1 + (2000 - 320) // 160, bins) and found.dtype == np.float32
    for number, frame in enumerate(found):
        part = SAMPLES[160 * number : 160 * number + 320]
        expected = gain * np.abs(np.fft.rfft(np.hanning(320) * part))[:bins]
        assert np.allclose(frame, expected, rtol=1e-4, atol=1e-5)


def test_silence_is_not_amplified() -> None:
    hearing = Hearing(Stft(320, 160, 320), 16000, 161, -25.0)
    assert hearing.gain(-np.inf) == 1
    assert not hearing.magnitudes(np.zeros(400, np.float32)).any()


@pytest.mark.parametrize(
    ("stft", "rate", "settings", "shared"),
    [
        (Stft(320, 160, 320), 16000, FeatureSettings(), True),
        (Stft(512, 160, 320), 16000, FeatureSettings("mfcc"), True),
        (Stft(320, 160, 320), 8000, FeatureSettings(), False),
        (Stft(320, 80, 320), 16000, FeatureSettings(), False),
        (Stft(512, 160, 400), 16000, FeatureSettings(), False),
        (Stft(512, 160, 400), 16000, FeatureSettings(window_ms=25.0), True),
    ],
)
def test_frames_are_shared_where_rate_window_and_hop_are_the_same(
    stft: Stft, rate: int, settings: FeatureSettings, shared: bool
) -> None:
    assert Hearing(stft, rate, stft.bins).shares_frames(settings) == shared
