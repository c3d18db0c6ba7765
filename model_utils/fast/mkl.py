"""What Paddle's own MKL computes, called on NumPy arrays: matrix products, the hyperbolic tangent.

A recurrent layer multiplies a few rows by the same large matrix at every step. An ordinary product
lays the matrix out anew each time it is called, which takes longer than the arithmetic; MKL can
keep it laid out (`cblas_sgemm_pack`), and no operation of Paddle asks for that. It is Paddle's own
copy of the library, so there is one set of threads, which `OMP_NUM_THREADS` counts.
"""

import ctypes
import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

_ROWS, _PLAIN, _TURNED, _PACKED, _SECOND = 101, 111, 112, 151, 162
"""Of MKL's `mkl_cblas.h`: row-major, as it stands, transposed, packed, the second factor."""

_INT, _FLOAT, _POINTER = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "cblas_sgemm": (
        None,
        [_INT] * 6 + [_FLOAT, _POINTER, _INT, _POINTER, _INT, _FLOAT, _POINTER, _INT],
    ),
    "cblas_sgemm_alloc": (_POINTER, [_INT] * 4),
    "cblas_sgemm_pack": (None, [_INT] * 6 + [_FLOAT, _POINTER, _INT, _POINTER]),
    "cblas_sgemm_compute": (
        None,
        [_INT] * 6 + [_POINTER, _INT, _POINTER, _INT, _FLOAT, _POINTER, _INT],
    ),
    "cblas_sgemm_free": (None, [_POINTER]),
    "vmsTanh": (None, [_INT, _POINTER, _POINTER, ctypes.c_int64]),
}

_LOW_ACCURACY = 1
"""Of MKL's `mkl_vml_defines.h`: off by 6e-8 at most in our measurements."""


@functools.cache
def library() -> Any:
    """MKL as Paddle brings it; None where it does not, as on processors other than x86."""
    name = "mklml.dll" if sys.platform == "win32" else "libmklml_intel.so"
    try:
        found = ctypes.CDLL(str(Path(paddle.__file__).parent / "libs" / name))
        for function, (result, arguments) in _SIGNATURES.items():
            getattr(found, function).restype = result
            getattr(found, function).argtypes = arguments
    except (OSError, AttributeError):
        return None
    return found


def multiply(
    a: NDArray[np.float32], b: NDArray[np.float32], out: NDArray[np.float32], *, add: bool = False
) -> None:
    """`out = a @ b`, or with `add` `out += a @ b`; float32 matrices, rows or columns contiguous.

    Args:
        a: [m, k].
        b: [k, n].
        out: [m, n], rows contiguous.
    """
    if not a.size:  # rows of nothing have no layout
        out[:] = out if add else 0
        return
    (turn_a, stride_a), (turn_b, stride_b) = _layout(a), _layout(b)
    (m, k), n = a.shape, b.shape[1]
    assert b.shape == (k, n) and out.shape == (m, n) and out.strides[1] == out.itemsize
    library().cblas_sgemm(
        *(_ROWS, turn_a, turn_b, m, n, k, 1.0, a.ctypes.data, stride_a, b.ctypes.data, stride_b),
        *(float(add), out.ctypes.data, max(n, out.strides[0] // out.itemsize)),
    )


class PackedMatrix:
    """A matrix [k, n] laid out for being multiplied by few rows many times."""

    def __init__(self, matrix: NDArray[np.float32]) -> None:
        self._library = library()
        self.height, self.width = matrix.shape
        turn, stride = _layout(matrix)
        # The rows of the other factor matter little for how it is laid out.
        sizes = (8, self.width, self.height)
        self._packed = self._library.cblas_sgemm_alloc(_SECOND, *sizes)
        self._library.cblas_sgemm_pack(
            _ROWS, _SECOND, turn, *sizes, 1.0, matrix.ctypes.data, stride, self._packed
        )

    def product(self, a: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """`out = a @ matrix`, both contiguous.

        Args:
            a: [m, k], m above 0.
            out: [m, n].
        """
        self._compute(a, out, 0.0)

    def add_product(self, a: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """`out += a @ matrix`, see `product`."""
        self._compute(a, out, 1.0)

    def _compute(self, a: NDArray[np.float32], out: NDArray[np.float32], kept: float) -> None:
        self._library.cblas_sgemm_compute(
            *(_ROWS, _PLAIN, _PACKED, len(a), self.width, self.height),
            *(_address(a), self.height, self._packed, self.width),
            *(kept, _address(out), self.width),
        )

    def __del__(self) -> None:
        self._library.cblas_sgemm_free(self._packed)


def tanh(x: NDArray[np.float32]) -> None:
    """The hyperbolic tangent in place, of a contiguous array with values.

    With two threads 4,096 values took 9 us in place of NumPy's 17, 16,384 values 16 in place of 63.
    """
    library().vmsTanh(x.size, _address(x), _address(x), _LOW_ACCURACY)


def _address(array: NDArray[np.float32]) -> int:
    """Of a contiguous array with values; `array.ctypes.data` takes five times as long, 3 us."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array.data))


def _layout(matrix: NDArray[np.float32]) -> tuple[int, int]:
    """Whether MKL has to read it transposed, and from one line to the next, in values."""
    assert matrix.dtype == np.float32
    rows, columns = (stride // matrix.itemsize for stride in matrix.strides)
    if columns == 1:
        return _PLAIN, max(rows, matrix.shape[1])
    assert rows == 1, "neither rows nor columns are contiguous"
    return _TURNED, max(columns, matrix.shape[0])
