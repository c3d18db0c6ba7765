"""A recogniser in a folder of its own, of which nothing needs Paddle: a graph and a JSON.

`model.onnx` holds the network, `model.json` the rest of what a checkpoint's JSON says of a
recogniser: vocabulary, features, statistics, sizes. Beside them the network may stand in Paddle's
inference format. All are written together or not at all; the JSON holds their SHA-256, so that two
exports are never mixed. Files that no JSON names are somebody's own.
"""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_utils.atomic import check_place, room, write_atomically
from data_utils.errors import InputError
from inference.engines import Engine, installed, onnx_session, paddle_network, session_engine
from inference.settings import Precision
from model_utils.recogniser import Recogniser
from model_utils.settings import DeviceSettings
from model_utils.trainer.checkpoint import Checkpoint, sha256

GRAPH, DESCRIPTION = "model.onnx", "model.json"
PADDLE = "inference"
"""Name of Paddle's files without their suffixes."""

_PADDLE_FILES = tuple(f"{PADDLE}{suffix}" for suffix in (".json", ".pdmodel", ".pdiparams"))
"""The program, of Paddle 3 or 2, and the weights. Paddle 2 writes notes too, which nobody reads."""

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


def write(
    saved: Checkpoint,
    recogniser: Recogniser,
    folder: Path,
    precision: Precision,
    paddle_format: bool = False,
) -> list[Path]:
    """Write an export in the place of an earlier one, if any; return the paths of its files.

    Args:
        saved: the weights.
        recogniser: what they are of.
        folder: made if missing.
        precision: of the graph's matrices.
        paddle_format: whether Paddle writes its own format too, float32 whatever the precision.

    Raises:
        InputError: the weights do not fit, the recogniser has a front end, ONNX or Paddle is
            missing, the folder cannot be written, or a file of somebody's own stands there.
    """
    if recogniser.front_end is not None:
        raise InputError(
            f"{saved.path}: was trained behind a front end, which needs Paddle; use the checkpoint"
        )
    check_place(folder / DESCRIPTION, kind=_BEGINNING)
    earlier = _files(folder)
    for name in (GRAPH, *(_PADDLE_FILES if paddle_format else ())):
        check_place(folder / name)
        if name not in earlier and (folder / name).exists():
            raise InputError(
                f"{folder / name}: stands there and no {DESCRIPTION} beside it says that it is of "
                f"an export; choose another --output_dir, or move it away"
            )
    with installed():
        from inference import onnx_graph

    info = {"export": FORMAT, "precision": precision, **recogniser.describe()}
    if saved.info is not None:
        info["epoch"] = saved.epoch
    with contextlib.ExitStack() as stack:
        stack.enter_context(room(folder, "export"))
        # Paddle's first: it (3.3.1) does not notice a full disk, the graph written after it does.
        made = stack.enter_context(_for_paddle(saved, recogniser, folder)) if paddle_format else []
        model = onnx_graph.build(recogniser, onnx_graph.weights_of(recogniser, saved), precision)
        # The description first: what stands beside an older one it would not know.
        paths = [folder / name for name in (DESCRIPTION, GRAPH, *(path.name for path in made))]
        with write_atomically(*paths) as (description, graph, *others):
            graph.write_bytes(model.SerializeToString())
            for path, other in zip(made, others, strict=True):
                path.replace(other)
            written = zip(paths[1:], (graph, *others), strict=True)
            info["files"] = {path.name: sha256(temporary) for path, temporary in written}
            text = json.dumps(info, ensure_ascii=False, indent=1)
            description.write_text(text, encoding="utf-8")
        for name in earlier.difference(path.name for path in paths):
            (folder / name).unlink(missing_ok=True)
    return paths


@contextlib.contextmanager
def _for_paddle(saved: Checkpoint, recogniser: Recogniser, folder: Path) -> Iterator[list[Path]]:
    """The network in Paddle's inference format, in a folder inside `folder` that goes again.

    Raises:
        InputError: Paddle is missing, or the weights do not fit.
    """
    network = paddle_network(saved, recogniser, DeviceSettings(use_gpu=False, engine="plain"))

    # Imports Paddle, which the line above has set up.
    from model_utils.tasks.recognition import save_for_inference

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{PADDLE}.", dir=folder) as made:
        save_for_inference(network, recogniser.num_bins, Path(made) / PADDLE)
        yield [path for name in _PADDLE_FILES if (path := Path(made) / name).is_file()]


def _files(folder: Path) -> set[str]:
    """The files beside its description that the export in a folder names; of none, none."""
    try:
        info: Any = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    files = info.get("files") if isinstance(info, dict) else None
    return {GRAPH, *_PADDLE_FILES}.intersection(files if isinstance(files, dict) else ())


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
