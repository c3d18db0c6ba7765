"""The measured end of a `peers.Side`: answers questions, a line of JSON each.

Of the standard library and NumPy alone: it runs in environments of peers, which have nothing of
this package.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any


def answer(**functions: Callable[..., Any]) -> None:
    """Answer questions on standard input until it ends.

    A question names one of `functions` and its arguments; `versions` of packages is known to all.
    An exception ends the process, its last line on standard error says why.
    """
    functions["versions"] = versions
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as channel:
        os.dup2(2, 1)  # what libraries print must not come between the answers
        for line in sys.stdin:
            name, arguments = json.loads(line)
            channel.write(json.dumps(functions[name](**arguments)) + "\n")
            channel.flush()


def versions(packages: list[str]) -> dict[str, str]:
    """The version of each package."""
    return {package: metadata.version(package) for package in packages}


def on_samples(named: Mapping[str, Callable[[Any], Any]]) -> dict[str, Callable[..., Any]]:
    """Two functions to answer with, about functions of samples `[n]` that give an array.

    `measure(name, clip, amount, seconds)` is the `rate` of one of them, for the samples in the file
    `clip` (npy), and `save(name, clip, path)` writes what it gives.
    """
    import numpy as np

    def measure(name: str, clip: str, amount: float, seconds: float) -> float:
        return rate(functools.partial(named[name], np.load(clip)), amount, seconds)

    def save(name: str, clip: str, path: str) -> None:
        np.save(path, named[name](np.load(clip)))

    return {"measure": measure, "save": save}


def rate(action: Callable[[], object], amount: float, seconds: float) -> float:
    """How much `action` does in a second, after a first call that does not count.

    Args:
        action: what is measured.
        amount: what one call of it does, in any unit.
        seconds: how long it is repeated at least.
    """
    action()
    calls, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds or not calls:
        action()
        calls += 1
    return calls * amount / passed
