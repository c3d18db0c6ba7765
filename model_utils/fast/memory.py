"""The memory of Paddle's tensors on CPU as NumPy arrays, read and written in place."""

import ctypes
import math

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor


def values(tensor: Tensor) -> NDArray[np.float32]:
    """The memory of a float32 tensor on CPU."""
    assert tensor.place.is_cpu_place(), "its pointer is of another device"
    assert tensor.dtype == paddle.float32 and tensor.is_contiguous()
    shape = tensor.shape
    size = math.prod(shape)  # Paddle's own takes longer than all the rest here
    if not size:
        return np.empty(shape, "float32")  # has no address
    memory = (ctypes.c_float * size).from_address(tensor.data_ptr())
    memory.of = tensor  # lives as long as the array
    return np.frombuffer(memory, "float32").reshape(shape)
