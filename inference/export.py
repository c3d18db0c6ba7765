"""A recogniser in a folder of its own, of which nothing needs Paddle: a graph and a JSON.

`model.onnx` holds the network, `model.json` the rest of what a checkpoint's JSON says of a
recogniser: vocabulary, features, statistics, sizes. Both are written whole or not at all; the JSON
holds the SHA-256 of the graph, so that two exports are never mixed.
"""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_utils.atomic import check_place, write_atomically
from data_utils.errors import InputError
from inference.engines import Engine, onnx_session, paddle_network, session_engine
from inference.settings import Precision
from model_utils.recogniser import Recogniser
from model_utils.settings import DeviceSettings
from model_utils.trainer.checkpoint import Checkpoint, sha256

GRAPH, DESCRIPTION = "model.onnx", "model.json"
PADDLE = "inference"
"""Of Paddle's two files, whose suffixes are of its version."""

FORMAT = 1
"""Of the folder; another one is not read."""

_BEGINNING = re.compile(rb'\{\s*"export"')
"""How the description begins: what begins otherwise is somebody's own."""


@dataclass(frozen=True)
class Export:
    """An export as read from disk."""

    described: Checkpoint
    """The JSON as that of a checkpoint: its path, and no weights."""

    def engine(self, threads: int) -> Engine:
        """What computes its graph on the CPU.

        Raises:
            InputError: ONNX Runtime is missing, or does not understand the graph.
        """
        return session_engine(onnx_session(self.described.path.with_name(GRAPH), threads))


def write(saved: Checkpoint, recogniser: Recogniser, folder: Path, precision: Precision) -> None:
    """Write an export.

    Args:
        saved: the weights.
        recogniser: what they are of.
        folder: made if missing.
        precision: of the matrices.

    Raises:
        InputError: the weights do not fit, the recogniser has a front end, or the folder cannot be
            written.
    """
    if recogniser.front_end is not None:
        raise InputError(
            f"{saved.path}: was trained behind a front end, which needs Paddle; use the checkpoint"
        )
    graph, description = (folder / name for name in (GRAPH, DESCRIPTION))
    check_place(graph)
    check_place(description, kind=_BEGINNING)

    from inference import onnx_graph

    model = onnx_graph.build(recogniser, onnx_graph.weights_of(recogniser, saved), precision)
    info = {"export": FORMAT, "precision": precision, **recogniser.describe()}
    if saved.info is not None:
        info["epoch"] = saved.epoch
    with write_atomically(graph, description) as (temporary, other):
        temporary.write_bytes(model.SerializeToString())
        info["files"] = {GRAPH: sha256(temporary)}
        other.write_text(json.dumps(info, ensure_ascii=False, indent=1), encoding="utf-8")


def write_for_paddle(saved: Checkpoint, recogniser: Recogniser, folder: Path) -> list[Path]:
    """Write the network in Paddle's inference format into the folder of an export.

    Raises:
        InputError: Paddle is missing, or the weights do not fit.
    """
    network = paddle_network(saved, recogniser, DeviceSettings(use_gpu=False, engine="plain"))

    # Imports Paddle, which the line above has set up.
    from model_utils.tasks.recognition import save_for_inference

    with tempfile.TemporaryDirectory(prefix=".", dir=folder) as made:
        save_for_inference(network, recogniser.num_bins, Path(made) / PADDLE)
        parts = sorted(Path(made).iterdir())
        return [part.replace(folder / part.name) for part in parts]


def is_export(path: str | Path) -> bool:
    """Whether a folder is one, whole or not."""
    return (Path(path) / DESCRIPTION).is_file()


def load(folder: str | Path) -> Export:
    """Read an export's description; its graph is read when an engine is made of it.

    Raises:
        InputError: a file is missing, damaged, or not of this export.
    """
    graph, path = (Path(folder) / name for name in (GRAPH, DESCRIPTION))
    for needed in (graph, path):
        if not needed.is_file():
            raise InputError(
                f"{needed}: file not found; give a folder that tools/export_model.py has written"
            )
    try:
        info: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); export the model again") from None
    if not isinstance(info, dict) or info.get("export") != FORMAT:
        raise InputError(
            f"{path}: not the description of an export of this version; export the model again"
        )
    files = info.get("files")
    if not isinstance(files, dict) or files.get(GRAPH) != sha256(graph):
        raise InputError(
            f"{graph}: does not belong to {DESCRIPTION} beside it (SHA-256 differs); export the "
            f"model again"
        )
    return Export(Checkpoint(path, {}, None, info))
