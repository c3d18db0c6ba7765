"""Prove that the fast engine computes what the plain one does, on this machine.

Run by `runtime` as a process of its own:
`python -m model_utils.engine_proof LAYERS CHANNELS BINS UNITS DIRECTION`, the last two those of GRU
layers, 0 and none where there are no such layers. Convolutions of real shapes and five lengths, and
a GRU layer of real size: outputs in training and evaluation and every gradient of a parameter in
training are compared (nobody asks for gradients in evaluation, and the compiled region has none
there). Exit code 0 says that all agree, `runtime.DISAGREE` that something differs; after anything
else, a crash included, the engine is not to be used either.
"""

import sys
from typing import TYPE_CHECKING

from model_utils.runtime import DISAGREE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from paddle import nn

    from model_utils.networks.conv import ConvolutionStack

LENGTHS = (64, 163, 90, 301, 7)
TOLERANCE = 1e-3
"""Largest difference allowed, relative to the largest value of the plain result. Gradients summed
over 100,000 values that nearly cancel differ by 1e-4; what is wrong was never less than 0.1 off."""


def compare(num_layers: int, channels: int, num_bins: int, units: int, *, direction: str) -> str:
    """First disagreement between the engines on CPU, empty if there is none.

    Args:
        num_layers: of convolutions.
        channels: of each.
        num_bins: feature bins of a frame.
        units: of each GRU layer; 0: the network has none.
        direction: in which they read, see `NetworkSettings.rnn_direction`.
    """
    import paddle

    paddle.device.set_device("cpu")  # a build for GPUs would take one
    return compare_convolutions(num_layers, channels, num_bins) or compare_gru(units, direction)


def compare_gru(units: int, direction: str) -> str:
    """First disagreement between the GRU layers, empty if there is none."""
    import numpy as np
    import paddle

    from model_utils.fast import gru
    from model_utils.networks.rnn import DIRECTIONS

    if not units or not gru.is_faster(units, direction):
        return ""
    plain, fast = (
        kind(64, units, direction=DIRECTIONS[direction]) for kind in (paddle.nn.GRU, gru.GRU)
    )
    fast.set_state_dict(plain.state_dict())
    lengths = np.array([3, 40, 1, 25, 40, 17, 9, 31, 2, 38, 12, 20])
    valid = np.arange(lengths.max()) < lengths[:, None]
    random = np.random.default_rng(0)
    features = (random.standard_normal((*valid.shape, 64)) * valid[:, :, None]).astype("float32")
    shape = (*valid.shape, units * (2 if direction == "bidirectional" else 1))
    weights = random.standard_normal(shape).astype("float32")

    def run(layer: "nn.GRU") -> "dict[str, NDArray[np.float32]]":
        x = paddle.to_tensor(features, stop_gradient=False)
        y, _ = layer(x, sequence_length=paddle.to_tensor(lengths))
        (y * paddle.to_tensor(weights)).sum().backward()
        gradients = {f"gradient of GRU {n}": p.grad.numpy() for n, p in layer.named_parameters()}
        return {"GRU output": y.numpy(), "gradient of GRU input": x.grad.numpy(), **gradients}

    return _difference(run(plain), run(fast))


def compare_convolutions(num_layers: int, channels: int, num_bins: int) -> str:
    """First disagreement between the convolutions, empty if there is none."""
    import numpy as np

    from model_utils.networks.conv import ConvolutionStack

    plain = ConvolutionStack(num_bins, channels, num_layers)
    fast = ConvolutionStack(num_bins, channels, num_layers, compile_convolutions=True)
    for norm in (*plain.norms, *fast.norms):
        # At its corners the smallest rounding turns a gradient on or off.
        norm.ceiling = None
    random = np.random.default_rng(0)
    for training in (True, False):
        for frames in LENGTHS:
            fast.set_state_dict(plain.state_dict())
            features = random.standard_normal((3, frames, num_bins)).astype("float32")
            lengths = np.array([frames, max(1, frames - 3), max(1, frames // 2)])
            problem = _difference(
                *(_run(stack, features, lengths, training) for stack in (plain, fast))
            )
            if problem:
                mode = "training" if training else "evaluation"
                return f"{problem} at {frames} frames in {mode}"
    return ""


def _difference(
    plain: "dict[str, NDArray[np.float32]]", fast: "dict[str, NDArray[np.float32]]"
) -> str:
    """The first value of `fast` that is not that of `plain`, empty if there is none."""
    import numpy as np

    for name, expected in plain.items():
        scale = float(np.abs(expected).max()) or 1.0
        error = float(np.abs(fast[name] - expected).max()) / scale
        if not error <= TOLERANCE:
            return f"{name} off by {error:.1e}"
    return ""


def _run(
    stack: "ConvolutionStack",
    features: "NDArray[np.float32]",
    lengths: "NDArray[np.int64]",
    training: bool,
) -> "dict[str, NDArray[np.float32]]":
    import numpy as np
    import paddle

    x = paddle.to_tensor(features)
    if not training:
        stack.eval()
        with paddle.no_grad():
            return {"output": stack(x, paddle.to_tensor(lengths))[0].numpy()}
    stack.train()
    y, _ = stack(x, paddle.to_tensor(lengths))
    stack.clear_gradients()
    weights = np.random.default_rng(1).standard_normal(y.shape).astype("float32")
    (y * paddle.to_tensor(weights)).sum().backward()
    gradients = {f"gradient of {name}": p.grad.numpy() for name, p in stack.named_parameters()}
    return {"output": y.numpy(), **gradients}


if __name__ == "__main__":
    *sizes, direction = sys.argv[1:]
    problem = compare(*map(int, sizes), direction=direction)
    print(problem or "the engines agree")
    sys.exit(DISAGREE if problem else 0)
