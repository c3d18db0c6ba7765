"""What cannot be mixed or turned back into a wave is refused in one line."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.enhancement.settings import (
    NoisyCorpusSettings,
    SpectrumSettings,
    check_corpus,
    check_spectrum,
)
from data_utils.errors import InputError
from data_utils.stft import Stft


def test_defaults_are_the_users_own() -> None:
    check_corpus(NoisyCorpusSettings())
    spectrum = SpectrumSettings()
    check_spectrum(spectrum)
    assert (spectrum.n_fft, spectrum.hop_length, spectrum.win_length) == (320, 160, 320)
    assert spectrum.bins == 161 and spectrum.mask == "irm"
    assert NoisyCorpusSettings().train_snrs == (-5, 0)
    assert NoisyCorpusSettings().dev_snrs == (-5, 0, 5)


@given(st.integers(4, 600), st.integers(1, 400), st.integers(4, 600))
def test_what_passes_has_an_inverse(n_fft: int, hop_length: int, win_length: int) -> None:
    settings = SpectrumSettings(n_fft=n_fft, hop_length=hop_length, win_length=win_length)
    try:
        check_spectrum(settings)
    except InputError as error:
        assert "\n" not in str(error)
        with pytest.raises(AssertionError):
            Stft(n_fft, hop_length, win_length)
    else:
        assert Stft(n_fft, hop_length, win_length).bins == settings.bins


def test_geometries_that_are_refused() -> None:
    with pytest.raises(InputError, match=r"^--win_length: 320 is more than --n_fft=256; give both"):
        check_spectrum(SpectrumSettings(n_fft=256))
    with pytest.raises(
        InputError, match=r"^--hop_length: 161 is more than half .* 160 is the most"
    ):
        check_spectrum(SpectrumSettings(hop_length=161))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dev_noise": None}, r"^--dev_noise: missing"),
        ({"dev_clean": None}, r"^--dev_clean: missing"),
        ({"test_clean": "a"}, r"^--test_noise: missing; name a list, or give --test_clean=None"),
        ({"train_snrs": ()}, r"^--train_snrs: no ratio given"),
        ({"dev_snrs": (0.0, 101.0)}, r"^--dev_snrs: 101 dB is not between -50 and 100"),
        ({"train_snrs": (float("inf"),)}, r"^--train_snrs: inf dB is not between"),
    ],
)
def test_corpora_that_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_corpus(replace(NoisyCorpusSettings(), **change))
    check_corpus(replace(NoisyCorpusSettings(), dev_clean=None, dev_noise=None))


def test_importable_without_numpy() -> None:
    code = "import sys; sys.modules['numpy'] = None; import data_utils.enhancement.settings"
    subprocess.run([sys.executable, "-c", code], check=True)
