"""The mean of finished checkpoints: of those named, the newest, or those with the best scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray

from data_utils.errors import InputError
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint
from model_utils.trainer.progress import Progress


def average_checkpoints(paths: Sequence[str | Path]) -> Checkpoint:
    """The mean of the checkpoints' weights, under the description of the one with most steps.

    Their order does not matter. The description says what it is the mean of, and is of no run:
    none goes on from it, and none removes it.

    Args:
        paths: at least two weights files of one network, each with its JSON.

    Raises:
        InputError: a checkpoint cannot be read, is of another network or vocabulary, or is named
            twice.
    """
    # The same bytes, however they are given.
    ordered = sorted({checkpoint.weights_path(path) for path in paths})
    if len(ordered) < 2:
        raise InputError(f"{len(ordered)} checkpoint to average; give two or more")
    if len(ordered) < len(paths):
        raise InputError("a checkpoint is named twice and would count twice; name each once")
    first = last = checkpoint.load(ordered[0], optimizer=False)
    sums: dict[str, NDArray[np.float64]] = {}
    for path in ordered:
        saved = first if path == ordered[0] else checkpoint.load(path, optimizer=False)
        _check_alike(first, saved)
        last = max(last, saved, key=_step)
        for name, value in saved.weights.items():
            sums[name] = sums.get(name, 0) + value.astype(np.float64)
    means = {name: (total / len(ordered)).astype(np.float32) for name, total in sums.items()}
    info = dict(last.info or {})
    info["progress"] = {**info.get("progress", {}), "run": ""}
    info[checkpoint.AVERAGED] = [path.stem for path in ordered]
    return Checkpoint(last.path, dict(means), None, info)


def write_average(paths: Sequence[Path], output: Path) -> None:
    """Write the mean of the checkpoints as a checkpoint without an optimizer.

    Raises:
        InputError: as `average_checkpoints`, or `output` is a checkpoint of a run, or cannot be
            written.
    """
    there = checkpoint.read_info(output)
    if checkpoint.AVERAGED not in (there or {}) and (there is not None or output.exists()):
        raise InputError(
            f"{output}: a checkpoint of a run stands there, or weights of others; "
            f"choose another name"
        )
    mean = average_checkpoints(paths)
    weights = {name: paddle.to_tensor(value) for name, value in mean.weights.items()}
    checkpoint.save(output.parent, output.stem, weights, None, mean.info or {})


def newest_epochs(folder: Path, count: int) -> list[Path]:
    """The checkpoints of the last `count` epochs that are complete, of the newest run in `folder`.

    Raises:
        InputError: there are fewer.
    """
    return [path for path, _ in _epochs(folder, count)[-count:]]


def best_epochs(folder: Path, count: int) -> list[Path]:
    """The checkpoints of the `count` epochs with the best score, of the newest run in `folder`.

    It is the score that decided which epoch was best: on the dev set, where there was one.

    Raises:
        InputError: there are fewer, or fewer that were scored on the same set.
    """
    scored = []
    for path, progress in _epochs(folder, count):
        last = progress.last
        if last is not None and str(last["epoch"]) == path.stem:
            loss = -last["value"] if last.get("higher_is_better") else last["value"]
            scored.append((loss, last["set"], path))
    newest = [entry for entry in scored if entry[1] == scored[-1][1]]
    if len(newest) < count:
        raise InputError(
            f"{folder}: {len(newest)} epochs with a score in their JSON, {count} are wanted; "
            f"name checkpoints with --checkpoints, or take the newest with --last={count}"
        )
    return [path for *_, path in sorted(newest)[:count]]


def _epochs(folder: Path, count: int) -> list[tuple[Path, Progress]]:
    """The checkpoints of complete epochs of the newest run, in order: at least `count`."""
    newest = checkpoint.latest(folder)
    if newest is None:
        raise InputError(f"{folder}: no checkpoint in it; --model_dir names the folder of a run")
    run = _progress(newest).run
    epochs = [path for path in folder.glob(f"*{checkpoint.WEIGHTS}") if path.stem.isdecimal()]
    found = [
        (path, progress)
        for path in sorted(epochs, key=lambda path: int(path.stem))
        if (progress := _progress(path)).run == run
    ]
    if len(found) < count:
        raise InputError(
            f"{folder}: {len(found)} complete epochs of the newest run in it, {count} are wanted"
        )
    return found


def _progress(path: Path) -> Progress:
    info = checkpoint.read_info(path)
    return Progress() if info is None else Progress.of(info.get("progress"), path)


def _step(saved: Checkpoint) -> int:
    return Progress.of((saved.info or {}).get("progress"), saved.path).step


def _check_alike(first: Checkpoint, other: Checkpoint) -> None:
    own = {name: value.shape for name, value in first.weights.items()}
    its = {name: value.shape for name, value in other.weights.items()}
    if own != its:
        name = next(n for n in sorted(own.keys() | its.keys()) if own.get(n) != its.get(n))
        raise InputError(
            f"{other.path}: {name} is {its.get(name)}, in {first.path} {own.get(name)}; "
            f"only checkpoints of one network can be averaged"
        )
    if other.info is None:
        raise InputError(
            f"{other.path}: no {other.path.stem}.json beside it, which says what it is of"
        )
    wanted, found = _model(first.info or {}), _model(other.info)
    for part, value in wanted.items():
        if found[part] != value:
            raise InputError(
                f"{other.path}: another {part} than {first.path}; only checkpoints of one "
                f"model can be averaged"
            )


def _model(info: Mapping[str, Any]) -> dict[str, Any]:
    """What has to be the same, of all that a checkpoint's JSON says."""
    parts = ("task", "vocabulary", "features", "normalizer", "network", "head", "spectrum", "songs")
    front_end = info.get("front_end")
    if isinstance(front_end, dict):
        front_end = front_end.get("model")  # it may be trained differently from epoch to epoch
    return {**{part: info.get(part) for part in parts}, "front_end": front_end}
