"""Manifests of a thousand to ten million lines: how long a training takes to begin, and memory.

No recording is read. Each size is measured in a process of its own, and so is a list of dicts, the
way in which older packages hold a manifest.
"""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import (
    MeasuringSettings,
    Report,
    Section,
    Spread,
    interleaved,
    number,
    ratio,
)
from benchmarks.peers import Side
from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import Options

STEPS = {
    "open": "open: every line is parsed once, its labels checked, its duration kept",
    "plan": "batches of the first epoch",
    "padding": "how much of them is padding",
    "heaviest": "the heaviest batch",
    "workers": "start of the workers, to the first batch",
}
"""What stands between a training's start and its first batch; the seconds add up."""

LATER = {
    "reshuffle": "batches of another epoch",
    "resume": "the place inside an epoch to resume at",
    "digest": "digest of the manifest, for a store",
}

SIZES = {
    "start_mb": "before",
    "open_mb": "opened",
    "plan_mb": "with the batches of an epoch",
    "worker_mb": "of a worker",
    "all_mb": "of all processes together",
    "peak_mb": "the most that the process had",
}

TEXT = "近几年不但我用书给女儿压岁也劝说亲朋"
LINE_BYTES = 180
LARGE = 1_000_000
"""Larger ones are measured once, and not held as a list, which would take 1 GB a million."""
WORKERS = 2
_BLOCK = 100_000

Runs = Mapping[int, Sequence[Mapping[str, float]]]
"""By lines: of each round what was found, see `scale_ours.run`."""


@dataclass(frozen=True)
class ScaleSettings:
    """What is measured."""

    lines: tuple[int, ...] = option(
        (1_000, 100_000, 10_000_000), "sizes of the manifests, separated by commas"
    )


SETTINGS = (MeasuringSettings, ScaleSettings)


def measure(options: Options) -> Report:
    """The two tables: seconds and memory."""
    sizes, rounds = options[ScaleSettings].lines, options[MeasuringSettings].rounds
    _check(sizes)
    ours: dict[int, Sequence[Mapping[str, float]]] = {}
    lists: dict[int, Sequence[Mapping[str, float]]] = {}
    for lines in sizes:
        with _manifest(lines) as path:
            contestants: dict[str, Callable[[], dict[str, float]]] = {
                "ours": functools.partial(_ours, path)
            }
            if lines <= LARGE:
                contestants["list"] = functools.partial(_listed, path)
            found = interleaved(contestants, rounds if lines <= LARGE else 1)
        ours[lines], lists[lines] = found["ours"], found.get("list", [])
    report = Report()
    _seconds(ours, lists, report)
    _memory(ours, lists, report)
    return report


def _check(sizes: Sequence[int]) -> None:
    if not sizes or min(sizes) < 1:
        raise InputError("--lines: numbers above 0 expected, separated by commas")
    free, needed = shutil.disk_usage(tempfile.gettempdir()).free, max(sizes) * LINE_BYTES
    if needed > free:
        raise InputError(
            f"--lines={max(sizes)}: {needed / 1e9:.1f} GB are needed in {tempfile.gettempdir()}, "
            f"{free / 1e9:.1f} are free; give fewer, or another folder by TMPDIR"
        )


@contextlib.contextmanager
def _manifest(lines: int) -> Iterator[Path]:
    """A manifest of so many lines, of utterances of 1 to 15 s; removed in the end."""
    import numpy as np

    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "manifest.train"
        with path.open("w", encoding="utf-8") as stream:
            for start in range(0, lines, _BLOCK):
                seconds = rng.uniform(1, 15, min(_BLOCK, lines - start)).round(3).tolist()
                stream.writelines(
                    f'{{"audio_filepath": "dataset/audio/{number // 500:05d}/{number:08d}.wav", '
                    f'"duration": {duration}, "text": "{TEXT}"}}\n'
                    for number, duration in enumerate(seconds, start)
                )
        yield path


def _ours(path: Path) -> dict[str, float]:
    with Side("benchmarks.scale_ours") as side:
        found: dict[str, float] = side("run", path=str(path), num_workers=WORKERS)
    return found


def _listed(path: Path) -> dict[str, float]:
    with Side("benchmarks.scale_list") as side:
        found: dict[str, float] = side("run", path=str(path))
    return found


def _seconds(ours: Runs, lists: Runs, report: Report) -> None:
    rows = [(what, *_cells(ours, name)) for name, what in (STEPS | LATER).items()]
    begun: list[str] = []
    for lines, runs in ours.items():
        total = Spread.of([sum(run[name] for name in STEPS) for run in runs])
        begun.append(f"{total}")
        report.figures[f"scale {lines:,} lines to the first batch"] = f"{number(total.median)} s"
        for name in LATER:
            seconds = Spread.of([run[name] for run in runs])
            report.figures[f"scale {lines:,} lines {name}"] = f"{number(seconds.median)} s"
        if lists[lines]:
            times = ratio([run["open"] for run in lists[lines]], [run["open"] for run in runs])
            report.figures[f"scale {lines:,} lines open to a list"] = f"{number(times.median)}x"
    rows.insert(len(STEPS), ("all of these, to the first batch", *begun))
    rows += [
        (f"list of dicts: {name}", *_cells(lists, name)) for name in ("open", "plan", "reshuffle")
    ]
    report.sections.append(
        Section(
            "Seconds",
            f"The file was just written and is in the system's memory. Of the list no labels are "
            f"checked. More than {LARGE:,} lines are measured once, and not as a list.",
            ("step", *(f"{lines:,} lines" for lines in ours)),
            rows,
        )
    )


def _memory(ours: Runs, lists: Runs, report: Report) -> None:
    rows = [(what, *_cells(ours, name)) for name, what in SIZES.items()]
    rows += [
        (f"list of dicts: {SIZES[name]}", *_cells(lists, name))
        for name in ("open_mb", "plan_mb", "peak_mb")
    ]
    for lines, runs in ours.items():
        together = Spread.of([run["all_mb"] for run in runs])
        report.figures[f"scale {lines:,} lines memory"] = f"{number(together.median)} MB"
    report.sections.append(
        Section(
            "Memory",
            f"MB. What processes have together is counted once: `all` is the process that trains "
            f"and {WORKERS} workers, without network and recordings.",
            ("when", *(f"{lines:,} lines" for lines in ours)),
            rows,
        )
    )


def _cells(runs: Runs, name: str) -> list[str]:
    """The column of each size; empty where it was not measured."""
    return [
        f"{Spread.of([run[name] for run in found])}" if found else "" for found in runs.values()
    ]
