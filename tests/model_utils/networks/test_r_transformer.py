"""Mask networks: by their definitions, causal, and blind to padding and batch mates."""

import dataclasses
import math
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from data_utils.enhancement.settings import SpectrumSettings
from data_utils.errors import InputError
from model_utils.networks import r_transformer
from model_utils.networks.r_transformer import (
    CausalAttention,
    LocalRnn,
    MaskNetwork,
    Residual,
    log_levels,
)
from model_utils.networks.rnn import count_parameters
from model_utils.networks.settings import MaskNetworkSettings, complete

LAYERS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "RNN": nn.SimpleRNN}
SPECTRUM = SpectrumSettings(n_fft=16, hop_length=8, win_length=16)  # 9 bins
SMALL = MaskNetworkSettings(d_model=8, h=2, n_level=2, dropout=0.0, emb_dropout=0.0)
NETWORKS = ["rt", "zrt", "lstm"]
FRAMES = np.array([11, 1, 6])


def build(**changes: Any) -> MaskNetwork:
    paddle.seed(5)
    return MaskNetwork(complete(dataclasses.replace(SMALL, **changes), SPECTRUM))


def magnitudes(padding: float = 0.0) -> np.ndarray:
    x = np.abs(np.random.default_rng(5).normal(0, 1, (3, 11, 9)))
    valid = np.arange(11) < FRAMES[:, None]
    return np.where(valid[:, :, None], x, padding).astype("float32")


def masks(network: MaskNetwork, x: np.ndarray, frames: np.ndarray | None = None) -> np.ndarray:
    frames = np.full(len(x), x.shape[1]) if frames is None else frames
    with paddle.no_grad():
        return network(paddle.to_tensor(x), paddle.to_tensor(frames)).numpy()


# Local recurrence


@pytest.mark.parametrize("rnn_type", LAYERS)
@pytest.mark.parametrize("ksize", [2, 3, 5])
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_local_recurrence_is_paddles_own_run_over_each_window(
    rnn_type: str, ksize: int, frames: int
) -> None:
    local = LocalRnn(rnn_type, 6, ksize)
    layer = LAYERS[rnn_type](6, 6)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(layer, f"{name}_l0").set_value(getattr(local.cell, name))
    x = paddle.randn([2, frames, 6])
    x.stop_gradient = False
    found = local(x)
    scale = paddle.randn(found.shape)
    (found * scale).sum().backward()
    own = {name: p.grad.numpy().copy() for name, p in local.cell.named_parameters()}
    own["x"] = x.grad.numpy().copy()
    x.clear_gradient()
    padded = paddle.concat([paddle.zeros([2, ksize - 1, 6]), x], axis=1)
    expected = paddle.stack(
        [layer(padded[:, frame : frame + ksize])[0][:, -1] for frame in range(frames)], axis=1
    )
    (expected * scale).sum().backward()
    assert np.allclose(found.numpy(), expected.numpy(), atol=1e-6)
    assert np.allclose(own["x"], x.grad.numpy(), atol=1e-5)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        assert np.allclose(own[name], getattr(layer, f"{name}_l0").grad.numpy(), atol=1e-4), name


# Attention


def attention_by_hand(layer: CausalAttention, x: np.ndarray) -> np.ndarray:
    """Frame by frame and head by head."""

    def linear(part: nn.Linear, values: np.ndarray) -> np.ndarray:
        return values @ part.weight.numpy().astype("f8") + part.bias.numpy()

    batch, frames, width = x.shape
    size = width // layer.heads
    queries, keys, values = (linear(part, x) for part in (layer.query, layer.key, layer.value))
    read = np.zeros_like(queries)
    for item, frame, head in np.ndindex(batch, frames, layer.heads):
        own = slice(head * size, (head + 1) * size)
        scores = keys[item, : frame + 1, own] @ queries[item, frame, own] / math.sqrt(size)
        weights = np.exp(scores - scores.max())
        read[item, frame, own] = weights @ values[item, : frame + 1, own] / weights.sum()
    return linear(layer.output, read)


@pytest.mark.parametrize("scores", [1, 50, 100, 1 << 21])
def test_attention_is_its_formula_in_blocks_of_any_size(
    scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(r_transformer, "SCORES", scores)
    layer = CausalAttention(6, 2, 0.0)
    x = paddle.randn([2, 13, 6])
    assert np.allclose(layer(x).numpy(), attention_by_hand(layer, x.numpy()), atol=1e-5)


def test_blocks_of_attention_have_the_gradients_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = CausalAttention(6, 2, 0.0)
    x = paddle.randn([2, 13, 6])
    x.stop_gradient = False
    gradients = []
    for scores in (1 << 21, 60):
        monkeypatch.setattr(r_transformer, "SCORES", scores)
        layer(x).square().sum().backward()
        gradients.append([t.grad.numpy().copy() for t in (x, *layer.parameters())])
        x.clear_gradient()
        layer.clear_gradients()
    assert all(np.allclose(*pair, atol=1e-4) for pair in zip(*gradients, strict=True))


def test_a_recording_of_a_minute_never_holds_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = []
    softmax = r_transformer.functional.softmax
    monkeypatch.setattr(
        r_transformer.functional,
        "softmax",
        lambda scores: largest.append(int(np.prod(scores.shape))) or softmax(scores),
    )
    layer = CausalAttention(4, 2, 0.1)
    layer.eval()
    with paddle.no_grad():
        assert layer(paddle.randn([1, 6000, 4])).shape == [1, 6000, 4]
    assert max(largest) <= r_transformer.SCORES < 2 * 6000**2


# The whole


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rnn_type", LAYERS)
def test_later_frames_change_nothing(network: str, rnn_type: str) -> None:
    network_ = build(network=network, rnn_type=rnn_type)
    network_.eval()
    x = magnitudes()[:1]
    before = masks(network_, x)
    for frame in range(11):
        changed = x.copy()
        changed[0, frame] += 3.0
        moved = np.abs(masks(network_, changed) - before).max(axis=(0, 2)) > 1e-6
        assert not moved[:frame].any() and moved[frame]


@pytest.mark.parametrize("network", NETWORKS)
def test_alone_and_in_a_batch(network: str) -> None:
    network_ = build(network=network)
    network_.eval()
    x = magnitudes(padding=1e3)
    together = masks(network_, x, FRAMES)
    for row, frames in enumerate(FRAMES):
        assert np.allclose(
            together[row, :frames], masks(network_, x[row : row + 1, :frames])[0], atol=1e-5
        )
        assert not together[row, frames:].any()
        assert (together[row, :frames] > 0).all() and (together[row, :frames] < 1).all()


@pytest.mark.parametrize("network", NETWORKS)
def test_padding_changes_no_gradient(network: str) -> None:
    network_ = build(network=network)
    results = []
    for padding in (0.0, 1e3, 1e9):
        network_.clear_gradients()
        x = paddle.to_tensor(magnitudes(padding))
        network_(x, paddle.to_tensor(FRAMES)).square().sum().backward()
        results.append([p.grad.numpy().copy() for p in network_.parameters()])
    for result in results[1:]:
        for found, expected in zip(result, results[0], strict=True):
            assert np.allclose(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
def test_more_frames_than_3000(network: str) -> None:
    network_ = build(network=network)
    network_.eval()
    x = np.abs(np.random.default_rng(0).normal(0, 1, (1, 3200, 9))).astype("float32")
    long = masks(network_, x)
    assert np.allclose(long[:, :100], masks(network_, x[:, :100]), atol=1e-5)


def test_magnitudes_on_a_logarithmic_scale() -> None:
    x = np.array([0.0, 1e-3, 1.0, 50.0], "float32")
    expected = (np.log(x.astype("f8") ** 2 + 1e-6) + 4) / 4
    assert np.allclose(log_levels(paddle.to_tensor(x)).numpy(), expected, atol=1e-6)
    # Hann-windowed noise at -25 dBFS, 320 samples: about 0 on average, about 1 wide at most.
    noise = np.random.default_rng(0).normal(0, 10 ** (-25 / 20), (500, 320))
    levels = log_levels(paddle.to_tensor(np.abs(np.fft.rfft(noise * np.hanning(320))), "float32"))
    assert abs(float(levels.mean())) < 1 and 0.1 < float(levels.std()) < 1


def test_layer_norm_is_of_rt_alone() -> None:
    assert [
        sum(isinstance(part, nn.LayerNorm) for part in build(network=name).sublayers())
        for name in NETWORKS
    ] == [2 * 3, 0, 0]
    residual = Residual(nn.Linear(4, 4), 4, 0.0, layer_norm=True)
    x = paddle.randn([1, 2, 4]) * 3 + 1
    values = x.numpy().astype("f8")
    centred = values - values.mean(-1, keepdims=True)
    normal = centred / np.sqrt(values.var(-1, keepdims=True) + 1e-5)
    linear = normal @ residual.part.weight.numpy() + residual.part.bias.numpy()
    assert np.allclose(residual(x).numpy(), values + linear, atol=1e-5)


# Every parameter reaches what it names


def parts(network: MaskNetwork, kind: type) -> list[Any]:
    return [part for part in network.sublayers() if isinstance(part, kind)]


def test_rt_and_zrt_as_their_users_have_them() -> None:
    rt = MaskNetwork(complete(MaskNetworkSettings(), SpectrumSettings()))
    zrt = MaskNetwork(complete(MaskNetworkSettings(network="zrt"), SpectrumSettings()))
    for network, ksize, n in ((rt, 3, 1), (zrt, 5, 2)):
        recurrences = parts(network, LocalRnn)
        assert [local.ksize for local in recurrences] == [ksize] * (2 * n)
        assert all(isinstance(local.cell, nn.LSTMCell) for local in recurrences)
        assert [attention.heads for attention in parts(network, CausalAttention)] == [4, 4]
        widths = [tuple(linear.weight.shape) for linear in parts(network, nn.Linear)]
        assert widths[0] == (161, 320) and widths[-1] == (320, 161)
        assert widths.count((320, 1280)) == widths.count((1280, 320)) == 2
        assert {dropout.p for dropout in parts(network, nn.Dropout)} == {0.1}
    own = 4 * (320 * 320 * 2 + 320 * 2)  # an LSTM cell
    level = 4 * (320 * 320 + 320) + 2 * 320 * 1280 + 1280 + 320
    ends = 161 * 320 + 320 + 320 * 161 + 161
    assert count_parameters(zrt) == 2 * (2 * own + level) + ends
    assert count_parameters(rt) == 2 * (own + level + 3 * 2 * 320) + ends


def test_lstm_as_a_baseline_of_two_layers() -> None:
    network = build(network="lstm", n_level=3, emb_dropout=0.3, dropout=0.2)
    sizes = [tuple(layer.weight_ih_l0.shape) for layer in parts(network, nn.LSTM)]
    assert sizes == [(32, 9), (32, 8), (32, 8)]
    assert sorted(dropout.p for dropout in parts(network, nn.Dropout)) == [0.2, 0.3]
    assert len(parts(build(network="lstm"), nn.LSTM)) == 2


def test_each_parameter_reaches_what_it_names() -> None:
    assert len(parts(build(n_level=3), CausalAttention)) == 3
    assert len(parts(build(n=3, n_level=1), LocalRnn)) == 3
    assert {local.ksize for local in parts(build(ksize=4), LocalRnn)} == {4}
    assert {part.heads for part in parts(build(h=4), CausalAttention)} == {4}
    assert build(d_model=12).output.weight.shape == [12, 9]
    for rnn_type, cell in (("LSTM", nn.LSTMCell), ("GRU", nn.GRUCell), ("RNN", nn.SimpleRNNCell)):
        assert all(
            isinstance(local.cell, cell) for local in parts(build(rnn_type=rnn_type), LocalRnn)
        )
    shares = [dropout.p for dropout in parts(build(dropout=0.4, emb_dropout=0.3), nn.Dropout)]
    # Behind the input once; in each level behind three parts, in attention and in feed-forward.
    assert sorted(shares) == [0.3] + [0.4] * (2 * 5)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("which", ["dropout", "emb_dropout"])
def test_dropout_is_of_training_alone(network: str, which: str) -> None:
    network_ = build(network=network, **{which: 0.5})
    x = magnitudes()
    assert not np.allclose(masks(network_, x), masks(network_, x))
    network_.eval()
    assert np.array_equal(masks(network_, x), masks(network_, x))


def test_sizes_follow_from_the_spectrum() -> None:
    filled = complete(MaskNetworkSettings(), SpectrumSettings(n_fft=512, win_length=512))
    assert (filled.input_size, filled.output_size, filled.ksize, filled.n) == (257, 257, 3, 1)
    assert complete(filled, SpectrumSettings(n_fft=512)) == filled
    given = MaskNetworkSettings(network="zrt", input_size=161, output_size=161, ksize=2, n=1)
    assert complete(given, SpectrumSettings()) == given


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_size": 257}, r"^--input_size: 257 contradicts --n_fft=320, which gives 161 bins"),
        ({"output_size": 1}, r"^--output_size: 1 contradicts --n_fft=320"),
        ({"h": 3}, r"^--h: 3 heads do not divide --d_model=320; make d_model a multiple of h"),
    ],
)
def test_contradictions_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        complete(MaskNetworkSettings(**settings), SpectrumSettings())
    complete(MaskNetworkSettings(network="lstm", h=3), SpectrumSettings())
