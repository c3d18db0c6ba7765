"""The ONNX graph: what it computes is what the network computes, whatever its sizes."""

import gc
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
import onnx
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from data_utils.classes import Classes
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary
from inference import onnx_graph
from inference.engines import onnx_session, session_engine
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.outputs import Outputs
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings
from model_utils.tasks.recognition import outputs_of
from model_utils.trainer import checkpoint

BINS = 9
FEATURES = FeatureSettings("fbank", num_mel_bins=BINS)
LENGTHS = (40, 23, 1, 7)

CHOICES = {
    name: get_args(kind)
    for name, kind in get_type_hints(NetworkSettings).items()
    if get_origin(kind) is Literal
}
"""What the options of the network that name kinds can be."""


def recogniser(with_head: bool = False, **sizes: Any) -> Recogniser:
    own = {"num_conv_layers": 2, "conv_channels": 3, "num_rnn_layers": 2, "rnn_layer_size": 5}
    head = Classes("language", ("zh", "en", "yue")) if with_head else None
    return Recogniser(
        Vocabulary(("<blank>", "<unk>", "一", "二", "三")),
        FEATURES,
        Normalizer(np.zeros(BINS), np.ones(BINS)),
        NetworkSettings(**{**own, **sizes}),
        head=head,
    )


def network_of(made: Recogniser, seed: int = 0, size: float = 0.5) -> DeepSpeech2:
    """With weights of that size, and running statistics that nothing leaves as they were made."""
    paddle.seed(seed)
    network = made.build(fast=False)
    rng = np.random.default_rng(seed)
    for name, value in checkpoint.weights_of(network).items():
        drawn = rng.standard_normal(value.shape).astype(np.float32)
        if name.endswith("variance"):
            drawn = np.exp(drawn)
        value.set_value(drawn * (size if "weight" in name and "norm" not in name else 1.0))
    network.eval()
    return network


def weights_of(network: DeepSpeech2) -> Mapping[str, NDArray[Any]]:
    return {name: value.numpy() for name, value in checkpoint.weights_of(network).items()}


def exported(made: Recogniser, network: DeepSpeech2, precision: Any = "float32") -> Any:
    graph = onnx_graph.build(made, weights_of(network), precision)
    onnx.checker.check_model(graph, full_check=True)
    return session_engine(onnx_session(graph.SerializeToString(), threads=1))


def batch(lengths: tuple[int, ...] = LENGTHS, seed: int = 1) -> tuple[NDArray[Any], NDArray[Any]]:
    """What stands in the padding is no zero."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((len(lengths), max(lengths), BINS)).astype(np.float32)
    return features, np.array(lengths)


def difference(found: Outputs, wanted: Outputs) -> float:
    """The largest in valid frames."""
    assert found.frames.tolist() == wanted.frames.tolist()
    assert found.frames.dtype == wanted.frames.dtype
    assert found.log_probs.shape == wanted.log_probs.shape
    return max(
        float(np.abs(one[:count] - other[:count]).max(initial=0.0))
        for one, other, count in zip(found.log_probs, wanted.log_probs, wanted.frames, strict=True)
    )


@pytest.mark.parametrize("cell", CHOICES["rnn_type"])
@pytest.mark.parametrize("direction", CHOICES["rnn_direction"])
@pytest.mark.parametrize("norm", CHOICES["rnn_norm"])
def test_it_is_the_network(cell: str, direction: str, norm: str) -> None:
    made = recogniser(True, rnn_type=cell, rnn_direction=direction, rnn_norm=norm, lookahead=3)
    network = network_of(made)
    found, wanted = exported(made, network)(*batch()), outputs_of(network, *batch())
    assert difference(found, wanted) < 1e-4
    assert found.classes is not None and wanted.classes is not None
    assert found.classes.tolist() == wanted.classes.tolist()


@pytest.mark.parametrize(("layers", "lookahead"), [(1, 0), (3, 0), (2, 20)])
def test_layers_and_lookahead(layers: int, lookahead: int) -> None:
    made = recogniser(num_conv_layers=layers, rnn_direction="forward", lookahead=lookahead)
    network = network_of(made)
    found, wanted = exported(made, network)(*batch()), outputs_of(network, *batch())
    assert difference(found, wanted) < 1e-4
    assert found.classes is None


@pytest.mark.parametrize("cell", CHOICES["rnn_type"])
def test_weights_may_stand_beside_the_graph(cell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_graph, "_LARGE", 64)
    made = recogniser(True, rnn_type=cell)
    network = network_of(made)
    apart: dict[str, NDArray[Any]] = {}
    graph = onnx_graph.build(made, weights_of(network), "float32", apart).SerializeToString()
    whole = onnx_graph.build(made, weights_of(network), "float32").SerializeToString()
    beside = sum(array.nbytes for array in apart.values())
    assert len(apart) > 3 and beside > len(whole) / 2
    assert abs(len(graph) + beside - len(whole)) < 100 * len(apart)
    engine = session_engine(onnx_session(graph, 1, apart))
    for name in list(apart):  # the session keeps what it needs
        del apart[name]
    gc.collect()
    found, wanted = engine(*batch()), exported(made, network)(*batch())
    assert np.array_equal(found.log_probs, wanted.log_probs)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(any), st.integers(0, 9))
def test_any_batch_and_length(lengths: list[int], seed: int) -> None:
    """One graph, for all of them; a clip of nothing among others too."""
    features, frames = batch(tuple(lengths), seed)
    assert difference(ENGINE(features, frames), outputs_of(NETWORK, features, frames)) < 1e-4


MADE = recogniser()
NETWORK = network_of(MADE)
ENGINE = exported(MADE, NETWORK)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("cell", CHOICES["rnn_type"])
def test_batch_mates_do_not_matter(cell: str, precision: str) -> None:
    made = recogniser(rnn_type=cell)
    engine = exported(made, network_of(made), precision)
    features, frames = batch()
    together = engine(features, frames)
    for row, length in enumerate(LENGTHS):
        alone = engine(features[row : row + 1, :length], frames[row : row + 1])
        count = alone.frames[0]
        assert count == together.frames[row]
        assert np.allclose(alone.log_probs[0, :count], together.log_probs[row, :count], atol=2e-5)


@pytest.mark.parametrize("cell", CHOICES["rnn_type"])
@pytest.mark.parametrize("direction", CHOICES["rnn_direction"])
def test_int8_is_the_network_but_for_rounding(cell: str, direction: str) -> None:
    made = recogniser(rnn_type=cell, rnn_direction=direction, rnn_layer_size=32)
    network = network_of(made, size=0.1)
    wanted = outputs_of(network, *batch())
    found = exported(made, network, "int8")(*batch())
    assert 0 < difference(found, wanted) < 0.05 * float(np.abs(wanted.log_probs).max())


def test_numbers_that_stand_in_both_places_agree() -> None:
    norms = [layer for layer in NETWORK.sublayers() if hasattr(layer, "momentum")]
    assert norms and all(norm.epsilon == onnx_graph.EPSILON for norm in norms)
    layer_norms = [layer for layer in NETWORK.sublayers() if isinstance(layer, paddle.nn.LayerNorm)]
    assert layer_norms and all(norm._epsilon == onnx_graph.EPSILON for norm in layer_norms)


def test_every_option_of_the_network_is_known() -> None:
    """A new kind of cell has to be taught to the graph, a new choice to the tests above."""
    assert set(CHOICES["rnn_type"]) == set(onnx_graph._GATES)
    assert CHOICES.keys() == {"rnn_type", "rnn_direction", "rnn_norm"}
