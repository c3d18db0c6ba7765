"""Sizes of the convolutions, what they compute, and that padding never counts."""

import numpy as np
import paddle
import pytest
from scipy.signal import correlate2d

from model_utils.networks.conv import (
    Convolution,
    ConvolutionStack,
    bucket,
    frame_mask,
    output_bins,
    output_frames,
    time_taps,
)
from model_utils.settings import NetworkSettings


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_output_frames_are_exact_for_every_length(num_layers: int) -> None:
    stack = ConvolutionStack(1, 1, num_layers)
    stack.eval()
    reduction = NetworkSettings(num_conv_layers=num_layers).time_reduction
    for frames in range(1, 201):
        y, lengths = stack(paddle.ones([1, frames, 1]), paddle.to_tensor([frames]))
        expected = -(-frames // reduction)
        assert (y.shape[1], int(lengths[0]), output_frames(frames, num_layers)) == (expected,) * 3


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_output_width_is_exact_for_every_number_of_bins(num_layers: int) -> None:
    for bins in range(1, 201):
        stack = ConvolutionStack(bins, 2, num_layers)
        y, _ = stack(paddle.ones([1, 1, bins]), paddle.to_tensor([1]))
        assert y.shape[2] == stack.output_width == 2 * output_bins(bins, num_layers)


@pytest.mark.parametrize("frames", [1, 2, 3, 16, 31])
def test_the_first_convolution_is_41x11_with_stride_2x3(frames: int) -> None:
    """As in the paper's table 1, by SciPy: its kernel's frames are channels here."""
    bins = 9
    rng = np.random.default_rng(frames)
    features = rng.normal(size=(2, frames, bins)).astype("float32")
    convolution = Convolution(3, layer=0)
    y = convolution(time_taps(paddle.to_tensor(features))).numpy()
    for item in range(2):
        wave = np.pad(features[item].T, ((20, 20), (5, 5)))
        for channel in range(3):
            kernel = convolution.conv.weight.numpy()[channel, :, :, 0].T
            assert kernel.shape == (41, 11)
            expected = correlate2d(wave, kernel, mode="valid")[::2, ::3]
            assert np.allclose(y[item, channel], expected, atol=1e-5)


def test_frame_mask() -> None:
    mask = frame_mask(paddle.to_tensor([2, 0, 3]), 3).numpy()
    assert mask.tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]


def _features(lengths: np.ndarray, bins: int, padding: float) -> np.ndarray:
    """Utterance i is the same whatever the batch; the padding holds large noise."""
    batch = np.random.default_rng(9).normal(0, 1, (len(lengths), max(lengths), bins)) * padding
    for row, length in enumerate(lengths):
        batch[row, :length] = np.random.default_rng(int(length)).normal(0, 1, (length, bins))
    return batch.astype("float32")


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_batch_mates_and_padding_change_nothing_in_evaluation(
    num_layers: int, compiled: bool
) -> None:
    stack = ConvolutionStack(13, 3, num_layers, compile_convolutions=compiled)
    stack(paddle.randn([2, 40, 13]), paddle.to_tensor([40, 40]))  # statistics other than 0 and 1
    stack.eval()
    lengths = np.array([50, 1, 17, 30])
    with paddle.no_grad():
        batch = paddle.to_tensor(_features(lengths, 13, padding=100.0))
        together, output_lengths = stack(batch, paddle.to_tensor(lengths))
        for row, length in enumerate(lengths):
            alone = paddle.to_tensor(_features(lengths[row : row + 1], 13, padding=0.0))
            expected, _ = stack(alone, paddle.to_tensor([length]))
            valid = int(output_lengths[row])
            assert expected.shape[1] == valid == -(-length // 3)
            assert np.allclose(together[row, :valid].numpy(), expected[0].numpy(), atol=1e-5)
            assert not together[row, valid:].numpy().any()


def test_buckets_are_few_and_little_larger() -> None:
    sizes = [bucket(frames) for frames in range(1, 4097)]
    assert sizes == sorted(sizes)
    assert all(n <= size <= n * 9 / 8 for n, size in enumerate(sizes, start=1))
    assert len({size for size in sizes if 1024 < size <= 2048}) == 8


@pytest.mark.parametrize("frames", [1, 16, 17, 65, 72, 131])
def test_compiled_convolutions_pad_to_buckets_unseen(frames: int) -> None:
    stacks = [ConvolutionStack(13, 3, 2, compile_convolutions=c) for c in (False, True)]
    stacks[1].set_state_dict(stacks[0].state_dict())
    x = paddle.to_tensor(_features(np.array([frames]), 13, padding=0.0))
    plain, fast = (stack(x, paddle.to_tensor([frames])) for stack in stacks)
    assert plain[0].shape == fast[0].shape == [1, -(-frames // 3), stacks[0].output_width]
    assert plain[1].tolist() == fast[1].tolist()
    assert np.allclose(plain[0].numpy(), fast[0].numpy(), atol=1e-4)


def test_longer_padding_changes_no_statistics_in_training() -> None:
    stacks = [ConvolutionStack(13, 3, 2) for _ in range(2)]
    stacks[1].set_state_dict(stacks[0].state_dict())
    lengths = np.array([20, 14])
    short = _features(lengths, 13, padding=0.0)
    long = np.pad(short, [(0, 0), (0, 31), (0, 0)], constant_values=50.0)
    short_y, valid = stacks[0](paddle.to_tensor(short), paddle.to_tensor(lengths))
    long_y, _ = stacks[1](paddle.to_tensor(long), paddle.to_tensor(lengths))
    for row in range(2):
        kept = int(valid[row])
        assert np.allclose(short_y[row, :kept].numpy(), long_y[row, :kept].numpy(), atol=1e-5)
    for name, value in stacks[0].state_dict().items():
        assert np.allclose(value.numpy(), stacks[1].state_dict()[name].numpy(), atol=1e-6), name
