"""Blocks come back within what their dtype can hold; the bounds are those of the number formats."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from data_utils.audio import AudioError
from data_utils.shards import Field, Layout

COLUMNS = 3


def layout(dtype: str, *scales: str) -> Layout:
    fields = {f"field{i}": Field(COLUMNS, scale) for i, scale in enumerate(scales)}  # type: ignore[arg-type]
    return Layout(fields, dtype, num_variants=1, items=1, items_per_shard=1)  # type: ignore[arg-type]


def there_and_back(form: Layout, *values: np.ndarray) -> list[np.ndarray]:
    block, spans = form.encode(dict(zip(form.fields, values, strict=True)))
    itemsize = {"uint8": 1, "float16": 2, "float32": 4}[form.store_dtype]
    assert len(block) == sum(value.size for value in values) * itemsize
    found = form.decode(block, np.reshape(spans, (-1, 2)))
    assert list(found) == list(form.fields)
    assert all(value.dtype == np.float32 for value in found.values())
    return list(found.values())


def examples(elements: st.SearchStrategy[float]) -> st.SearchStrategy[np.ndarray]:
    shapes = array_shapes(min_dims=1, max_dims=1).map(lambda shape: (*shape, COLUMNS))
    return arrays(np.float32, shapes, elements=elements)


FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Far above the least float32, so that the levels below them are as exact as any.
MAGNITUDES = st.just(0.0) | st.floats(2.0**-60, 2.0**60, width=32)


@given(examples(FINITE))
def test_float32_keeps_every_bit(values: np.ndarray) -> None:
    [found] = there_and_back(layout("float32", "linear"), values)
    assert found.tobytes() == values.tobytes()


@given(examples(FINITE))
def test_float16_rounds_to_its_eleven_bits_and_clips(values: np.ndarray) -> None:
    [found] = there_and_back(layout("float16", "linear"), values)
    exact = np.clip(values.astype(np.float64), -65504, 65504)
    # Half a unit in the last place: of 11 bits, or of the fixed steps of 2^-24 below 2^-14.
    assert np.all(np.abs(found - exact) <= np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25))


@given(examples(FINITE))
def test_uint8_is_off_by_half_a_step(values: np.ndarray) -> None:
    [found] = there_and_back(layout("uint8", "linear"), values)
    low, high = float(values.min()), float(values.max())
    rounding = 2.0**-23 * max(abs(low), abs(high)) + 2.0**-149  # of float32
    assert np.all(np.abs(found.astype(np.float64) - values) <= (high - low) / 510 + rounding)


@given(examples(MAGNITUDES))
def test_uint8_in_decibels_is_off_by_half_a_step_of_at_most_0_4_db(values: np.ndarray) -> None:
    [found] = there_and_back(layout("uint8", "decibel"), values)
    if not values.any():
        assert not found.any()
        return
    decibels = 20 * np.log10(np.maximum(values.astype(np.float64), 1e-30))
    floor = max(decibels.max() - 100, decibels.min())
    wanted = np.maximum(decibels, floor)
    step = (decibels.max() - floor) / 255
    assert step <= 0.4
    assert np.all(np.abs(20 * np.log10(found.astype(np.float64)) - wanted) <= step / 2 + 1e-5)


@pytest.mark.parametrize("scale", ["linear", "decibel"])
@pytest.mark.parametrize("value", [0.0, 7.25])
def test_uint8_keeps_a_constant(scale: str, value: float) -> None:
    values = np.full((4, COLUMNS), value, np.float32)
    [found] = there_and_back(layout("uint8", scale), values)
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32"])
def test_fields_stay_apart(dtype: str) -> None:
    # Each has its own levels: the small one would be lost among those of the large one.
    small = np.linspace(0, 1e-3, 12, dtype=np.float32).reshape(4, COLUMNS)
    large = np.linspace(0, 1e3, 12, dtype=np.float32).reshape(4, COLUMNS)
    found = there_and_back(layout(dtype, "linear", "linear"), small, large)
    np.testing.assert_allclose(found[0], small, atol=1e-3 / 500)
    np.testing.assert_allclose(found[1], large, atol=1e3 / 500)


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32"])
def test_no_rows(dtype: str) -> None:
    [found] = there_and_back(layout(dtype, "decibel"), np.zeros((0, COLUMNS), np.float32))
    assert found.shape == (0, COLUMNS)


def test_a_block_is_as_described() -> None:
    fields = {"a": Field(2), "b": Field(1)}
    form = Layout(fields, "float16", num_variants=1, items=1, items_per_shard=1)
    a, b = np.array([[1, 2], [4, 5]], np.float32), np.array([[3], [6]], np.float32)
    block, spans = form.encode({"b": b, "a": a})
    assert np.frombuffer(block, "<f2").tolist() == [1, 2, 3, 4, 5, 6] and spans == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32"])
def test_what_is_not_finite_is_refused(dtype: str, bad: float) -> None:
    values = np.ones((4, COLUMNS), np.float32)
    values[2, 1] = bad
    with pytest.raises(AudioError, match="field0 with values that are not finite"):
        layout(dtype, "linear").encode({"field0": values})


@given(st.integers(1, 50), st.integers(1, 60), st.integers(1, 4))
def test_every_example_has_one_place(items: int, items_per_shard: int, variants: int) -> None:
    form = Layout({"a": Field(1)}, "float16", variants, items, items_per_shard)
    found = [example for shard in range(form.shards) for example in form.examples_of(shard)]
    assert found == [(item, variant) for item in range(items) for variant in range(variants)]
    for item, variant in found:
        shard, entry = form.place(item, variant)
        assert form.examples_of(shard)[entry] == (item, variant)
        assert item in form.items_of(shard)
