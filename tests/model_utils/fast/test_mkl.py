"""What Paddle's MKL computes, against NumPy in float64."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_utils.fast import mkl
from model_utils.fast.memory import values
from model_utils.fast.mkl import PackedMatrix, multiply, tanh

if mkl.library() is None:
    pytest.skip("this Paddle has no MKL", allow_module_level=True)

sizes = st.integers(1, 40)


def matrix(rng: np.random.Generator, rows: int, columns: int, turned: bool, gap: int) -> np.ndarray:
    """Random; transposed in memory or not, its lines apart by `gap` values."""
    lines = (columns, rows) if turned else (rows, columns)
    memory = rng.standard_normal((lines[0], lines[1] + gap)).astype("float32")[:, gap:]
    return memory.T if turned else memory


@settings(deadline=None, max_examples=60)
@given(sizes, sizes, sizes, st.tuples(*[st.booleans()] * 3), st.integers(0, 3))
def test_multiply(m: int, k: int, n: int, choices: tuple[bool, ...], gap: int) -> None:
    rng = np.random.default_rng(m)
    turn_a, turn_b, add = choices
    a, b = matrix(rng, m, k, turn_a, gap), matrix(rng, k, n, turn_b, gap)
    out = matrix(rng, m, n, False, gap)
    expected = a.astype("float64") @ b + (out if add else 0)
    around = out.base.copy()
    multiply(a, b, out, add=add)
    assert np.allclose(out, expected, atol=1e-5)
    assert np.array_equal(out.base[:, :gap], around[:, :gap]), "written beside the matrix"


@settings(deadline=None, max_examples=60)
@given(sizes, sizes, sizes, st.booleans(), st.integers(0, 3))
def test_a_packed_matrix(m: int, k: int, n: int, turned: bool, gap: int) -> None:
    rng = np.random.default_rng(m)
    b = matrix(rng, k, n, turned, gap)
    packed, value = PackedMatrix(b), b.astype("float64")
    b[:] = np.nan  # it is a copy
    for rows in (m, 1):
        a, out = (matrix(rng, rows, width, False, 0) for width in (k, n))
        product = a.astype("float64") @ value
        expected = out + product
        packed.add_product(a, out)
        assert np.allclose(out, expected, atol=1e-5)
        out[:] = np.nan  # what stood there does not matter
        packed.product(a, out)
        assert np.allclose(out, product, atol=1e-5)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.floats(0.01, 30))
def test_tanh(size: int, scale: float) -> None:
    x = (np.random.default_rng(size).standard_normal(size) * scale).astype("float32")
    x[::7], x[::11] = 0.0, np.inf
    expected = np.tanh(x.astype("float64"))
    tanh(x)
    assert np.abs(x - expected).max() < 2e-7
    x[0] = np.nan
    tanh(x)
    assert np.isnan(x[0])


def test_values_are_the_memory_of_the_tensor() -> None:
    tensor = paddle.arange(6, dtype="float32").reshape([2, 3])
    seen = values(tensor)
    assert seen.tolist() == [[0, 1, 2], [3, 4, 5]]
    seen[1, 2] = 7
    assert tensor.numpy()[1, 2] == 7
    elsewhere = SimpleNamespace(  # on a GPU, say
        place=SimpleNamespace(is_cpu_place=lambda: False),
        dtype=paddle.float32,
        is_contiguous=lambda: True,
        size=1,
        shape=[1],
        data_ptr=tensor.data_ptr,
    )
    for refused in (tensor.astype("float64"), paddle.arange(3), elsewhere):
        with pytest.raises(AssertionError):
            values(refused)
