"""SI-SDR against least squares; STOI and PESQ the right way round and at the right rate; edges."""

import math
import sys
from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.errors import InputError
from scoring.speech_quality import has_pesq, pesq, pesq_scaled, si_sdr, stoi

RATE = 16000
needs_pesq = pytest.mark.skipif(not has_pesq(), reason="needs the package pesq")


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, count).astype("f4")


def voiced(seconds: float, rate: int = RATE) -> np.ndarray:
    """Pulses of 120 Hz through two resonances, in syllables with pauses between."""
    time = np.arange(round(seconds * rate)) / rate
    wave = scipy.signal.sawtooth(2 * np.pi * 120 * time)
    for hz in (600, 1700):
        pole = 0.97 * np.exp(2j * np.pi * hz / rate)
        wave = scipy.signal.lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], wave)
    wave *= np.maximum(0, np.sin(2 * np.pi * 3 * time))
    return (0.3 * wave / np.abs(wave).max()).astype("f4")


# SI-SDR


@given(st.integers(2, 500), st.integers(0, 1000), st.floats(0.01, 100), st.floats(0.001, 100))
@settings(max_examples=50, deadline=None)
def test_si_sdr_is_that_of_the_nearest_scaled_reference(
    count: int, seed: int, level: float, spoilt: float
) -> None:
    reference = noise(count, seed)
    estimate = (level * (reference + spoilt * noise(count, seed + 1))).astype("f4")
    wanted, found = reference.astype("f8"), estimate.astype("f8")
    [scale], *_ = np.linalg.lstsq(wanted[:, None], found, rcond=None)
    target = scale * wanted
    expected = 20 * np.log10(np.linalg.norm(target) / np.linalg.norm(found - target))
    assert si_sdr(estimate, reference) == pytest.approx(expected, abs=1e-6)
    # The factors in double precision: rounded anew, the estimate would be another one.
    assert si_sdr(-3 * found, reference) == pytest.approx(expected, abs=1e-6)
    assert si_sdr(estimate, wanted / 7) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ratio", [-20.0, 0.0, 15.0])
def test_si_sdr_of_noise_at_a_right_angle_is_the_ratio(ratio: float) -> None:
    time = np.arange(1600) / RATE
    speech, other = np.sin(2 * np.pi * 500 * time), np.sin(2 * np.pi * 700 * time)
    assert si_sdr(speech + other * 10 ** (-ratio / 20), speech) == pytest.approx(ratio, abs=1e-9)


def test_si_sdr_at_its_ends() -> None:
    speech = noise(100)
    assert si_sdr(speech, speech) == math.inf
    assert si_sdr(2 * speech, speech) == math.inf
    assert si_sdr(np.zeros(100), speech) == -math.inf
    assert si_sdr(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == -math.inf
    assert math.isnan(si_sdr(speech, np.zeros(100)))
    assert si_sdr(speech + 1, speech) < 0, "an offset counts"


# STOI and PESQ


def test_stoi_is_that_of_the_library_the_right_way_round() -> None:
    import pystoi

    clean = voiced(1.5)
    spoilt = clean + noise(len(clean)) * np.linspace(0, 2, len(clean))
    found = stoi(spoilt, clean, RATE)
    assert found == pytest.approx(pystoi.stoi(clean.astype("f8"), spoilt.astype("f8"), RATE))
    assert found != pytest.approx(stoi(clean, spoilt, RATE), abs=1e-4)
    assert stoi(clean, clean, RATE) == pytest.approx(1.0)


@needs_pesq
@pytest.mark.parametrize(("rate", "band"), [(16000, "wb"), (8000, "nb")])
def test_pesq_is_that_of_the_library_the_right_way_round(rate: int, band: str) -> None:
    import pesq as library

    clean = voiced(1.5, rate)
    spoilt = clean + noise(len(clean)) * np.linspace(0, 0.3, len(clean), dtype="f4")
    found = pesq(spoilt, clean, rate)
    assert found == pytest.approx(library.pesq(rate, clean, spoilt, band))
    assert found != pytest.approx(pesq(clean, spoilt, rate), abs=1e-4)
    assert pesq(clean, clean, rate) > 4.5


@needs_pesq
def test_pesq_at_other_rates() -> None:
    waves = voiced(1.5), voiced(1.5) + 0.1 * noise(24000)
    own = pesq(waves[1], waves[0], RATE)
    upper = [np.asarray(scipy.signal.resample_poly(wave, 3, 1)) for wave in waves]
    assert pesq(upper[1], upper[0], 48000) == pytest.approx(own, abs=0.2)
    lower = [np.asarray(scipy.signal.resample_poly(wave, 3, 4)) for wave in waves]
    narrow = [np.asarray(scipy.signal.resample_poly(wave, 1, 2)) for wave in waves]
    expected = pesq(narrow[1], narrow[0], 8000)
    assert pesq(lower[1], lower[0], 12000) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize("measure", [si_sdr, stoi, pytest.param(pesq, marks=needs_pesq)])
def test_more_noise_scores_worse(measure: Callable[..., float]) -> None:
    clean = voiced(1.5)
    rate = () if measure is si_sdr else (RATE,)
    scores = [measure(clean + level * noise(24000), clean, *rate) for level in (0.01, 0.1, 1.0)]
    assert scores[0] > scores[1] > scores[2]


@pytest.mark.parametrize("measure", [stoi, pytest.param(pesq, marks=needs_pesq)])
def test_what_has_no_score_is_nan(measure: Callable[..., float]) -> None:
    clean, zeros = voiced(0.5), np.zeros(8000, "f4")
    assert math.isnan(measure(zeros, clean, RATE))
    assert math.isnan(measure(clean, zeros, RATE))
    for count in (0, 1, 100, 300, 479, 480, 1000, 3000):
        assert math.isnan(measure(clean[:count], clean[:count], RATE))


def test_stoi_of_too_little_speech_is_nan_without_a_warning(
    recwarn: pytest.WarningsRecorder,
) -> None:
    assert math.isnan(stoi(voiced(0.3), voiced(0.3), RATE))
    assert not recwarn.list


@pytest.mark.parametrize("measure", [si_sdr, stoi, pytest.param(pesq, marks=needs_pesq)])
def test_lengths_must_agree(measure: Callable[..., float]) -> None:
    rate = () if measure is si_sdr else (RATE,)
    with pytest.raises(ValueError, match=r"estimate \(3,\) and reference \(4,\) differ"):
        measure(noise(3), noise(4), *rate)


@pytest.mark.parametrize(("name", "measure"), [("pystoi", stoi), ("pesq", pesq)])
def test_a_missing_package_is_named_with_its_command(
    name: str, measure: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"needs the package {name}: pip install {name}$"):
        measure(noise(8000), noise(8000), RATE)


def test_a_missing_pesq_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pesq", None)
    assert not has_pesq()


def test_pesq_between_0_and_1() -> None:
    assert [pesq_scaled(score) for score in (-0.5, 2.0, 4.5)] == [0.0, 0.5, 1.0]
    assert math.isnan(pesq_scaled(math.nan))
