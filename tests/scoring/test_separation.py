"""Ratios of estimates whose parts are known: white signals, in which filters find nothing."""

import math
import sys

import numpy as np
import pytest

from data_utils.errors import InputError
from scoring.separation import bss_eval

SAMPLES = 40_000
TAPS = 512


def white(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, SAMPLES)).astype(np.float32)


@pytest.mark.parametrize("gain", [0.5, 0.1])
def test_a_wrong_level_is_spatial_distortion_alone(gain: float) -> None:
    references = white(0)
    for score in bss_eval(gain * references, references):
        assert score.sdr == pytest.approx(-20 * math.log10(1 - gain), abs=1e-3)
        assert score.isr == pytest.approx(score.sdr, abs=1e-3)
        assert min(score.sir, score.sar) > 80


@pytest.mark.parametrize("level_db", [-10.0, -20.0])
def test_the_other_stem_is_interference(level_db: float) -> None:
    references = white(1)
    leak = 10 ** (level_db / 20)
    for score in bss_eval(references + leak * references[::-1], references):
        assert score.sdr == pytest.approx(-level_db, abs=0.1)
        assert score.sir == pytest.approx(-level_db, abs=0.2)
        assert score.sar > 80 and score.isr > 25


@pytest.mark.parametrize("level_db", [-10.0, -20.0])
def test_what_comes_from_no_stem_is_an_artefact(level_db: float) -> None:
    """But for what 2 x 512 taps explain of noise by chance."""
    references = white(2)
    noise = 10 ** (level_db / 20) * white(3)
    by_chance = 2 * TAPS / SAMPLES
    for score in bss_eval(references + noise, references):
        assert score.sdr == pytest.approx(-level_db, abs=0.1)
        expected = -level_db - 10 * math.log10(1 - by_chance)
        assert score.sar == pytest.approx(expected, abs=0.15)
        assert score.sir > -level_db + 10 and score.isr > -level_db + 10


def test_a_filtered_stem_keeps_its_sir_and_sar() -> None:
    references = white(4)
    filtered = np.stack([np.convolve(wave, [0.8, 0.3])[:SAMPLES] for wave in references])
    for score in bss_eval(filtered, references):
        assert min(score.sir, score.sar) > 40  # the last taps run over the end
        assert score.isr == pytest.approx(10 * math.log10(1 / (0.2**2 + 0.3**2)), abs=0.1)


def test_each_stem_has_the_score_of_its_own_estimate() -> None:
    references = white(5)
    first, second = bss_eval(references * np.array([[1.0], [0.5]]), references)
    assert first.sdr > 80 and second.sdr == pytest.approx(6.02, abs=0.01)


def test_stems_are_not_reordered() -> None:
    references = white(6)
    assert all(score.sdr < 0 for score in bss_eval(references[::-1], references))


@pytest.mark.parametrize("silent", ["estimates", "references"])
def test_silence_has_no_score(silent: str) -> None:
    sounds = {"estimates": white(7), "references": white(7)}
    sounds[silent][1] = 0
    for score in bss_eval(**sounds):
        assert all(map(math.isnan, (score.sdr, score.sir, score.sar, score.isr)))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(2, 40000\) and references \(2, 39999\) differ"):
        bss_eval(white(0), white(0)[:, 1:])


def test_nothing_is_said_of_the_library(recwarn: pytest.WarningsRecorder) -> None:
    bss_eval(white(8), white(9))
    assert not list(recwarn)


def test_without_the_library_the_line_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mir_eval.separation", None)
    with pytest.raises(InputError, match=r"pip install 'mir_eval<0\.9'"):
        bss_eval(white(0), white(0))
