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
    """The mean of the checkpoints' weights, under the description of the last one.

    Args:
        paths: at least two weights files of one network.

    Raises:
        InputError: a checkpoint cannot be read, or is of another network or vocabulary.
    """
    if len(paths) < 2:
        raise InputError(f"{len(paths)} checkpoint to average; give two or more")
    sums: dict[str, NDArray[np.float64]] = {}
    first = last = checkpoint.load(paths[0], optimizer=False)
    for path in paths:
        last = first if path == paths[0] else checkpoint.load(path, optimizer=False)
        _check_alike(first, last)
        for name, value in last.weights.items():
            sums[name] = sums.get(name, 0) + value.astype(np.float64)
    means = {name: (total / len(paths)).astype(np.float32) for name, total in sums.items()}
    return Checkpoint(last.path, dict(means), None, last.info)


def _check_alike(first: Checkpoint, other: Checkpoint) -> None:
    own = {name: value.shape for name, value in first.weights.items()}
    its = {name: value.shape for name, value in other.weights.items()}
    if own != its:
        name = next(n for n in sorted(own.keys() | its.keys()) if own.get(n) != its.get(n))
        raise InputError(
            f"{other.path}: {name} is {its.get(name)}, in {first.path} {own.get(name)}; "
            f"only checkpoints of one network can be averaged"
        )
    for part in ("task", "vocabulary", "features", "normalizer", "network"):
        if (first.info or {}).get(part) != (other.info or {}).get(part):
            raise InputError(
                f"{other.path}: another {part} than {first.path}; only checkpoints of one "
                f"model can be averaged"
            )
