"""A recogniser as an ONNX graph, from its sizes and its weights as arrays. No Paddle needed.

What the graph computes is what `model_utils.networks` computes in evaluation mode, for any batch
and length: the running statistics are folded into the convolutions, and the first one reads the
features as they are (its time taps are the columns of a plain kernel again). Time comes first from
the convolutions to the output layer, as ONNX's recurrent operators want it.

In int8 the matrices of the recurrent layers and of the output layer are kept as whole numbers with
a scale for each column, and what meets them is rounded frame by frame, so that batch mates do not
matter there either. The state of a cell lies between -1 and 1 by its nature, so its scale is
known. ONNX has no recurrent operators of that kind: the layers are written as loops over frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from inference.settings import Precision
from model_utils.networks.sizes import CEILING, KERNELS, STRIDES, output_bins
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

Weights = Mapping[str, NDArray[Any]]

FEATURES, FRAMES = "features", "frames"
"""Inputs: float32 [batch, frames, bins] and int64 [batch]."""

LOG_PROBS, OUTPUT_FRAMES, CLASSES = "log_probs", "output_frames", "classes"
"""Outputs: float32 [batch, output_frames, tokens], int64 [batch], and of a head int64 [batch]."""

OPSET, IR_VERSION = 18, 9
"""Old enough for the ONNX Runtime of 2023 (1.16)."""

EPSILON = 1e-5
"""Of all norms: the default of `networks.conv` and of Paddle, a test holds them together."""

_GATES = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2), "rnn": (0,)}
"""Where ONNX's gates stand among Paddle's: z r n of r z n, i o f c of i f c o."""

_HALF = 128
"""The whole number that stands for zero."""

_LARGE = 1 << 12
"""Bytes from which a constant may stand apart."""


def build(
    recogniser: Recogniser,
    weights: Weights,
    precision: Precision,
    apart: dict[str, NDArray[Any]] | None = None,
) -> onnx.ModelProto:
    """The graph of a recogniser without a front end.

    Args:
        recogniser: its sizes.
        weights: by the names that they have in a checkpoint, of the shapes that `shapes` tells.
        precision: of the matrices.
        apart: gets the large constants by their names, to be handed to ONNX Runtime beside the
            graph, which without them is small; None: the graph has them.
    """
    return _Recogniser(recogniser, weights, precision, apart).model()


def shapes(recogniser: Recogniser) -> dict[str, tuple[int, ...]]:
    """The shape of each weight of a recogniser without a front end, by its name."""
    sizes, found = recogniser.network, dict[str, tuple[int, ...]]()

    def norm(name: str, width: int, kind: str) -> None:
        layer = kind == "layer"
        parts = ("weight", "bias") if layer else ("scale", "shift", "mean", "variance")
        found.update({f"{name}.{part}": (width,) for part in parts})

    channels = (KERNELS[0][1], *[sizes.conv_channels] * (sizes.num_conv_layers - 1))
    for layer, before in enumerate(channels):
        kernel = (KERNELS[0][0], 1) if layer == 0 else KERNELS[layer]
        weight = f"conv.convolutions.{layer}.conv.weight"
        found[weight] = (sizes.conv_channels, before, *kernel)
        norm(f"conv.norms.{layer}", sizes.conv_channels, "batch")
    width = sizes.conv_channels * output_bins(recogniser.num_bins, sizes.num_conv_layers)
    rows = len(_GATES[sizes.rnn_type]) * sizes.rnn_layer_size
    ends = _ends(sizes)
    for layer in range(sizes.num_rnn_layers):
        norm(f"rnn.norms.{layer}.norm", width, sizes.rnn_norm)
        for end in ends:
            prefix = f"rnn.layers.{layer}."
            found[f"{prefix}weight_ih_l0{end}"] = (rows, width)
            found[f"{prefix}weight_hh_l0{end}"] = (rows, sizes.rnn_layer_size)
            found[f"{prefix}bias_ih_l0{end}"] = found[f"{prefix}bias_hh_l0{end}"] = (rows,)
        width = len(ends) * sizes.rnn_layer_size
    if sizes.lookahead and len(ends) == 1:
        found["rnn.lookahead.conv.weight"] = (width, 1, sizes.lookahead + 1)
    norm("rnn.output_norm.norm", width, sizes.rnn_norm)
    layers = {"output": len(recogniser.vocabulary)}
    if recogniser.head is not None:
        layers["head.linear"] = len(recogniser.head.names)
    for name, columns in layers.items():
        found |= {f"{name}.weight": (width, columns), f"{name}.bias": (columns,)}
    return found


def weights_of(recogniser: Recogniser, saved: Checkpoint) -> Weights:
    """The weights of a checkpoint, all that `build` needs and no others.

    Raises:
        InputError: they do not fit the sizes.
    """
    return checkpoint.fitting(saved, shapes(recogniser), _second_names(recogniser))


def _second_names(recogniser: Recogniser) -> list[str]:
    """Names under which Paddle lists the weights of the recurrent layers once more."""
    layers, ends = range(recogniser.network.num_rnn_layers), _ends(recogniser.network)
    cells = ("cell",) if len(ends) == 1 else ("cell_fw", "cell_bw")
    parts = [f"{kind}_{of}h" for kind in ("weight", "bias") for of in "ih"]
    return [f"rnn.layers.{n}.0.{cell}.{part}" for n in layers for cell in cells for part in parts]


def _ends(sizes: NetworkSettings) -> tuple[str, ...]:
    """What the names of a recurrent layer's weights end in, for each direction."""
    return ("", "_reverse") if sizes.rnn_direction == "bidirectional" else ("",)


@dataclass
class _Graph:
    """A graph that grows; values are known by their names.

    Constants are written where they stay: onnx's helpers would copy all weights twice.
    """

    prefix: str = ""
    proto: onnx.GraphProto = field(default_factory=onnx.GraphProto)
    apart: dict[str, NDArray[Any]] | None = None

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output: its name."""
        return self.add_several(operator, *inputs, count=1, **attributes)[0]

    def add_several(self, operator: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """A node with `count` outputs: their names."""
        names = [f"{self.prefix}{operator}{len(self.proto.node)}_{i}" for i in range(count)]
        self.proto.node.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def constant(self, values: Any, kind: Any = np.float32) -> str:
        """A constant tensor: its name."""
        name = f"{self.prefix}constant{len(self.proto.initializer)}"
        array = np.asarray(values, dtype=np.dtype(kind).newbyteorder("<"))
        tensor = self.proto.initializer.add()
        tensor.name, tensor.dims[:] = name, array.shape
        tensor.data_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        if self.apart is None or array.nbytes < _LARGE:
            tensor.raw_data = array.tobytes()
        else:
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="memory")
            self.apart[name] = np.ascontiguousarray(array)
        return name

    def whole(self, *values: int) -> str:
        """Axes, sizes: int64 [n]."""
        return self.constant(values, np.int64)

    def size(self, value: str, axis: int) -> str:
        """The size of `value` along `axis`, int64 []."""
        return self.add("Squeeze", self.add("Shape", value, start=axis, end=axis + 1))


class _Recogniser(_Graph):
    """The graph of a whole network, see `build`."""

    def __init__(
        self,
        recogniser: Recogniser,
        weights: Weights,
        precision: Precision,
        apart: dict[str, NDArray[Any]] | None,
    ) -> None:
        opsets = [helper.make_opsetid("", OPSET)]
        self.whole_model = onnx.ModelProto(ir_version=IR_VERSION, opset_import=opsets)
        super().__init__(proto=self.whole_model.graph, apart=apart)
        self.recogniser = recogniser
        self.settings = recogniser.network
        self.weights = weights
        self.precision = precision

    def model(self) -> onnx.ModelProto:
        x, mask, frames = self.convolutions()
        width = self.settings.rnn_layer_size
        for layer in range(self.settings.num_rnn_layers):
            x = self.recurrent(layer, self.norm(f"rnn.norms.{layer}", x), mask, frames)
        if "rnn.lookahead.conv.weight" in self.weights:
            x = self.lookahead(x, width)
        x = self.norm("rnn.output_norm", x)
        outputs = [
            helper.make_tensor_value_info(
                LOG_PROBS,
                TensorProto.FLOAT,
                ["batch", "output_frames", len(self.recogniser.vocabulary)],
            ),
            helper.make_tensor_value_info(OUTPUT_FRAMES, TensorProto.INT64, ["batch"]),
        ]
        if self.recogniser.head is not None:
            outputs.append(helper.make_tensor_value_info(CLASSES, TensorProto.INT64, ["batch"]))
            self.name(self.head(x, mask, frames), CLASSES)
        x = self.add("Transpose", x, perm=[1, 0, 2])
        weight, bias = self.weights["output.weight"], self.weights["output.bias"]
        x = self.add("Add", self.product(self, x, weight), self.constant(bias))
        self.name(self.add("LogSoftmax", x, axis=-1), LOG_PROBS)
        self.name(frames, OUTPUT_FRAMES)
        bins = self.recogniser.num_bins
        inputs = [
            helper.make_tensor_value_info(FEATURES, TensorProto.FLOAT, ["batch", "frames", bins]),
            helper.make_tensor_value_info(FRAMES, TensorProto.INT64, ["batch"]),
        ]
        self.proto.name = "deepspeech2"
        self.proto.input.extend(inputs)
        self.proto.output.extend(outputs)
        return self.whole_model

    def name(self, value: str, name: str) -> None:
        """Give an output its name."""
        self.proto.node.append(helper.make_node("Identity", [value], [name]))

    def mask(self, frames: str, longest: str) -> str:
        """1 at valid frames, 0 in the padding: float32 [batch, longest]."""
        zero, one = self.constant(0, np.int64), self.constant(1, np.int64)
        numbers = self.add("Range", zero, longest, one)
        valid = self.add("Less", numbers, self.add("Unsqueeze", frames, self.whole(1)))
        return self.add("Cast", valid, to=TensorProto.FLOAT)

    def convolutions(self) -> tuple[str, str, str]:
        """[frames', batch, values], its mask [frames', batch, 1], and valid frames [batch]."""
        frames = FRAMES
        mask = self.mask(frames, self.size(FEATURES, 1))
        x = self.add("Mul", FEATURES, self.add("Unsqueeze", mask, self.whole(2)))
        x = self.add("Unsqueeze", self.add("Transpose", x, perm=[0, 2, 1]), self.whole(1))
        for layer in range(self.settings.num_conv_layers):
            kernel, stride = KERNELS[layer], STRIDES[layer]
            weight = self.weights[f"conv.convolutions.{layer}.conv.weight"]
            if layer == 0:
                weight = weight.transpose(0, 3, 2, 1)  # [channels, taps, bins, 1], see `time_taps`
            scale, shift = self.affine(f"conv.norms.{layer}")
            x = self.add(
                "Conv",
                x,
                self.constant(weight * scale[:, None, None, None]),
                self.constant(shift),
                kernel_shape=kernel,
                strides=stride,
                pads=[kernel[0] // 2, kernel[1] // 2] * 2,
            )
            x = self.add("Clip", x, self.constant(0.0), self.constant(CEILING))
            if stride[1] > 1:
                more = self.add("Add", frames, self.constant(stride[1] - 1, np.int64))
                frames = self.add("Div", more, self.constant(stride[1], np.int64))
                mask = self.mask(frames, self.size(x, 3))
            x = self.add("Mul", x, self.add("Unsqueeze", mask, self.whole(1, 2)))
        x = self.add("Transpose", x, perm=[3, 0, 1, 2])
        width = len(self.weights["rnn.layers.0.weight_ih_l0"][0])
        x = self.add("Reshape", x, self.whole(0, 0, width), allowzero=0)
        mask = self.add("Transpose", mask, perm=[1, 0])
        return x, self.add("Unsqueeze", mask, self.whole(2)), frames

    def affine(self, norm: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Scale and shift [channels] that a batch norm comes to in evaluation."""
        part = {name: self.weights[f"{norm}.{name}"] for name in ("scale", "shift", "mean")}
        scale = part["scale"] / np.sqrt(self.weights[f"{norm}.variance"] + np.float32(EPSILON))
        return scale, part["shift"] - part["mean"] * scale

    def norm(self, name: str, x: str) -> str:
        """Normalised [frames, batch, values]; what stands in the padding is never looked at."""
        if self.settings.rnn_norm == "layer":
            scale = self.constant(self.weights[f"{name}.norm.weight"])
            shift = self.constant(self.weights[f"{name}.norm.bias"])
            return self.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=EPSILON)
        factor, offset = self.affine(f"{name}.norm")
        return self.add("Add", self.add("Mul", x, self.constant(factor)), self.constant(offset))

    def directions(self, layer: int) -> list[list[NDArray[np.float32]]]:
        """Of each direction the weights of input and state, [gates, values], and their biases."""
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        prefix = f"rnn.layers.{layer}."
        return [
            [self.weights[f"{prefix}{name}{end}"] for name in names] for end in _ends(self.settings)
        ]

    def recurrent(self, layer: int, x: str, mask: str, frames: str) -> str:
        """[frames, batch, values] -> [frames, batch, units of all directions], padding zero."""
        if self.precision == "int8":
            return self.loop(layer, x, mask)
        cell, units = self.settings.rnn_type, self.settings.rnn_layer_size
        order = _GATES[cell]
        parts: list[list[NDArray[np.float32]]] = [
            [part.reshape(len(order), units, -1)[list(order)] for part in direction]
            for direction in self.directions(layer)
        ]
        width = parts[0][0].shape[-1]
        inputs = np.stack([part[0].reshape(-1, width) for part in parts])
        states = np.stack([part[1].reshape(-1, units) for part in parts])
        biases = np.stack([np.concatenate([p[2].ravel(), p[3].ravel()]) for p in parts])
        # The operators want a frame at least; what they make of a clip without one is masked.
        counts = self.add("Max", frames, self.constant(1, np.int64))
        x = self.add(
            cell.upper(),
            x,
            *map(self.constant, (inputs, states, biases)),
            self.add("Cast", counts, to=TensorProto.INT32),
            hidden_size=units,
            direction="bidirectional" if len(parts) > 1 else "forward",
            **({"linear_before_reset": 1} if cell == "gru" else {}),
        )
        x = self.add("Transpose", x, perm=[0, 2, 1, 3])
        x = self.add("Reshape", x, self.whole(0, 0, len(parts) * units))
        return self.add("Mul", x, mask)

    def loop(self, layer: int, x: str, mask: str) -> str:
        """`recurrent`, with matrices of whole numbers; both directions in one loop."""
        units, parts = self.settings.rnn_layer_size, self.directions(layer)
        count = len(parts)
        batch = self.add("Shape", x, start=1, end=2)
        size = self.add("Concat", batch, self.whole(units), axis=0)
        zero = self.add("Expand", self.constant([0.0]), size)
        body = _Graph(f"layer{layer}_")
        rows = self.rounded(self, x)
        gates, first, after, steps = [], [], [], []
        per_cell = 2 if self.settings.rnn_type == "lstm" else 1
        for number, (inputs, states, bias, state_bias) in enumerate(parts):
            projected = self.product(self, x, inputs.T, rows)
            gates.append(self.add("Add", projected, self.constant(bias)))
            old = [f"{body.prefix}old{number}_{i}" for i in range(per_cell)]
            first += old
            inside = f"{body.prefix}gates{number}"
            valid = f"{body.prefix}mask{number}"
            steps += [(inside, valid)]
            state = body.add(
                "Add", self.product(body, old[0], states.T, fixed=True), body.constant(state_bias)
            )
            new = self.cell(body, inside, state, old)
            after += [body.add("Mul", value, valid) for value in new]
        shown = [body.add("Identity", value) for value in after[::per_cell]]
        scanned = [name for name, _ in steps] + [name for _, name in steps]
        both = list(range(count))  # 1 is backwards, as the second direction
        body.proto.name = "frame"
        body.proto.input.extend(map(_value, (*first, *scanned)))
        body.proto.output.extend(map(_value, (*after, *shown)))
        found = self.add_several(
            "Scan",
            *[zero] * len(first),
            *gates,
            *[mask] * count,
            count=len(after) + count,
            body=body.proto,
            num_scan_inputs=2 * count,
            scan_input_directions=[*both, *both],
            scan_output_directions=both,
        )
        return self.add("Concat", *found[len(after) :], axis=-1)

    def cell(self, body: _Graph, inputs: str, states: str, old: list[str]) -> list[str]:
        """A step of the cell: [batch, gates * units] of input and state, old -> new state."""
        kind, units = self.settings.rnn_type, self.settings.rnn_layer_size
        if kind == "rnn":
            return [body.add("Tanh", body.add("Add", inputs, states))]
        sizes = body.whole(*[units] * len(_GATES[kind]))
        if kind == "gru":
            reset, update, fresh = body.add_several("Split", inputs, sizes, count=3, axis=-1)
            resets, updates, past = body.add_several("Split", states, sizes, count=3, axis=-1)
            reset = body.add("Sigmoid", body.add("Add", reset, resets))
            update = body.add("Sigmoid", body.add("Add", update, updates))
            new = body.add("Tanh", body.add("Add", fresh, body.add("Mul", reset, past)))
            kept = body.add("Mul", update, body.add("Sub", old[0], new))
            return [body.add("Add", new, kept)]
        summed = body.add("Add", inputs, states)
        gate = body.add_several("Split", summed, sizes, count=4, axis=-1)
        enters, forgets, leaves = (body.add("Sigmoid", gate[i]) for i in (0, 1, 3))
        entering = body.add("Mul", enters, body.add("Tanh", gate[2]))
        memory = body.add("Add", body.add("Mul", forgets, old[1]), entering)
        return [body.add("Mul", leaves, body.add("Tanh", memory)), memory]

    def rounded(self, graph: _Graph, x: str, fixed: bool = False) -> tuple[str, str]:
        """`x` in whole numbers and the step between two of these, for each frame.

        Args:
            graph: that gets the nodes.
            x: [..., values].
            fixed: the values lie between -1 and 1.
        """
        half = graph.constant(_HALF, np.uint8)
        if fixed:
            step = graph.constant(1 / (_HALF - 1))
            return graph.add("QuantizeLinear", x, step, half), step
        largest = graph.add("ReduceMax", graph.add("Abs", x), graph.whole(-1), keepdims=1)
        tiny = graph.constant(np.float32(1e-20))  # of a frame of zeros nothing is left either way
        step = graph.add("Max", graph.add("Div", largest, graph.constant(_HALF - 1.0)), tiny)
        one = graph.constant(1.0)
        return graph.add("QuantizeLinear", graph.add("Div", x, step), one, half), step

    def product(
        self,
        graph: _Graph,
        x: str,
        weight: NDArray[np.float32],
        rows: tuple[str, str] | None = None,
        fixed: bool = False,
    ) -> str:
        """`x` [..., values] times `weight` [values, columns].

        Args:
            graph: that gets the nodes.
            x: a value of that graph.
            weight: constant.
            rows: what `rounded` made of `x` already.
            fixed: see `rounded`.
        """
        if self.precision == "float32":
            return graph.add("MatMul", x, graph.constant(weight))
        scale = np.maximum(np.abs(weight).max(axis=0), np.float32(1e-20)) / (_HALF - 1)
        whole = graph.constant(np.rint(weight / scale) + _HALF, np.uint8)
        half = graph.constant(_HALF, np.uint8)
        values, step = rows or self.rounded(graph, x, fixed)
        found = graph.add("MatMulInteger", values, whole, half, half)
        found = graph.add("Cast", found, to=TensorProto.FLOAT)
        # One after the other: of their product ONNX Runtime (1.31.1) would make one operator with
        # the columns' scales, which takes the steps of all rows for a single one.
        return graph.add("Mul", graph.add("Mul", found, graph.constant(scale)), step)

    def lookahead(self, x: str, width: int) -> str:
        """[frames, batch, width], padding zero -> each frame with those that follow."""
        weight = self.weights["rnn.lookahead.conv.weight"]  # [width, 1, context + 1]
        x = self.add("Transpose", x, perm=[1, 2, 0])
        pads = [0, weight.shape[-1] - 1]
        x = self.add("Conv", x, self.constant(weight), group=width, pads=pads)
        return self.add("Transpose", x, perm=[2, 0, 1])

    def head(self, x: str, mask: str, frames: str) -> str:
        """The class of each utterance, int64 [batch], of the mean over its valid frames."""
        total = self.add("ReduceSum", self.add("Mul", x, mask), self.whole(0), keepdims=0)
        counts = self.add("Max", frames, self.constant(1, np.int64))
        counts = self.add("Cast", counts, to=TensorProto.FLOAT)
        mean = self.add("Div", total, self.add("Unsqueeze", counts, self.whole(1)))
        weight, bias = self.weights["head.linear.weight"], self.weights["head.linear.bias"]
        scores = self.add("Gemm", mean, self.constant(weight), self.constant(bias))
        return self.add("ArgMax", scores, axis=-1, keepdims=0)


def _value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
