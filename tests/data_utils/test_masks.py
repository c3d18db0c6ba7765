"""Masks by their definitions, unit by unit, and by what they do to mixtures."""

import cmath
import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.enhancement.settings import MaskName
from data_utils.masks import ideal_mask

NAMES = get_args(MaskName)
PART = st.one_of(
    st.just(0.0), st.floats(-1e4, 1e4, width=32), st.floats(-(2.0**-130), 2.0**-130, width=32)
)
UNIT = st.builds(complex, PART, PART)


def one(name: MaskName, clean: complex, noise: complex) -> float:
    mask = ideal_mask(name, np.array([[clean]], "c8"), np.array([[noise]], "c8"))
    assert mask.shape == (1, 1) and mask.dtype == np.float32
    return float(mask[0, 0])


def by_definition(name: str, clean: complex, noise: complex) -> float:
    """In Python's numbers; the phase-sensitive one by the angle between speech and mixture."""
    speech, other = abs(clean), abs(noise)
    if name == "ibm":
        return float(speech > other)
    if speech == other == 0:
        return 0.0
    if name == "irm":
        return math.sqrt(1 / (1 + (other / speech) ** 2)) if speech > 1e-12 * other else 0.0
    if name == "ratio":
        return math.sqrt((speech / (speech + other)) ** 2)
    mixture = clean + noise
    if mixture == 0 or speech == 0:
        return 0.0
    angle = cmath.phase(clean) - cmath.phase(mixture)
    return min(1.0, max(0.0, speech / abs(mixture) * math.cos(angle)))


@pytest.mark.parametrize("name", NAMES)
@given(clean=UNIT, noise=UNIT)
def test_each_unit_is_its_definition(name: MaskName, clean: complex, noise: complex) -> None:
    found = one(name, clean, noise)
    assert 0.0 <= found <= 1.0
    if name == "ibm" and math.isclose(abs(clean), abs(noise), rel_tol=1e-6, abs_tol=1e-44):
        return  # which of the two is larger is a matter of rounding
    tolerance = 1e-5
    if 0 < max(abs(clean), abs(noise)) < 1e-36:
        tolerance = 0.5  # numbers of few digits
    assert found == pytest.approx(by_definition(name, clean, noise), abs=tolerance)


@pytest.mark.parametrize(
    ("name", "expected"), [("irm", 0.6), ("ratio", 3 / 7), ("ibm", 0.0), ("psm", 9 / 25)]
)
def test_speech_of_3_and_noise_of_4_at_a_right_angle(name: MaskName, expected: float) -> None:
    assert one(name, 3, 4j) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"), [("irm", 0.8), ("ratio", 4 / 7), ("ibm", 1.0), ("psm", 1.0)]
)
def test_speech_of_4_and_noise_of_3_against_it(name: MaskName, expected: float) -> None:
    # The mixture is 1: more than all of it is wanted, and the mask stops at 1.
    assert one(name, 4, -3) == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
def test_edges(name: MaskName) -> None:
    assert one(name, 0, 0) == 0.0
    assert one(name, 1, 0) == 1.0
    assert one(name, 0, 1) == 0.0
    assert one(name, 1, -1) == {"irm": pytest.approx(0.5**0.5), "ratio": 0.5}.get(name, 0.0)


def test_the_phase_sensitive_mask_errs_least_of_all_that_keep_the_phase() -> None:
    rng = np.random.default_rng(0)
    clean, noise = (rng.normal(size=(2, 40, 9, 2)) @ [1, 1j]).astype("c8")
    mixture = clean + noise

    def error(mask: np.ndarray) -> float:
        return float(np.sum(np.abs(mask * mixture - clean) ** 2))

    best = ideal_mask("psm", clean, noise)
    assert all(error(best) < error(ideal_mask(name, clean, noise)) for name in NAMES[:3])
    for step in (-0.01, 0.01):
        assert error(np.clip(best + step, 0, 1)) > error(best)


@pytest.mark.parametrize("name", NAMES)
def test_inputs_stay_and_loudness_does_not_matter(name: MaskName) -> None:
    rng = np.random.default_rng(1)
    clean, noise = (rng.normal(size=(2, 7, 5, 2)) @ [1, 1j]).astype("c8")
    before = clean.copy(), noise.copy()
    mask = ideal_mask(name, clean, noise)
    assert np.array_equal(clean, before[0]) and np.array_equal(noise, before[1])
    assert np.allclose(ideal_mask(name, clean / 8, noise / 8), mask, atol=1e-6)
