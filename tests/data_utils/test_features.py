import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import python_speech_features
import scipy.signal
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.audio import SAMPLE_RATE, AudioError, level_db, normalize_loudness
from data_utils.features import (
    extract,
    from_power,
    num_bins,
    num_frames,
    power_spectrum,
    prepare,
    read_features,
)
from data_utils.settings import FeatureSettings
from data_utils.stft import spectrum

LINEAR = FeatureSettings()
FBANK = FeatureSettings(feature_type="fbank")
MFCC = FeatureSettings(feature_type="mfcc")
ALL = [LINEAR, FBANK, MFCC]


def speechlike(num_samples: int = 16000, seed: int = 0) -> np.ndarray:
    """Noise that falls by 12 dB an octave or so, as speech does, at -20 dBFS."""
    noise = np.random.default_rng(seed).standard_normal(num_samples)
    return normalize_loudness(scipy.signal.lfilter([1], [1, -0.95], noise).astype("f4"))


def frames_of(samples: np.ndarray, length: int, hop: int) -> list[np.ndarray]:
    return [samples[i : i + length] for i in range(0, len(samples) - length + 1, hop)]


def test_spectrum_is_the_transform_of_each_windowed_frame() -> None:
    samples = speechlike(2000)
    expected = [np.fft.fft(f * np.hanning(50), 64)[:33] for f in frames_of(samples, 50, 20)]
    result = spectrum(samples, 50, 20, 64)
    assert result.dtype == np.complex64
    assert np.allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("window_ms", [20.0, 25.0, 20.0625])
def test_linear_is_the_log_of_the_periodogram(window_ms: float) -> None:
    samples = speechlike()
    length = round(window_ms * 16)  # 20.0625 ms are 321 samples, an odd number
    choice = FeatureSettings(window_ms=window_ms)
    densities = [
        scipy.signal.periodogram(
            frame.astype("f8"), SAMPLE_RATE, window=np.hanning(length), detrend=False
        )[1]
        for frame in frames_of(samples, length, 160)
    ]
    expected = np.log(np.array(densities) + 1e-14)
    power = power_spectrum(samples, choice)
    assert np.allclose(power, densities, rtol=2e-4, atol=1e-12)
    assert np.abs(from_power(power, choice) - expected).max() < 2e-3
    assert num_bins(choice) == length // 2 + 1


def test_linear_as_the_older_packages_spell_it() -> None:
    # 161 values of |rfft|^2 over (sum of squared weights times the rate), inner ones doubled.
    samples = speechlike().astype("f8")
    weights = np.hanning(320)[:, None]
    windows = np.stack(frames_of(samples, 320, 160), axis=1)
    power = np.abs(np.fft.rfft(windows * weights, axis=0)) ** 2
    scale = np.sum(weights**2) * SAMPLE_RATE
    power[1:-1] *= 2.0 / scale
    power[[0, -1]] /= scale
    result = extract(samples.astype("f4"), FeatureSettings(use_db_normalization=False))
    assert np.abs(result - np.log(power + 1e-14).T).max() < 2e-3


@given(st.integers(320, 5000), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_mfcc_equals_python_speech_features(num_samples: int, seed: int) -> None:
    # Theirs pads the last frame, ours leaves it out: whole frames only are compared.
    samples = speechlike(num_samples - (num_samples - 320) % 160, seed)
    cepstra = python_speech_features.mfcc(samples.astype("f8"), SAMPLE_RATE, 0.02, 0.01)
    slopes = python_speech_features.delta(cepstra, 2)
    curves = python_speech_features.delta(slopes, 2)
    result = from_power(power_spectrum(samples, MFCC), MFCC)
    assert np.abs(result - np.concatenate([cepstra, slopes, curves], axis=1)).max() < 1e-5


def test_mfcc_of_zeros_is_that_of_python_speech_features() -> None:
    zeros = np.zeros(960, "f4")
    expected = python_speech_features.mfcc(zeros, SAMPLE_RATE, 0.02, 0.01)
    assert np.allclose(extract(zeros, MFCC)[:, :13], expected, atol=1e-4)


@pytest.mark.parametrize("bands", [40, 80, 128])
def test_fbank_equals_librosa(bands: int) -> None:
    samples = speechlike()
    choice = FeatureSettings(feature_type="fbank", num_mel_bins=bands, use_db_normalization=False)
    # librosa puts a window of 320 into the middle of 512 samples: 96 earlier.
    mel = librosa.feature.melspectrogram(
        y=np.pad(samples.astype("f8"), 96),
        sr=SAMPLE_RATE,
        n_fft=512,
        hop_length=160,
        win_length=320,
        window=np.hanning(320),
        center=False,
        n_mels=bands,
        dtype=np.float64,
    )
    density = 2 * mel / (np.sum(np.hanning(320) ** 2) * SAMPLE_RATE)
    # The lowest filters touch neither 0 Hz nor 8 kHz, the two bins that are not doubled.
    assert np.abs(extract(samples, choice) - np.log(density + 1e-14).T).max() < 1e-3


@pytest.mark.parametrize("window_ms", [10.0, 20.0, 25.0, 40.0])
@pytest.mark.parametrize("bands", [8, 80, 128])
def test_no_mel_band_is_empty(window_ms: float, bands: int) -> None:
    choice = FeatureSettings(feature_type="fbank", num_mel_bins=bands, window_ms=window_ms)
    samples = speechlike()
    assert (extract(samples, choice) > np.log(1e-13)).all()


@pytest.mark.parametrize("choice", ALL)
@given(num_samples=st.integers(320, 4000))
@settings(max_examples=20, deadline=None)
def test_shapes_are_as_announced(choice: FeatureSettings, num_samples: int) -> None:
    samples = speechlike(num_samples)
    features = extract(samples, choice)
    assert features.shape == (num_frames(num_samples, choice), num_bins(choice))
    assert features.dtype == np.float32 and features.flags.c_contiguous
    assert len(features) == len(frames_of(samples, 320, 160))


def test_bins_that_users_know() -> None:
    assert [num_bins(choice) for choice in ALL] == [161, 80, 39]


@pytest.mark.parametrize("feature_type", ["linear", "fbank", "mfcc"])
def test_window_and_hop_reach_what_they_name(feature_type: str) -> None:
    samples = speechlike()
    shapes = {
        (window, hop): extract(samples, FeatureSettings(feature_type, window, hop)).shape
        for window in (20.0, 32.0)
        for hop in (5.0, 10.0)
    }
    assert [shapes[20.0, hop][0] for hop in (5.0, 10.0)] == [197, 99]
    assert [shapes[32.0, hop][0] for hop in (5.0, 10.0)] == [194, 97]
    assert (shapes[32.0, 10.0][1] == 257) == (feature_type == "linear")


@pytest.mark.parametrize("choice", ALL)
def test_a_tone_of_1_khz_stands_at_1_khz(choice: FeatureSettings) -> None:
    samples = np.sin(2 * np.pi * 1000 * np.arange(3200) / SAMPLE_RATE).astype("f4")
    peak = power_spectrum(samples, choice).mean(axis=0).argmax()
    width = 50 if choice is LINEAR else 31.25
    assert peak * width == 1000


def test_the_density_adds_up_to_the_power() -> None:
    white = np.random.default_rng(3).normal(0, 0.1, 80000).astype("f4")
    for choice, width in ((LINEAR, 50), (FBANK, 31.25)):
        total = power_spectrum(white, choice).sum(axis=1).mean() * width
        assert 10 * np.log10(total) == pytest.approx(level_db(white), abs=0.05)


@pytest.mark.parametrize("choice", ALL)
def test_loudness_of_the_recording_does_not_matter(choice: FeatureSettings) -> None:
    samples = speechlike()
    assert np.allclose(extract(samples * 0.01, choice), extract(samples, choice), atol=2e-3)


def test_target_db_and_its_switch() -> None:
    samples = speechlike() * np.float32(0.1)
    assert level_db(prepare(samples, FeatureSettings(target_db=-30.0))) == pytest.approx(-30, 1e-4)
    assert np.array_equal(prepare(samples, FeatureSettings(use_db_normalization=False)), samples)


@pytest.mark.parametrize("choice", [LINEAR, FBANK])
def test_a_frame_does_not_depend_on_those_around_it(choice: FeatureSettings) -> None:
    samples = speechlike(16000)
    whole = from_power(power_spectrum(samples, choice), choice)
    part = from_power(power_spectrum(samples[1600:8000], choice), choice)
    assert np.array_equal(whole[10 : 10 + len(part)], part)


@pytest.mark.parametrize("choice", ALL)
def test_less_than_a_frame_is_too_short(choice: FeatureSettings) -> None:
    assert num_frames(319, choice) == 0 and num_frames(0, choice) == 0
    for length in (0, 1, 319):
        with pytest.raises(AudioError, match=r"too short: 0\.0\d\d s, one frame takes 0\.020 s"):
            extract(np.ones(length, "f4"), choice)


@pytest.mark.parametrize("choice", ALL)
def test_input_is_left_alone_and_digital_silence_is_finite(choice: FeatureSettings) -> None:
    samples = speechlike(2000)
    before = samples.copy()
    extract(samples, choice)
    assert np.array_equal(samples, before)
    assert np.isfinite(extract(np.zeros(2000, "f4"), choice)).all()


def test_from_a_file_on(tmp_path: Path) -> None:
    samples = speechlike()
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    assert np.array_equal(read_features(path, LINEAR), extract(samples, LINEAR))
    part = extract(samples[3200:8000], FBANK)
    assert np.array_equal(read_features(path, FBANK, start=0.2, end=0.5), part)
    with pytest.raises(AudioError, match=r"a.wav: too short: 0.010 s"):
        read_features(path, LINEAR, start=0.2, end=0.21)


@pytest.mark.parametrize("feature_type", ["linear", "fbank"])
def test_no_library_is_imported_that_takes_a_second(feature_type: str) -> None:
    program = (
        "import sys, numpy\n"
        "from data_utils.features import extract\n"
        "from data_utils.settings import FeatureSettings\n"
        f"extract(numpy.ones(16000, 'float32'), FeatureSettings({feature_type!r}))\n"
        "print(*sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heavy = {"librosa", "numba", "scipy.signal", "scipy.stats", "paddle", "matplotlib"}
    assert not heavy & set(found.stdout.split())
