"""The running average of a network's weights while it trains."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from model_utils.trainer import checkpoint


class RunningAverage:
    """Exponential moving average of a network's weights, its running statistics included.

    What is frozen has none: it stays as it is, to the last bit.

    After step n, from 0, it becomes d * average + (1 - d) * weights with d = min(decay,
    (1 + n) / (10 + n)): the first steps, far from anything good, are soon forgotten.

    Args:
        network: whose weights are averaged.
        decay: weight of the past; 0 averages nothing, and costs nothing.
    """

    def __init__(self, network: nn.Layer, decay: float) -> None:
        self.decay = decay
        frozen = _frozen(network)
        weights = checkpoint.weights_of(network) if decay else {}
        self._live = {name: value for name, value in weights.items() if name not in frozen}
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


def _frozen(network: nn.Layer) -> set[str]:
    """Weights and running statistics of the layers of which no parameter is trained, by name."""
    names: set[str] = set()
    for name, layer in network.named_sublayers():
        parameters = layer.parameters()
        if parameters and all(parameter.stop_gradient for parameter in parameters):
            names.update(f"{name}.{own}" for own in layer.state_dict())
    return names
