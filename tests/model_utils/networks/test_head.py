"""The head of DeepSpeech2: the mean of an utterance's own frames, and nothing else is changed."""

import numpy as np
import paddle
import pytest

from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.networks.head import UtteranceHead
from model_utils.settings import NetworkSettings

BINS, TOKENS, CLASSES = 7, 6, 3
LENGTHS = np.array([31, 4, 18])


def build(head: int = 0, **sizes: object) -> DeepSpeech2:
    small = {"conv_channels": 2, "num_rnn_layers": 1, "rnn_layer_size": 4, "lookahead": 2}
    paddle.seed(7)
    return DeepSpeech2(BINS, TOKENS, NetworkSettings(**{**small, **sizes}), False, head)


def features() -> np.ndarray:
    x = np.random.default_rng(1).normal(0, 1, (3, 31, BINS)).astype("float32")
    for row, length in enumerate(LENGTHS):
        x[row, length:] = 50.0
    return x


def test_it_is_the_mean_of_valid_frames_and_a_matrix() -> None:
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(0, 1, (3, 9, 5)).astype("float32"), np.array([9, 1, 4])
    for row, length in enumerate(lengths):
        x[row, length:] = 0
    head = UtteranceHead(5, CLASSES)
    weight, bias = head.linear.weight.numpy(), head.linear.bias.numpy()
    scores = head(paddle.to_tensor(x), paddle.to_tensor(lengths)).numpy()
    for row, length in enumerate(lengths):
        expected = x[row, :length].mean(axis=0) @ weight + bias
        assert np.allclose(scores[row], expected, atol=1e-5)


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("direction", ["bidirectional", "forward"])
def test_neither_padding_nor_batch_mates_matter(norm: str, direction: str) -> None:
    network = build(CLASSES, rnn_norm=norm, rnn_direction=direction)
    network.outputs(paddle.to_tensor(features()), paddle.to_tensor(LENGTHS))  # for statistics
    network.eval()
    with paddle.no_grad():
        x = features()
        _, _, together = network.outputs(paddle.to_tensor(x), paddle.to_tensor(LENGTHS))
        assert together is not None and together.shape == [3, CLASSES]
        for row, length in enumerate(LENGTHS):
            alone = paddle.to_tensor(x[row : row + 1, :length])
            _, _, expected = network.outputs(alone, paddle.to_tensor([length]))
            assert np.allclose(together[row].numpy(), expected[0].numpy(), atol=1e-5)


def test_all_other_weights_and_outputs_are_those_of_a_network_without() -> None:
    without, with_head = build(), build(CLASSES)
    own, others = without.state_dict(), with_head.state_dict()
    assert others.keys() - own.keys() == {"head.linear.weight", "head.linear.bias"}
    for name, value in own.items():
        assert np.array_equal(value.numpy(), others[name].numpy()), name
    given = paddle.to_tensor(features()), paddle.to_tensor(LENGTHS)
    plain, _, nothing = without.outputs(*given)
    logits, _, scores = with_head.outputs(*given)
    assert nothing is None and scores is not None
    for other in (logits, without(*given)[0], with_head(*given)[0]):
        assert np.array_equal(plain.numpy(), other.numpy())


def test_an_utterance_without_a_frame_is_no_nan() -> None:
    network = build(CLASSES)
    _, _, scores = network.outputs(
        paddle.zeros([1, 1, BINS]), paddle.to_tensor(np.zeros(1, np.int64))
    )
    assert scores is not None and np.isfinite(scores.numpy()).all()
