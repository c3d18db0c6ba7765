"""The computation of a GRU layer (Cho et al. 2014) for training on CPU.

It gives what Paddle's layer does, from that layer's parameters; in large layers, or where lengths
differ, in half of the time:

- Frames are packed: those of the first moment of all utterances, longest first, then those of the
  second, and so on. The utterances that still run at a moment are always the first rows, so padding
  is never computed, and one product takes the inputs of all frames to the gates.
- The loop through time multiplies by weights that are laid out once (`mkl`), one
  direction after the other: with a thread for each they wait for Python's lock.
- Backwards, only the gradient of the state is followed through time. Those of the weights and of
  the input are products over all frames.
"""

from dataclasses import dataclass

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.autograd import PyLayer, PyLayerContext

from model_utils.fast import mkl
from model_utils.fast.memory import values
from model_utils.fast.mkl import PackedMatrix, multiply, tanh

Array = NDArray[np.float32]

SMALLEST = {"bidirectional": 256, "forward": 512}
"""Units from which this is used, by the layer's direction: where it is faster with utterances of
unequal length and, with equal ones, loses little or nothing.

Forward and backward through 8 utterances of 167 frames took, in turns with Paddle's layer and with
nothing else running on two cores, this part of its time; in brackets with utterances of 40 to 167
frames, which Paddle's computes to the end of the longest:

- Both directions, 2 threads: 128 units 1.24 (0.83), 256 units 1.08 (0.64), 384 units 0.98 (0.61),
  512 units 0.91 (0.58), 1024 units 0.56 (0.32).
- Both directions, 4 threads: 128 units 1.70 (0.95), 256 units 1.14 (0.82), 1024 units 0.70 (0.44).
- Forward alone, 2 threads: 256 units 1.19, 384 units 1.07, 512 units 0.87, 1024 units 0.43; with 4
  threads 256 units 1.28, 1024 units 0.62.

A step of the whole network with 256 units, both directions and equal utterances, took as long by
either, and 801 MB in place of 847.
"""


@dataclass(frozen=True)
class _Packing:
    """Where the frames of a padded batch go."""

    frames: NDArray[np.int64]
    """Of each packed row, its place in [batch * frames]."""
    moments: list[tuple[int, int]]
    """Of each moment, its first row and how many it has; these never become more."""

    @classmethod
    def of(cls, lengths: NDArray[np.int64], frames: int) -> "_Packing":
        order = np.argsort(-lengths, kind="stable")
        runs = np.arange(frames)[:, None] < lengths[order]
        moment, rank = np.nonzero(runs)
        counts = runs.sum(axis=1)
        counts = counts[counts > 0]
        firsts = np.cumsum(counts) - counts
        moments = list(zip(firsts.tolist(), counts.tolist(), strict=True))
        return cls(order[rank] * frames + moment, moments)


@dataclass(frozen=True)
class _Trace:
    """What a direction remembers of its way through time; rows as packed, contiguous."""

    gates: Array
    """[rows, 2 * units]: reset gate, update gate."""
    recurrent: Array
    """[rows, units]: the state's part of the new values, before the reset gate."""
    new: Array
    """[rows, units]: the new values, which the state moves to."""
    change: Array
    """[rows, units]: the state before, less the new values."""


@dataclass(frozen=True)
class _Direction:
    """One direction of a layer; rows of weights and biases: reset gate, update gate, new value."""

    input_weight: Array
    """[3 * units, inputs]."""
    weight: Array
    """[3 * units, units]."""
    input_bias: Array
    bias: Array
    moments: list[tuple[int, int]]
    """In the order in which it reads them."""

    @property
    def units(self) -> int:
        """Values of a state."""
        return self.weight.shape[1]

    def run(self, x: Array) -> tuple[Array, _Trace]:
        """Through time, as in `nn.GRUCell`: the packed input to the states, and what led there."""
        units, both = self.units, 2 * self.units
        trace = _Trace(
            *(np.empty((len(x), width), "float32") for width in (both, units, units, units))
        )
        # What does not wait for states: the input's part, and the biases.
        multiply(x, self.input_weight[:both].T, trace.gates)
        multiply(x, self.input_weight[both:].T, trace.new)
        np.add(trace.gates, self.input_bias[:both] + self.bias[:both], out=trace.gates)
        np.add(trace.new, self.input_bias[both:], out=trace.new)
        weight, bias = PackedMatrix(self.weight.T), self.bias[both:]
        states, state = np.empty_like(trace.new), self._nothing()
        of_state = np.empty((len(state), 3 * units), "float32")
        for first, count in self.moments:
            rows = slice(first, first + count)
            h, moved = state[:count], of_state[:count]
            gates, recurrent = trace.gates[rows], trace.recurrent[rows]
            new, change = trace.new[rows], trace.change[rows]
            weight.product(h, moved)
            gates += moved[:, :both]
            gates *= 0.5  # the logistic function is 0.5 + 0.5 * tanh(x / 2)
            tanh(gates)
            gates *= 0.5
            gates += 0.5
            np.add(moved[:, both:], bias, out=recurrent)
            np.multiply(gates[:, :units], recurrent, out=change)
            new += change
            tanh(new)
            np.subtract(h, new, out=change)
            np.multiply(gates[:, units:], change, out=h)
            h += new
            states[rows] = h
        return states, trace

    def run_back(self, trace: _Trace, grad: Array) -> tuple[Array, Array]:
        """Back through time.

        Args:
            trace: of `run`.
            grad: of the states [rows, units].

        Returns:
            Gradients of what was activated: of the input's part of the new value [rows, units]; of
            the reset and update gates and of the state's part of the new value [rows, 3 * units].
        """
        reset, update = np.split(trace.gates, 2, axis=1)
        # Each is the gradient of the state after that moment, times what is known already.
        to_new = np.empty_like(trace.new)
        moved = np.empty((len(grad), 3, self.units), "float32")
        to_reset, to_update, to_recurrent = (moved[:, part] for part in range(3))
        np.multiply(1 - update, 1 - trace.new * trace.new, out=to_new)
        np.multiply(to_new, reset, out=to_recurrent)
        np.multiply(to_recurrent, trace.recurrent * (1 - reset), out=to_reset)
        np.multiply(trace.change, update * (1 - update), out=to_update)
        update = np.ascontiguousarray(update)
        to_moved = moved.reshape(len(grad), 3 * self.units)
        weight = PackedMatrix(self.weight)
        state = self._nothing()
        for first, count in reversed(self.moments):
            rows = slice(first, first + count)
            h = state[:count]
            h += grad[rows]
            to_new[rows] *= h
            moved[rows] *= h[:, None]
            h *= update[rows]
            weight.add_product(to_moved[rows], h)
        return to_new, to_moved

    def gradients(
        self,
        trace: _Trace,
        found: tuple[Array, Array],
        x: Array,
        grad_x: Array,
        grads: list[Array],
    ) -> None:
        """Of the parameters; that of the input is added to `grad_x`.

        Args:
            trace: of `run`.
            found: of `run_back`.
            x: packed input.
            grad_x: as `x`.
            grads: of the parameters, to be filled.
        """
        both = 2 * self.units
        new, moved = found
        gates = moved[:, :both]
        grad_input_weight, grad_weight, grad_input_bias, grad_bias = grads
        multiply(moved.T, trace.change + trace.new, grad_weight)
        multiply(gates.T, x, grad_input_weight[:both])
        multiply(new.T, x, grad_input_weight[both:])
        multiply(gates, self.input_weight[:both], grad_x, add=True)
        multiply(new, self.input_weight[both:], grad_x, add=True)
        grad_bias[:] = moved.sum(axis=0)
        grad_input_bias[:both], grad_input_bias[both:] = grad_bias[:both], new.sum(axis=0)

    def _nothing(self) -> Array:
        """The state before the first moment."""
        return np.zeros(
            (max((count for _, count in self.moments), default=0), self.units), "float32"
        )


class _Gru(PyLayer):
    """All directions of a layer; the parameters are inputs, so that their hooks see gradients."""

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def forward(
        ctx: PyLayerContext, x: Tensor, lengths: NDArray[np.int64], *parameters: Tensor
    ) -> Tensor:
        """`x` [batch, frames, inputs]; `parameters` of `nn.GRU.parameters`, a direction's four."""
        batch, frames, width = x.shape
        packing = _Packing.of(lengths, frames)
        packed = values(x.contiguous()).reshape(batch * frames, width)[packing.frames]
        directions = _directions(parameters, packing)
        outputs, traces = zip(*(direction.run(packed) for direction in directions), strict=True)
        states = np.concatenate(outputs, axis=1)
        ctx.save_for_backward(*parameters)
        ctx.packing, ctx.packed, ctx.traces, ctx.shape = packing, packed, traces, x.shape
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, *parameters)]
        return _padded(states, packing, batch, frames)

    @staticmethod
    @np.errstate(all="ignore")  # what is not finite the trainer sees
    def backward(ctx: PyLayerContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        packing, packed, parameters = ctx.packing, ctx.packed, ctx.saved_tensor()
        directions, (batch, frames, _) = _directions(parameters, packing), ctx.shape
        grad_rows = values(grad.contiguous()).reshape(batch * frames, grad.shape[2])
        grads = np.split(grad_rows[packing.frames], len(directions), axis=1)
        grad_x = np.zeros_like(packed)
        of_parameters = [paddle.empty(parameter.shape) for parameter in parameters]
        for number, (direction, trace) in enumerate(zip(directions, ctx.traces, strict=True)):
            found = direction.run_back(trace, grads[number])
            filled = [*map(values, of_parameters[4 * number : 4 * number + 4])]
            direction.gradients(trace, found, packed, grad_x, filled)
        found_all = [_padded(grad_x, packing, batch, frames), *of_parameters]
        return tuple(
            value if wanted else None for value, wanted in zip(found_all, ctx.wanted, strict=True)
        )


def is_faster(units: int, direction: str) -> bool:
    """Whether `gru` is to be used for layers of so many units that read in this direction."""
    return units >= SMALLEST[direction] and mkl.library() is not None


class GRU(nn.GRU):
    """Paddle's layer, a single one, with its parameters, computed here."""

    def flatten_parameters(self) -> None:
        """Nothing: cuDNN alone asks for parameters in one piece, and `numpy` copies all of it."""

    def forward(
        self, inputs: Tensor, initial_states: None = None, sequence_length: Tensor | None = None
    ) -> tuple[Tensor, None]:
        """The outputs, and none of the states that Paddle's layer returns beside them.

        Args:
            inputs: float32 [batch, frames, inputs].
            initial_states: none but zeros.
            sequence_length: valid frames, int64 [batch].

        Returns:
            float32 [batch, frames, units of all directions], 0 in the padding.
        """
        assert initial_states is None and sequence_length is not None
        return _Gru.apply(inputs, sequence_length.numpy(), *self.parameters()), None


def _directions(parameters: tuple[Tensor, ...], packing: _Packing) -> list[_Direction]:
    directions = []
    for number in range(len(parameters) // 4):
        input_weight, weight, input_bias, bias = map(
            values, parameters[4 * number : 4 * number + 4]
        )
        moments = packing.moments[::-1] if number else packing.moments
        directions.append(_Direction(input_weight, weight, input_bias, bias, moments))
    return directions


def _padded(rows: Array, packing: _Packing, batch: int, frames: int) -> Tensor:
    """[rows, values] -> [batch, frames, values]."""
    y = paddle.zeros([batch, frames, rows.shape[1]])
    values(y).reshape(batch * frames, -1)[packing.frames] = rows
    return y
