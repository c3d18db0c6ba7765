"""What `scale` compares with: every line of a manifest as a dict in a list, as older packages did.

Of the standard library alone.
"""

import json
import random
import time
from pathlib import Path

from benchmarks.answering import answer
from benchmarks.memory import own_mb, peak_mb

BATCH_SIZE = 32


def run(path: str) -> dict[str, float]:
    """Read a manifest, and plan an epoch: utterances by length, batches in random order.

    Returns:
        Seconds of each step and MB after it, by the names of `scale.STEPS` and `scale.SIZES`.
    """
    found = {"start_mb": own_mb()}
    started = time.perf_counter()
    with Path(path).open(encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    found["open"] = time.perf_counter() - started
    found["open_mb"] = own_mb()
    for step in ("plan", "reshuffle"):
        started = time.perf_counter()
        lines.sort(key=lambda line: line["duration"])
        starts = list(range(0, len(lines), BATCH_SIZE))
        random.Random(1).shuffle(starts)
        plan = [lines[start : start + BATCH_SIZE] for start in starts]
        found[step] = time.perf_counter() - started
    found["plan_mb"], found["peak_mb"] = own_mb(), peak_mb()
    assert len(plan) == len(starts), "every batch is in the plan"
    return found


if __name__ == "__main__":
    answer(run=run)
