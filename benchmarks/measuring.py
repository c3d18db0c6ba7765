"""What every table does alike: runs that take turns, medians and their spread, Markdown.

Machines are shared and their clocks change: figures of one run are compared with each other, never
with those of another day. Contestants take turns, so that a slow minute falls on all of them.
"""

import datetime
import math
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from data_utils.errors import InputError
from data_utils.settings import option
from data_utils.workers import available_cores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from data_utils.excerpts import Listed

Answer = TypeVar("Answer")

TITLE = "# Benchmark: "
"""How the Markdown of every table begins."""

_THOUSAND = 1000


@dataclass(frozen=True)
class MeasuringSettings:
    """How often is measured; of tables in which time or memory is."""

    rounds: int = option(5, "how often each contestant is measured, in turns", minimum=1)


@dataclass(frozen=True)
class PlaceSettings:
    """Where the table goes."""

    output_path: str | None = option(
        None, "where the Markdown is written; None: benchmarks/tables/TABLE.md beside this command"
    )


def interleaved(
    contestants: Mapping[str, Callable[[], Answer]], rounds: int
) -> dict[str, list[Answer]]:
    """What each contestant answers, in rounds in which each is asked once.

    Every other round goes backwards, so that whatever rises or falls steadily meanwhile (heat,
    another user's work) is shared fairly.

    Args:
        contestants: by name; called without arguments.
        rounds: how many.
    """
    from tqdm import tqdm

    answers: dict[str, list[Answer]] = {name: [] for name in contestants}
    with tqdm(total=rounds * len(answers), unit=" runs", disable=None) as bar:
        for number in range(rounds):
            names = list(contestants)
            for name in reversed(names) if number % 2 else names:
                bar.set_postfix_str(name)
                answers[name].append(contestants[name]())
                bar.update()
    return answers


def of_each(
    items: "Listed", find: Callable[[int], Answer], path: str, noun: str, left_out: int = 0
) -> tuple[list[Answer], str]:
    """What is found of each item of a list; what cannot be used is left out, named on stderr.

    Args:
        items: recordings or utterances.
        find: answers for an item; raises AudioError where it cannot be used.
        path: of the list.
        noun: what its items are.
        left_out: how many were left out already, when the list was read.

    Returns:
        The answers, and how many there are, in words: "10 recordings, 2 left out".

    Raises:
        InputError: none is left.
    """
    from tqdm import tqdm

    from data_utils.examples import read_each

    indices = tqdm(range(len(items)), unit=f" {noun}", disable=None)
    answers, _, problems = read_each(indices, find, items.where)
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    if not answers:
        reason = f" ({problems[0]})" if problems else ""
        raise InputError(f"{path}: none of its {noun} can be used{reason}; mend it")
    left_out += len(problems)
    return answers, f"{len(answers)} {noun}" + (f", {left_out} left out" if left_out else "")


@dataclass(frozen=True)
class Spread:
    """Several values of one figure: their median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of `values`, at least one."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        low, high = number(self.low), number(self.high)
        return number(self.median) + (f" ({low} to {high})" if low != high else "")


def ratio(values: Sequence[float], others: Sequence[float]) -> Spread:
    """How many times `others` `values` are: the ratio of the medians.

    Its spread is that of the ratios within a round, between which it always lies: where all of a
    round's ratios are above r, so is that of the medians.

    Args:
        values: one for each round.
        others: of the same rounds, above 0.
    """
    of_rounds = [value / other for value, other in zip(values, others, strict=True)]
    return Spread(
        statistics.median(values) / statistics.median(others), min(of_rounds), max(of_rounds)
    )


def number(value: float) -> str:
    """`value` with three digits that count: 1,234, 123, 12.3, 0.00123; NaN is unknown."""
    if math.isnan(value):  # as memory is where there is no /proc
        return "unknown"
    if round(abs(value)) >= _THOUSAND:
        return f"{value:,.0f}"
    return f"{value:#.3g}".removesuffix(".") if value else "0"


def names(paths: Sequence[str]) -> list[str]:
    """A name for each file that no other one has.

    It is the file and its folder, and as many folders above as tell all apart: where they lie
    beyond that is nobody's business.

    Raises:
        InputError: a file is named twice.
    """
    places: set[Path] = set()
    for path in paths:
        if (place := Path(path).resolve()) in places:
            raise InputError(f"{path}: named twice; leave one out")
        places.add(place)
    parts, count = [Path(path).parts for path in paths], 2
    while len({one[-count:] for one in parts}) < len(parts):
        count += 1
    return [Path(*one[-count:]).as_posix() for one in parts]


@dataclass(frozen=True)
class Section:
    """A part of a report: a heading, what is to be said, a table."""

    heading: str
    text: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]

    def markdown(self) -> str:
        """The section; its first column is text, the others are numbers."""
        lines = [f"## {self.heading}", "", *([self.text, ""] if self.text else [])]
        lines.append(_row(self.header))
        lines.append(_row(["---", *["---:"] * (len(self.header) - 1)]))
        return "\n".join([*lines, *map(_row, self.rows)])


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


@dataclass
class Report:
    """What a table found.

    `figures` are the few that matter, by name: "features fbank to librosa" is "1.24x". They are
    printed at the end, a line each.
    """

    sections: list[Section] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    """Of what was measured, by package."""
    peers: dict[str, str] = field(default_factory=dict)
    """Of what stands in the environment of the peers."""
    picture: "Figure | None" = None
    """Goes into a file of its own beside the page, where there is one."""

    def lines(self) -> list[str]:
        """A line for each figure."""
        return [f"{name}: {value}" for name, value in self.figures.items()]

    def markdown(
        self, table: str, description: str, facts: Sequence[str], picture: str = ""
    ) -> str:
        """The whole page.

        Args:
            table: its name.
            description: what is measured.
            facts: under what circumstances, a line each.
            picture: the name of its file, where there is one.
        """
        told = list(facts)
        for whose, versions in (("versions", self.versions), ("peers", self.peers)):
            if versions:
                told.append(f"{whose}: {', '.join(map(' '.join, versions.items()))}")
        listed = "\n".join(f"- {fact}" for fact in told)
        figures = "\n".join(["```", *self.lines(), "```"])
        parts = [f"{TITLE}{table}", description, listed, figures]
        if self.picture is not None:
            parts.append(f"![{description}]({picture})")
        return "\n\n".join([*parts, *(part.markdown() for part in self.sections)]) + "\n"


def machine() -> str:
    """The processor, cores, memory and system in a line."""
    cores, allowed = os.cpu_count() or 1, available_cores()
    share = f"{cores} cores" if allowed == cores else f"{allowed} of {cores} cores"
    return f"{_processor()}, {share}, {_memory_gb()}; {platform.system()} {platform.release()}"


def today() -> str:
    """The date, as the table tells it."""
    return datetime.date.today().isoformat()


def load() -> str:
    """How many processes wanted to run in the minute before: others' work shows here."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def versions_of(*packages: str) -> dict[str, str]:
    """The versions of packages that are installed beside this one."""
    return {package: metadata.version(package) for package in packages}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gb() -> str:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return "memory unknown"
    return f"{total / 2**30:.0f} GB"
