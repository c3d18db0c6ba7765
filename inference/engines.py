"""What computes log-probabilities, and classes. An engine is imported where it is chosen."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import InputError
from model_utils import runtime
from model_utils.outputs import Outputs
from model_utils.recogniser import Recogniser
from model_utils.settings import DeviceSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from model_utils.networks.deepspeech2 import DeepSpeech2


class Engine(Protocol):
    """Padded features to what the network says of them."""

    def __call__(self, features: NDArray[np.float32], frames: NDArray[np.int64]) -> Outputs:
        """Log-probabilities and classes of a batch.

        Args:
            features: float32 [batch, frames, bins].
            frames: valid frames [batch].
        """


def paddle_engine(saved: Checkpoint, recogniser: Recogniser, settings: DeviceSettings) -> Engine:
    """The network of a checkpoint, run by Paddle.

    Raises:
        InputError: the weights do not fit the sizes.
    """
    network = paddle_network(saved, recogniser, settings)

    # Imports Paddle, which the line above has set up.
    from model_utils.tasks.recognition import outputs_of

    return lambda features, frames: outputs_of(network, features, frames)


def paddle_network(
    saved: Checkpoint, recogniser: Recogniser, settings: DeviceSettings
) -> "DeepSpeech2":
    """The network of a checkpoint in evaluation mode.

    Raises:
        InputError: the weights do not fit the sizes.
    """
    device = runtime.prepare(settings, recogniser.network, recogniser.num_bins)
    network = recogniser.build(device.is_fast)
    checkpoint.set_weights(network, saved)
    network.eval()
    return network


def engine_of(saved: Checkpoint, recogniser: Recogniser, settings: DeviceSettings) -> Engine:
    """What computes fastest here: Paddle on a GPU, ONNX Runtime on the CPU unless turned off.

    Args:
        saved: weights of a recogniser without a front end.
        recogniser: its sizes.
        settings: with `engine`, "plain" for Paddle on the CPU too.

    Raises:
        InputError: the weights do not fit the sizes, or the engine is not installed.
    """
    settings = runtime.settled(settings)
    if settings.use_gpu or settings.engine == "plain":
        return paddle_engine(saved, recogniser, settings)
    return onnx_engine(saved, recogniser, threads_of(settings))


def threads_of(settings: DeviceSettings) -> int:
    """On the CPU."""
    return settings.num_threads or runtime.default_threads()


def onnx_engine(saved: Checkpoint, recogniser: Recogniser, threads: int) -> Engine:
    """The network of a checkpoint as a graph in memory, run by ONNX Runtime.

    Raises:
        InputError: the weights do not fit the sizes, or ONNX or its runtime is not installed.
    """
    with installed():
        from inference import onnx_graph

    # Written into the graph and read from it again 245 MB of weights took a second and 430 MB more.
    apart: dict[str, NDArray[Any]] = {}
    weights = onnx_graph.weights_of(recogniser, saved)
    graph = onnx_graph.build(recogniser, weights, "float32", apart)
    return session_engine(onnx_session(graph.SerializeToString(), threads, apart))


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Around the imports of ONNX, which makes graphs, and of its runtime, which computes them.

    Raises:
        InputError: what the block imports is missing.
    """
    try:
        yield
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"ONNX or ONNX Runtime cannot be imported ({reason}); {runtime.INSTALL_ENGINE}"
        ) from None


def onnx_session(
    graph: bytes | Path,
    threads: int,
    apart: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> "InferenceSession":
    """A graph, or the file of one, made ready to run on the CPU.

    Args:
        graph: as bytes or a file.
        threads: that compute.
        apart: constants that the graph names and has not, see `onnx_graph.build`.

    Raises:
        InputError: ONNX Runtime is not installed, or cannot read the graph.
    """
    with installed():
        import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    if apart:
        constants = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in apart.values()]
        options.add_external_initializers(list(apart), constants)
    content = str(graph) if isinstance(graph, Path) else graph
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes share no other one
        reason = " ".join(str(error).split())
        raise InputError(f"ONNX Runtime cannot use the graph ({reason})") from None


def session_engine(session: "InferenceSession") -> Engine:
    """A session of a graph as `onnx_graph` makes it."""

    def compute(features: NDArray[np.float32], frames: NDArray[np.int64]) -> Outputs:
        counts = frames.astype(np.int64, copy=False)  # NumPy 1 counts in int32 on Windows
        return Outputs(*session.run(None, {"features": features, "frames": counts}))

    return compute
