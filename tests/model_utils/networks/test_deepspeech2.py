"""The whole network, in every combination of its settings."""

import itertools

import numpy as np
import paddle
import pytest

from model_utils.networks.conv import frame_mask
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.networks.rnn import count_parameters
from model_utils.settings import NetworkSettings

BINS, CLASSES = 7, 6
LENGTHS = np.array([31, 4, 18])


@pytest.mark.parametrize(
    ("cell", "direction", "norm", "num_conv_layers"),
    itertools.product(
        ["gru", "lstm", "rnn"], ["bidirectional", "forward"], ["layer", "batch"], [1, 2, 3]
    ),
)
def test_every_combination(cell: str, direction: str, norm: str, num_conv_layers: int) -> None:
    paddle.seed(7)
    settings = NetworkSettings(
        num_conv_layers=num_conv_layers,
        conv_channels=3,
        num_rnn_layers=2,
        rnn_layer_size=4,
        rnn_type=cell,
        rnn_direction=direction,
        lookahead=2,
        rnn_norm=norm,
    )
    network = DeepSpeech2(BINS, CLASSES, settings)
    x = np.random.default_rng(1).normal(0, 1, (3, 31, BINS)).astype("float32")
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 50.0

    logits, lengths = network(paddle.to_tensor(x), paddle.to_tensor(LENGTHS))
    assert lengths.numpy().tolist() == [11, 2, 6]
    assert logits.shape == [3, 11, CLASSES]
    (logits * frame_mask(lengths, 11).unsqueeze(-1)).square().sum().backward()
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and np.isfinite(gradient.numpy()).all(), name
        assert gradient.numpy().any(), f"{name} learns nothing"

    network.eval()
    with paddle.no_grad():
        together, _ = network(paddle.to_tensor(x), paddle.to_tensor(LENGTHS))
        for row, length in enumerate(LENGTHS):
            alone = paddle.to_tensor(x[row : row + 1, :length])
            expected, valid = network(alone, paddle.to_tensor([length]))
            kept = int(valid[0])
            assert np.allclose(together[row, :kept].numpy(), expected[0].numpy(), atol=1e-5)


def closed_form(bins: int, classes: int, size: int) -> int:
    """Parameters of the default network: two convolutions, three BiGRU, one output layer."""
    convolutions = 32 * 1 * 41 * 11 + 32 * 32 * 21 * 11 + 2 * (32 + 32)
    left = -(-bins // 2)
    left = -(-left // 2)  # strides of 2 over frequency
    widths = [32 * left, 2 * size, 2 * size]
    # A GRU has three gates, each with weights for input and state and two biases.
    recurrent = sum(2 * 3 * (width * size + size * size + 2 * size) for width in widths)
    norms = sum(2 * width for width in [*widths, 2 * size])
    return convolutions + recurrent + norms + 2 * size * classes + classes


@pytest.mark.parametrize("size", [256, 1024])
def test_number_of_parameters(size: int) -> None:
    network = DeepSpeech2(161, 4301, NetworkSettings(rnn_layer_size=size))
    assert count_parameters(network) == closed_form(161, 4301, size)
