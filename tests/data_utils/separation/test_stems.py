"""Masks to stems: shares by power, and what they sum to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from songs import RATE, vocals_and_noise

from data_utils.separation.settings import MaskExtension, StemSettings
from data_utils.separation.stems import extended, power_shares, stem_shares
from data_utils.stft import Stft

GEOMETRY = Stft(256, 64, 256)


def stem_spectra(
    spectrum: np.ndarray, masks: np.ndarray, mask_extension: MaskExtension = "average"
) -> np.ndarray:
    """The spectra of the stems."""
    heard = np.abs(spectrum[:, : masks.shape[2]])
    settings = StemSettings(mask_extension=mask_extension)
    return stem_shares(heard, masks, spectrum.shape[1], settings) * spectrum


def random_masks(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).random(shape).astype(np.float32)


def decibels(error: np.ndarray, signal: np.ndarray) -> float:
    return 10 * np.log10(np.sum(np.square(error, dtype=float)) / np.sum(signal.astype(float) ** 2))


@pytest.mark.parametrize(("exponent", "share"), [(1.0, 3 / 4), (2.0, 9 / 10), (3.0, 27 / 28)])
def test_shares_are_magnitudes_to_the_exponent(exponent: float, share: float) -> None:
    """3 and 1 are 9 and 1 to the power of 2; where nobody has any, all have as much."""
    magnitudes = np.array([[[3.0, 0.0, 2.0]], [[1.0, 0.0, 0.0]]], np.float32)
    expected = np.array([[[share, 0.5, 1.0]], [[1 - share, 0.5, 0.0]]])
    assert np.allclose(power_shares(magnitudes, exponent), expected, atol=1e-5)
    settings = StemSettings(mask_exponent=exponent)
    shares = stem_shares(np.ones((1, 3), np.float32), magnitudes, 3, settings)
    assert np.allclose(shares, expected, atol=1e-5), "the option reaches them"


@given(
    seed=st.integers(0, 1000),
    stems=st.integers(1, 4),
    exponent=st.floats(-12, 12),
    extra=st.integers(0, 3),
)
def test_shares_sum_to_one_at_any_level(seed: int, stems: int, exponent: float, extra: int) -> None:
    magnitudes = random_masks(seed, (stems, 3, 5)) * np.float32(10**exponent)
    shares = extended(power_shares(magnitudes), 5 + extra, "average")
    assert shares.dtype == np.float32 and shares.shape == (stems, 3, 5 + extra)
    assert (shares >= 0).all() and np.allclose(shares.sum(axis=0), 1, atol=1e-6)


def test_bins_above_get_the_average_or_nothing() -> None:
    shares = np.array([[[0.2, 0.4], [1.0, 0.0]]], np.float32)
    average = extended(shares, 4, "average")
    assert np.allclose(average, [[[0.2, 0.4, 0.3, 0.3], [1.0, 0.0, 0.5, 0.5]]])
    assert np.array_equal(
        extended(shares, 4, "zeros"), np.array([[[0.2, 0.4, 0, 0], [1, 0, 0, 0]]], np.float32)
    )


@pytest.mark.parametrize("heard", [64, 129])
def test_stems_sum_to_the_recording(heard: int) -> None:
    mixture = vocals_and_noise(1.3).sum(axis=0)
    spectrum = GEOMETRY.forward(mixture)
    spectra = stem_spectra(spectrum, random_masks(1, (2, len(spectrum), heard)))
    assert spectra.dtype == np.complex64
    stems = [GEOMETRY.inverse(part, len(mixture)) for part in spectra]
    assert decibels(sum(stems) - mixture, mixture) < -100
    assert decibels(stems[0] - mixture, mixture) > -30  # neither is all of it


def test_with_zeros_they_sum_to_what_lies_below_f() -> None:
    mixture = vocals_and_noise(1.3).sum(axis=0)
    spectrum = GEOMETRY.forward(mixture)
    spectra = stem_spectra(spectrum, random_masks(1, (2, len(spectrum), 64)), "zeros")
    assert np.allclose(spectra.sum(axis=0)[:, :64], spectrum[:, :64], rtol=1e-5, atol=1e-6)
    assert not spectra[:, :, 64:].any() and spectrum[:, 64:].any()


def test_what_networks_hear_rightly_is_parted() -> None:
    """A tone and noise, and masks that say how much of each bin is whose."""
    sources = vocals_and_noise(2.0)
    mixture = sources.sum(axis=0)
    true = np.stack([np.abs(GEOMETRY.forward(source)) for source in sources])
    spectrum = GEOMETRY.forward(mixture)
    masks = np.minimum(true / (np.abs(spectrum) + 1e-6), 1.0).astype(np.float32)
    for source, part in zip(sources, stem_spectra(spectrum, masks), strict=True):
        before = decibels(mixture - source, source)
        after = decibels(GEOMETRY.inverse(part, 2 * RATE) - source, source)
        assert after < before - 8


def test_the_level_of_the_recording_changes_no_share() -> None:
    spectrum = GEOMETRY.forward(vocals_and_noise(0.5).sum(axis=0))
    masks = random_masks(2, (2, len(spectrum), 64))
    loud, soft = stem_spectra(100 * spectrum, masks), stem_spectra(spectrum, masks)
    assert np.allclose(loud, 100 * soft, rtol=1e-3, atol=1e-3)
