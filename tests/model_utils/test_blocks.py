"""Blocks of what is there as a whole are those that a recording of unknown length is heard in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_utils.stft import Stft
from inference.masking import Masking
from model_utils.blocks import Blocks

BLOCKS = st.builds(
    lambda before, behind, more: Blocks(before + behind + more, before, behind),
    st.integers(0, 6),
    st.integers(0, 6),
    st.integers(1, 9),
)


@given(BLOCKS, st.lists(st.integers(1, 80), min_size=1, max_size=4), st.integers(0, 5))
def test_they_are_those_of_inference(blocks: Blocks, lengths: list[int], more: int) -> None:
    masking = Masking(Stft(64, 16, 64), 8000, ("a",), blocks)
    longest = max(lengths) + more
    found = blocks.block_of(np.array(lengths), longest)
    counts = blocks.count(np.array(lengths))
    assert found.shape == (len(lengths), longest)
    for row, length in enumerate(lengths):
        frames = np.arange(length, dtype=np.float32)[:, np.newaxis]
        heard = list(masking.divided([frames]))
        assert len(heard) == counts[row]
        for number, (block, first, last) in enumerate(heard):
            assert block[0, 0] == number * blocks.step
            for frame in block[first:last, 0].astype(int):
                assert found[row, frame] == number
