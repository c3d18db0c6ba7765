"""What `infer` measures of this package: an engine made of a checkpoint, or of an export."""

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.answering import answer
from benchmarks.memory import peak_mb
from data_utils.settings import FeatureSettings
from inference import engines, export
from inference.engines import Engine
from model_utils import runtime
from model_utils.outputs import Outputs
from model_utils.recogniser import Recogniser
from model_utils.settings import DeviceSettings
from model_utils.trainer import checkpoint

_CPU = DeviceSettings(use_gpu=False, num_threads=1)
_PLAIN = DeviceSettings(use_gpu=False, num_threads=1, engine="plain")

_made: dict[str, Engine] = {}


def make(kind: str, model: str) -> None:
    """Make an engine: "paddle compiled", "paddle plain", "paddle.inference" or "export"."""
    if kind == "export":
        _made["engine"] = export.load(model).engine(1)
    elif kind == "paddle.inference":
        _made["engine"] = _paddle_inference(Path(model))
    else:
        saved = checkpoint.load(model, optimizer=False)
        assert saved.info is not None
        settings = _PLAIN if kind == "paddle plain" else _CPU
        recogniser = Recogniser.of(saved.info, model)
        _made["engine"] = engines.paddle_engine(saved, recogniser, settings)


def _paddle_inference(folder: Path) -> Engine:
    """Paddle's inference engine, without oneDNN: with it, this graph ends in an error (3.3.1)."""
    runtime.prepare(_PLAIN)
    from paddle import inference

    program = next(path for path in folder.glob("inference.*") if path.suffix != ".pdiparams")
    config = inference.Config(str(program), str(folder / "inference.pdiparams"))
    config.disable_gpu()
    config.disable_mkldnn()
    config.set_cpu_math_library_num_threads(1)
    predictor = inference.create_predictor(config)

    def compute(features: NDArray[np.float32], frames: NDArray[np.int64]) -> Outputs:
        for name, array in zip(predictor.get_input_names(), (features, frames), strict=True):
            predictor.get_input_handle(name).copy_from_cpu(array)
        predictor.run()
        names = predictor.get_output_names()
        return Outputs(*(predictor.get_output_handle(name).copy_to_cpu() for name in names))

    return compute


def seconds(clip: str, result: str) -> float:
    """How long the engine takes for the features in the file `clip`; what it says goes to files."""
    features = np.load(clip)
    frames = np.array([features.shape[1]])
    started = time.perf_counter()
    outputs = _made["engine"](features, frames)
    passed = time.perf_counter() - started
    np.save(result, outputs.log_probs)
    return passed


def weights_to_npz(model: str, path: str) -> None:
    """The weights of a checkpoint as a file of NumPy's own, for peers."""
    weights: dict[str, Any] = checkpoint.load(model, optimizer=False).weights
    np.savez(path, **weights)


def make_checkpoint(path: str, tokens: int, units: int) -> None:
    """Write a checkpoint that nobody trained: random weights, the default sizes but for `units`."""
    import json
    import pickle

    from data_utils.features import num_bins
    from data_utils.normalizer import Normalizer
    from data_utils.text import Vocabulary
    from inference import onnx_graph
    from model_utils.settings import NetworkSettings

    settings = FeatureSettings()
    bins = num_bins(settings)
    recogniser = Recogniser(
        Vocabulary(("<blank>", "<unk>", *(chr(0x4E00 + i) for i in range(tokens - 2)))),
        settings,
        Normalizer(np.full(bins, -15.0), np.full(bins, 4.0)),
        NetworkSettings(rnn_layer_size=units),
    )
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in onnx_graph.shapes(recogniser).items():
        # A matrix keeps the size of what it is given; norms are as new ones are.
        spread = np.prod(shape[1:]) ** -0.5 if len(shape) > 1 else 0.0
        middle = float(name.endswith(("scale", "variance")) or "norm.weight" in name)
        weights[name] = (middle + spread * rng.standard_normal(shape)).astype(np.float32)
    Path(path).write_bytes(pickle.dumps(weights, protocol=4))
    info = {"epoch": 1, **recogniser.describe()}
    Path(path).with_suffix(".json").write_text(json.dumps(info), encoding="utf-8")


if __name__ == "__main__":
    answer(
        make=make,
        seconds=seconds,
        weights_to_npz=weights_to_npz,
        make_checkpoint=make_checkpoint,
        peak=peak_mb,
    )
