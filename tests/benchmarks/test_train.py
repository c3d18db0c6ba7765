"""Steps beside PyTorch: the same losses, the arithmetic counted right, time noted where it goes."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paddle
import pytest
from paddle.autograd import PyLayer
from small import NETWORK, data
from tones import Corpus

from benchmarks import parts, train
from benchmarks.parts import BACKWARD, CTC, FORWARD, OPTIMIZER, PARTS, REST, noting
from benchmarks.peers import Side
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.settings import NetworkSettings

Command = Callable[..., list[str]]


def test_train(measured: Command) -> None:
    figures = measured(
        "train",
        *("--peers=False", "--sizes=4", "--batch_size=1", "--conv_channels=2"),
        *("--num_classes=30", "--num_threads=1", "--steps=1", "--engine=plain"),
    )
    assert [figure.split(":")[0] for figure in figures] == ["train 4 limit"]


@pytest.mark.parametrize(("norm", "lengths"), [("layer", "equal"), ("batch", "varying")])
def test_both_networks_learn_the_same(
    norm: str, lengths: str, pytorch: Path, make_corpus: Callable[..., Corpus]
) -> None:
    """Packed sequences read each utterance to its own end, padded ones all to the longest's."""
    texts = (
        ["一二三四", "四三", "二二三"] if lengths == "varying" else ["一二三", "二三四", "四四一"]
    )
    corpus = make_corpus(texts)
    arguments = [
        *(*data(corpus), *NETWORK, "--num_conv_layers=2", "--num_rnn_layers=2"),
        *(f"--rnn_norm={norm}", "--optimizer=adamw", "--weight_decay=0.3", "--grad_clip=0.5"),
        *("--learning_rate=0.01", "--batch_size=3", "--dev_manifest=None", "--test_manifest=None"),
        *("--use_gpu=False", "--engine=plain", "--num_threads=1"),
    ]
    folder = str(corpus.folder)
    with (
        Side("benchmarks.train_ours", cwd=corpus.folder) as ours,
        Side("benchmarks.train_peers", python=pytorch) as peer,
    ):
        told = ours("start", arguments=arguments, folder=folder)
        losses = ours("run", count=5)["losses"]
        for packed in (True, False) if lengths == "equal" else (True,):
            peer("start", folder=folder, told=told, packed=packed)
            assert peer("run", count=5)["losses"] == pytest.approx(losses, rel=1e-4)
        noted = peer("parts")
    assert losses[-1] < losses[0]
    assert set(noted) == set(PARTS)
    assert set(noted["convolution 1"]) == {FORWARD, BACKWARD}


def settings(num_conv_layers: int, rnn_norm: Any = "layer") -> NetworkSettings:
    return NetworkSettings(
        num_conv_layers=num_conv_layers,
        conv_channels=3,
        num_rnn_layers=2,
        rnn_layer_size=4,
        rnn_norm=rnn_norm,
    )


@pytest.mark.parametrize("num_conv_layers", [1, 2, 3])
@pytest.mark.parametrize("frames", [30, 31, 32])
def test_every_weight_counts_once_for_each_output(num_conv_layers: int, frames: int) -> None:
    sizes, batch, bins, classes = settings(num_conv_layers), 2, 33, 7
    network = DeepSpeech2(bins, classes, sizes)
    counted = dict.fromkeys(PARTS, 0.0)

    def count(part: str, layer: Any, products: int) -> None:
        weights = sum(p.size for name, p in layer.named_parameters() if "weight" in name)

        def after(_: Any, inputs: Any, output: Any) -> None:
            y = output[0] if isinstance(output, tuple) else output
            places = y.shape[0] * (y.shape[2] * y.shape[3] if y.ndim == 4 else y.shape[1])
            counted[part] += products * 2 * places * float(weights) / 1e9

        layer.register_forward_post_hook(after)

    for place, convolution in enumerate(network.conv.convolutions):
        count(f"convolution {min(place, 1) + 1}", convolution, 3 if place else 2)
    for layer in network.rnn.layers:
        count("recurrent layers", layer, 3)
    count("output layer", network.output, 3)
    lengths = paddle.full([batch], frames, dtype="int64")
    network(paddle.rand([batch, frames, bins]), lengths)
    told = {
        "network": dataclasses.asdict(sizes),
        "batch": batch,
        "frames": frames,
        "num_bins": bins,
        "num_classes": classes,
    }
    assert train.gflop(told) == pytest.approx(counted)


class Clock:
    """Time passes where layers say."""

    now = 0.0


class Slow(PyLayer):
    """Hands a tensor through; takes seconds in both directions."""

    @staticmethod
    def forward(ctx: Any, x: Any, forward: float, backward: float) -> Any:
        Clock.now += forward
        ctx.seconds = backward
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        Clock.now += ctx.seconds
        return grad.clone()


@pytest.fixture
def slowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any, float, float], None]]:
    """Makes a layer take so many seconds forward and backward, on a clock of its own."""
    Clock.now = 0.0
    monkeypatch.setattr(parts.time, "perf_counter", lambda: Clock.now)

    def slow(layer: Any, forward: float, backward: float) -> None:
        inner = layer.forward

        def slower(*inputs: Any, **named: Any) -> Any:
            output = inner(*inputs, **named)
            if isinstance(output, tuple):
                return Slow.apply(output[0], forward, backward), *output[1:]
            return Slow.apply(output, forward, backward)

        monkeypatch.setattr(layer, "forward", slower)

    yield slow


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_time_is_noted_where_it_goes(
    norm: str, slowed: Callable[[Any, float, float], None]
) -> None:
    network = DeepSpeech2(17, 5, settings(2, norm))
    conv, rnn = network.conv, network.rnn
    for number, layer in enumerate(
        [*conv.convolutions, *conv.norms, *rnn.norms, rnn.output_norm, *rnn.layers, network.output]
    ):
        slowed(layer, 2.0**number, 2.0 ** (number + 20))
    with noting(network.named_sublayers(), lambda tensor: not tensor.stop_gradient) as noted:
        logits, _ = network(paddle.rand([2, 30, 17]), paddle.to_tensor([30, 20]))
        Clock.now += 0.25
        logits.sum().backward()
        Clock.now += 0.5
    expected = {
        "convolution 1": [0],
        "convolution 2": [1],
        "norms of the convolutions": [2, 3],
        "norms of the recurrent layers": [4, 5, 6],
        "recurrent layers": [7, 8],
        "output layer": [9],
    }
    for part, numbers in expected.items():
        assert noted[part][FORWARD] == sum(2.0**number for number in numbers), part
        assert noted[part][BACKWARD] == sum(2.0 ** (number + 20) for number in numbers), part
    assert noted[CTC] == {"": 0.25} and noted[OPTIMIZER] == {"": 0.5}
    assert sum(noted[REST].values()) == 0
