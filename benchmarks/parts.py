"""Where the time of a training step goes: which part of the network has how much of it.

Of the standard library alone, as `answering`: networks of Paddle and of PyTorch have the same
hooks.
"""

import contextlib
import itertools
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_PARTS = {
    r"conv\.convolutions\.0": "convolution 1",
    r"conv\.convolutions\.[1-9]": "convolution 2",
    r"conv\.norms\.\d+|conv\.clip": "norms of the convolutions",
    r"rnn\.norms\.\d+|rnn\.output_norm": "norms of the recurrent layers",
    r"rnn\.layers\.\d+": "recurrent layers",
    r"output": "output layer",
}
"""The layers of a network by their names. A third convolution counts as the second."""

FIRST, LAST = "conv.convolutions.0", "output"

CTC, OPTIMIZER, REST = "CTC", "clip and optimizer", "transposes, masks and copies"
FORWARD, BACKWARD = "forward", "backward"
PARTS = (*_PARTS.values(), REST, CTC, OPTIMIZER)
"""In the order of a step."""

Noted = dict[str, dict[str, float]]
"""Seconds of each part in each direction; CTC and what comes after have one alone."""


@contextlib.contextmanager
def noting(
    layers: Iterable[tuple[str, Any]], is_differentiated: Callable[[Any], bool]
) -> Iterator[Noted]:
    """The seconds of each part of the step that is made inside, known at the end.

    Notes by hooks when a step comes into a layer and out of it again, forward, and with the
    gradients of its output and input, backward. From the last layer's output to its gradient it
    is with CTC; from the first layer's last gradient on with the optimizer.

    Args:
        layers: all of a network, by name.
        is_differentiated: whether a tensor gets a gradient.
    """
    noted: Noted = defaultdict(lambda: defaultdict(float))
    marks: list[tuple[float, str, str, str]] = []
    hooks: list[Any] = []

    def mark(part: str, direction: str = "", name: str = "") -> None:
        marks.append((time.perf_counter(), part, direction, name))

    def listen(name: str, layer: Any, part: str) -> None:
        def begin_backward(_: Any) -> None:
            mark(part, BACKWARD, name)

        def end_backward(_: Any) -> None:
            # Where the input is another layer's output, that one may have begun already.
            if marks[-1][-1] == name:
                mark(REST, BACKWARD)

        def before(_: Any, inputs: tuple[Any, ...]) -> None:
            if is_differentiated(inputs[0]):
                inputs[0].register_hook(end_backward)
            mark(part, FORWARD)

        def after(_: Any, inputs: tuple[Any, ...], output: Any) -> None:
            mark(*((CTC, "") if name == LAST else (REST, FORWARD)))
            (output[0] if isinstance(output, tuple) else output).register_hook(begin_backward)

        hooks.append(layer.register_forward_pre_hook(before))
        register = getattr(layer, "register_forward_post_hook", None)  # PyTorch leaves "post" out
        hooks.append((register or layer.register_forward_hook)(after))

    for name, layer in layers:
        for pattern, part in _PARTS.items():
            if re.fullmatch(pattern, name):
                listen(name, layer, part)
        if name == FIRST:
            [weight] = layer.parameters()
            hooks.append(weight.register_hook(lambda _: mark(OPTIMIZER)))
    mark(REST, FORWARD)
    try:
        yield noted
    finally:
        for hook in hooks:
            hook.remove()
    mark("")
    for (started, part, direction, _), (ended, *_) in itertools.pairwise(marks):
        noted[part][direction] += ended - started
