"""Mel filters: those of librosa, to the last bit, as older statistics were made with them."""

import numpy as np
import pytest
from librosa.filters import mel

from data_utils.mel import filters


@pytest.mark.filterwarnings("ignore:Empty filters")  # more of them than bins
@pytest.mark.parametrize("num_filters", [8, 26, 40, 80, 128])
@pytest.mark.parametrize(("rate", "n_fft"), [(16000, 320), (16000, 512), (8000, 256)])
def test_they_are_those_of_librosa(rate: int, n_fft: int, num_filters: int) -> None:
    found = filters(rate, n_fft, num_filters)
    assert found.dtype == np.float32
    assert np.array_equal(found, mel(sr=rate, n_fft=n_fft, n_mels=num_filters))
