"""What changed is named, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.fingerprint import differences

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NAMES = st.sampled_from("abc")
NESTED = st.recursive(
    VALUES | st.lists(VALUES, max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
FINGERPRINTS = st.dictionaries(NAMES, NESTED, max_size=3)


@given(FINGERPRINTS)
def test_what_went_through_a_file_is_the_same(values: dict) -> None:
    assert differences(json.loads(json.dumps(values)), values) == []


@given(FINGERPRINTS, VALUES, VALUES)
def test_one_more_value_is_the_one_difference(values: dict, was: object, now: object) -> None:
    found = differences({**values, "x": {"y": was}}, {**values, "x": {"y": now}})
    assert found == ([] if was == now else [f"x.y {was} where {now} is wanted"])


@pytest.mark.parametrize(
    ("found", "wanted", "said"),
    [
        ({"hop_ms": 10.0}, {"hop_ms": 12.5}, ["hop_ms 10.0 where 12.5 is wanted"]),
        ({"snrs": (-5, 0)}, {"snrs": (-5, 0, 5)}, ["snrs -5,0 where -5,0,5 is wanted"]),
        ({"a": 1}, {"a": 1, "b": None}, ["no b where None is wanted"]),
        ({"a": 1, "b": {"c": 2}}, {"a": 1}, ["b.c 2 where none is wanted"]),
        ({"manifest": "0f" * 32}, {"manifest": "1e" * 32}, ["another manifest"]),
        (
            {"effects": [{"type": "noise", "prob": 0.5}]},
            {"effects": [{"type": "noise", "prob": 1.0}, {"type": "speed"}]},
            ["effects.0.prob 0.5 where 1.0 is wanted", "no effects.1.type where speed is wanted"],
        ),
        ({}, {}, []),
    ],
)
def test_both_values_are_told(found: dict, wanted: dict, said: list[str]) -> None:
    assert differences(found, wanted) == said
