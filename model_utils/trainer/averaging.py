"""Averages of weights: a running one while a network trains, and that of finished checkpoints."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from data_utils.errors import InputError
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint
from model_utils.trainer.progress import Progress


class RunningAverage:
    """Exponential moving average of a network's weights, its running statistics included.

    After step n, from 0, it becomes d * average + (1 - d) * weights with d = min(decay,
    (1 + n) / (10 + n)): the first steps, far from anything good, are soon forgotten.

    Args:
        network: whose weights are averaged.
        decay: weight of the past; 0 averages nothing, and costs nothing.
    """

    def __init__(self, network: nn.Layer, decay: float) -> None:
        self.decay = decay
        self._live = checkpoint.weights_of(network) if decay else {}
        self._average = {name: value.clone().detach() for name, value in self._live.items()}

    @paddle.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights as step number `step` left them."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, average in self._average.items():
            average.set_value(decay * average + (1 - decay) * self._live[name])

    def resume(self, trained: Mapping[str, NDArray[Any]]) -> None:
        """Take the network's weights, just read, as the average, and train on from `trained`.

        Args:
            trained: weights by name; empty where no average was kept, and both are the same.
        """
        for name, value in self._live.items():
            self._average[name].set_value(value)
            if name in trained:
                value.set_value(np.asarray(trained[name], dtype="float32"))

    @contextlib.contextmanager
    def in_place(self) -> Iterator[dict[str, Tensor]]:
        """The network has the averaged weights inside the block, which gets those in training.

        Without an average these are none, and the network stays as it is.
        """
        trained = {name: value.clone().detach() for name, value in self._live.items()}
        try:
            for name, value in self._live.items():
                value.set_value(self._average[name])
            yield trained
        finally:
            for name, value in self._live.items():
                value.set_value(trained[name])


def average_checkpoints(paths: Sequence[str | Path]) -> Checkpoint:
    """The mean of the checkpoints' weights, under the description of the one with most steps.

    Their order does not matter. The description says what it is the mean of, and is of no run:
    none goes on from it, and none removes it.

    Args:
        paths: at least two weights files of one network, each with its JSON.

    Raises:
        InputError: a checkpoint cannot be read, or is of another network or vocabulary.
    """
    if len(paths) < 2:
        raise InputError(f"{len(paths)} checkpoint to average; give two or more")
    ordered = sorted(map(Path, paths))  # the same bytes, however they are given
    first = last = checkpoint.load(ordered[0], optimizer=False)
    sums: dict[str, NDArray[np.float64]] = {}
    for path in ordered:
        saved = first if path == ordered[0] else checkpoint.load(path, optimizer=False)
        _check_alike(first, saved)
        last = max(last, saved, key=_step)
        for name, value in saved.weights.items():
            sums[name] = sums.get(name, 0) + value.astype(np.float64)
    means = {name: (total / len(paths)).astype(np.float32) for name, total in sums.items()}
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
    if there is not None and checkpoint.AVERAGED not in there:
        raise InputError(f"{output}: a checkpoint of a run stands there; choose another name")
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
    """The checkpoints of the `count` epochs with the lowest score, of the newest run in `folder`.

    It is the score that decided which epoch was best: on the dev set, where there was one.

    Raises:
        InputError: there are fewer, or fewer that were scored on the same set.
    """
    scored = []
    for path, progress in _epochs(folder, count):
        last = progress.last
        if last is not None and str(last["epoch"]) == path.stem:
            scored.append((last["value"], last["set"], path))
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
    for part in ("task", "vocabulary", "features", "normalizer", "network"):
        if (first.info or {}).get(part) != other.info.get(part):
            raise InputError(
                f"{other.path}: another {part} than {first.path}; only checkpoints of one "
                f"model can be averaged"
            )
