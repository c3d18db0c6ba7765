"""Prove that convolutions compiled for oneDNN compute what the plain ones do, on this machine.

Run by `runtime` as a process of its own: `python -m model_utils.engine_proof LAYERS CHANNELS BINS`.
Real layer shapes, five lengths; outputs in training and evaluation and every gradient in training
are compared (nobody asks for gradients in evaluation, and the compiled region has none there). Exit
code 0 says that all agree, `runtime.DISAGREE` that something differs; after anything else, a crash
included, the engine is not to be used either.
"""

import sys
from typing import TYPE_CHECKING

from model_utils.runtime import DISAGREE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model_utils.networks.conv import ConvolutionStack

LENGTHS = (64, 163, 90, 301, 7)
TOLERANCE = 1e-3
"""Largest difference allowed, relative to the largest value of the plain result. Gradients summed
over 100,000 values that nearly cancel differ by 1e-4; what is wrong was never less than 0.1 off."""


def compare(num_layers: int, channels: int, num_bins: int) -> str:
    """First disagreement between the engines, empty if there is none."""
    import numpy as np

    from model_utils.networks.conv import ConvolutionStack

    plain = ConvolutionStack(num_bins, channels, num_layers)
    fast = ConvolutionStack(num_bins, channels, num_layers, compile_convolutions=True)
    for norm in (*plain.norms, *fast.norms):
        # Plain in both engines; at its corners the smallest rounding turns a gradient on or off.
        norm.ceiling = None
    random = np.random.default_rng(0)
    for training in (True, False):
        for frames in LENGTHS:
            fast.set_state_dict(plain.state_dict())
            features = random.standard_normal((3, frames, num_bins)).astype("float32")
            lengths = np.array([frames, max(1, frames - 3), max(1, frames // 2)])
            results = [_run(stack, features, lengths, training) for stack in (plain, fast)]
            for name, expected in results[0].items():
                scale = float(np.abs(expected).max()) or 1.0
                error = float(np.abs(results[1][name] - expected).max()) / scale
                if not error <= TOLERANCE:
                    mode = "training" if training else "evaluation"
                    return f"{name} off by {error:.1e} at {frames} frames in {mode}"
    return ""


def _run(
    stack: "ConvolutionStack",
    features: "NDArray[np.float32]",
    lengths: "NDArray[np.int64]",
    training: bool,
) -> "dict[str, NDArray[np.float32]]":
    import numpy as np
    import paddle

    x = paddle.to_tensor(features, stop_gradient=not training)
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
    return {"output": y.numpy(), "gradient of the input": x.grad.numpy(), **gradients}


if __name__ == "__main__":
    problem = compare(*map(int, sys.argv[1:4]))
    print(problem or "the engines agree")
    sys.exit(DISAGREE if problem else 0)
