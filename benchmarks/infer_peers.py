"""What `infer` measures of others: PyTorch eager, and OpenVINO with the exported graph."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.answering import answer
from benchmarks.memory import peak_mb

_made: dict[str, Callable[[Any], Any]] = {}


def make_torch(weights: str, units: int, tokens: int) -> None:
    """The network in PyTorch, with the weights of a file."""
    import torch

    from benchmarks import torch_network

    torch.set_num_threads(1)
    sizes = {
        "conv_channels": 32,
        "num_conv_layers": 2,
        "num_rnn_layers": 3,
        "rnn_layer_size": units,
        "rnn_norm": "layer",
        "dropout": 0.0,
    }
    # One clip is as long as the longest: nothing to pack.
    network = torch_network.DeepSpeech2(161, tokens, sizes, packed=False)
    with np.load(weights) as content:
        torch_network.load(network, dict(content))
    network.eval()

    def compute(features: Any) -> Any:
        with torch.inference_mode():
            frames = torch.tensor([features.shape[1]])
            logits, _ = network(torch.from_numpy(features), frames)
            return logits.log_softmax(-1).numpy()

    _made["engine"] = compute


def make_openvino(graph: str) -> None:
    """The graph of an export in OpenVINO, in float32."""
    import openvino

    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(graph, "CPU", hints)

    def compute(features: Any) -> Any:
        frames = np.array([features.shape[1]])
        return model({"features": features, "frames": frames})["log_probs"]

    _made["engine"] = compute


def seconds(clip: str, result: str) -> float:
    """How long the engine takes for the features in the file `clip`; what it says goes to disk."""
    features = np.load(clip)
    started = time.perf_counter()
    log_probs = _made["engine"](features)
    passed = time.perf_counter() - started
    np.save(result, log_probs)
    return passed


if __name__ == "__main__":
    answer(make_torch=make_torch, make_openvino=make_openvino, seconds=seconds, peak=peak_mb)
