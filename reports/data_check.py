"""The report of a data check: a summary for the console, and one HTML page with everything."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from data_utils.atomic import write_atomically
from data_utils.audio import SILENCE_DB
from data_utils.preparation.checks import (
    KEPT_FINDINGS,
    KINDS,
    ODD_PACE,
    Kind,
    SplitCheck,
)

BEGINNING = "<!doctype html>"
"""By which the page is known as one that may be replaced."""

_COLORS = ("#1f5fa8", "#d9822b", "#3c8d4f")
_CHARACTERS = 50
"""Characters outside the vocabulary that the page lists, the most frequent ones."""

_STYLE = """
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif; color: #1c2733;
       max-width: 1080px; margin: 2em auto; padding: 0 1.5em; background: #fff; }
h1 { font-size: 1.6em; margin-bottom: .2em; }
h2 { font-size: 1.2em; margin: 2em 0 .3em; border-bottom: 1px solid #d5dce4; }
p { margin: .3em 0 .8em; color: #46535f; }
a { color: #1f5fa8; text-decoration: none; }
table { border-collapse: collapse; width: 100%; margin: .5em 0 1em; }
th, td { text-align: left; padding: .25em .7em; border-bottom: 1px solid #e6ebf0;
         vertical-align: top; overflow-wrap: anywhere; }
th { color: #46535f; font-weight: 600; background: #f4f7fa; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.none { color: #a9b4be; }
.plots { display: grid; grid-template-columns: 1fr 1fr; gap: 1em; }
.plots img { width: 100%; }
details table { font-size: .92em; }
summary { cursor: pointer; color: #1f5fa8; }
"""


def summary(checks: Sequence[SplitCheck], examples: int = 3) -> str:
    """What was found, in lines for the console.

    Args:
        checks: of the splits, see `check_corpus`.
        examples: findings of each kind that are shown.
    """
    header = ("split", "utterances", "hours", "characters", "out of vocabulary", "speakers")
    lines = _columns([header, *([check.name, *_facts(check)] for check in checks)])
    found = [kind for kind in KINDS if any(check.counts[kind] for check in checks)]
    if not found:
        return "\n".join([*lines, "nothing odd was found"])
    rows = [[kind.name, *(str(c.counts[kind]) for c in checks)] for kind in found]
    counted = _columns([["found", *(check.name for check in checks)], *rows])
    lines += ["", counted[0]]
    for kind, line in zip(found, counted[1:], strict=True):
        lines.append(line)
        every = [finding for check in checks for finding in check.findings[kind]]
        lines += [f"    {f.where}: {f.audio}: {f.detail}" for f in every[:examples]]
    return "\n".join(lines)


def write_page(checks: Sequence[SplitCheck], path: Path) -> None:
    """Write everything as one HTML page that needs no other file.

    Raises:
        InputError: it cannot be written there.
    """
    with write_atomically(path) as (temporary,):
        # A file name that is not UTF-8 is escaped.
        temporary.write_text(page(checks), encoding="utf-8", errors="backslashreplace")


def page(checks: Sequence[SplitCheck]) -> str:
    """The page: tables of the splits and of what was found, plots, and every finding."""
    names = [check.name for check in checks]
    header = ["split", "manifest", "utterances", "hours", "characters", "out of vocabulary"]
    splits = [[c.name, _manifest(c), *_facts(c)] for c in checks]
    counts = [[_link(kind, checks), *(_number(c.counts[kind]) for c in checks)] for kind in KINDS]
    rates = sorted({rate for check in checks for rate in check.rates if rate})
    rows = [[f"{rate} Hz", *(_number(c.rates.count(rate)) for c in checks)] for rate in rates]
    parts = [
        BEGINNING,
        '<html lang="en"><head><meta charset="utf-8"><title>Data check</title>',
        f"<style>{_STYLE}</style></head><body>",
        "<h1>Data check</h1>",
        f"<p>{sum(len(c.manifest) for c in checks):,} utterances of {_listed(names)}, "
        "each recording read to its end.</p>",
        _table(
            [*header, "speakers"], [[escape(cell) for cell in row] for row in splits], numbers=2
        ),
        "<h2>What was found</h2>",
        _table(["", *names], counts),
        "<h2>Lengths, levels, rates</h2>",
        '<div class="plots">',
        *(_image(figure, text) for figure, text in _plots(checks)),
        "</div>",
        _table(["sample rate", *names], rows),
        *_characters(checks),
        *(_section(kind, checks) for kind in KINDS if any(c.counts[kind] for c in checks)),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _facts(check: SplitCheck) -> list[str]:
    missing = check.unknown.total()
    return [
        f"{len(check.manifest)}",
        f"{check.hours:.2f}",
        f"{check.characters}",
        f"{missing} ({missing / max(1, check.characters):.3%})",
        f"{len(check.speakers) or '-'}",
    ]


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _manifest(check: SplitCheck) -> str:
    lines = map(check.manifest.where, range(len(check.manifest)))
    return ", ".join(dict.fromkeys(line.rpartition(":")[0] for line in lines))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _link(kind: Kind, checks: Sequence[SplitCheck]) -> str:
    if not any(check.counts[kind] for check in checks):
        return f'<span class="none">{escape(kind.name)}</span>'
    return f'<a href="#{_anchor(kind)}">{escape(kind.name)}</a>'


def _anchor(kind: Kind) -> str:
    return kind.name.replace(" ", "-")


def _number(count: int) -> str:
    return f"{count:,}" if count else '<span class="none">0</span>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers: int = 1) -> str:
    """A table of HTML cells; those from column `numbers` on are to the right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        marks = ['class="number"' if place >= numbers else "" for place in range(len(cells))]
        return "".join(f"<{tag} {m}>{c}</{tag}>" for m, c in zip(marks, cells, strict=True))

    body = "\n".join(f"<tr>{line('td', row)}</tr>" for row in rows)
    return f"<table><tr>{line('th', header)}</tr>\n{body}</table>"


def _section(kind: Kind, checks: Sequence[SplitCheck]) -> str:
    """Every finding of a kind."""
    parts = [f'<h2 id="{_anchor(kind)}">{escape(kind.name)}</h2><p>{escape(kind.advice)}</p>']
    for check in checks:
        findings, count = check.findings[kind], check.counts[kind]
        if not count:
            continue
        rows = [[escape(text) for text in (f.where, f.audio, f.detail)] for f in findings]
        more = f", the first {KEPT_FINDINGS:,} of them" if count > len(findings) else ""
        table = _table(["manifest and line", "recording", "what"], rows, numbers=3)
        opened = " open" if count <= 20 else ""
        parts.append(
            f"<details{opened}><summary>{escape(check.name)}: {count:,}{more}</summary>"
            f"{table}</details>"
        )
    return "\n".join(parts)


def _characters(checks: Sequence[SplitCheck]) -> list[str]:
    """The most frequent characters that the vocabulary lacks."""
    total = sum((check.unknown for check in checks), start=type(checks[0].unknown)())
    if not total:
        return []
    shown = sorted(total, key=lambda character: (-total[character], character))[:_CHARACTERS]
    rows = [
        [f"{escape(c)} (U+{ord(c):04X})", *(_number(check.unknown[c]) for check in checks)]
        for c in shown
    ]
    header = ["character", *(check.name for check in checks)]
    more = f", the {_CHARACTERS} most frequent" if len(total) > len(shown) else ""
    return [f"<h2>Characters out of vocabulary{more}</h2>", _table(header, rows)]


def _plots(checks: Sequence[SplitCheck]) -> list[tuple[Figure, str]]:
    """The figures of the page, with what is said for those who do not see them."""

    def plot(
        title: str, unit: str, columns: Sequence[Sequence[float]], *bounds: float
    ) -> tuple[Figure, str]:
        return _histogram(checks, columns, title, unit, bounds), f"Histogram: {title}"

    return [
        plot("Duration", "seconds", [c.seconds for c in checks]),
        plot(
            "Characters a second, and beyond which it is odd",
            "multiple of the median",
            [c.paces for c in checks],
            1 / ODD_PACE,
            ODD_PACE,
        ),
        plot(
            "Level, and below which a recording is silent",
            "dBFS",
            [c.levels for c in checks],
            SILENCE_DB,
        ),
        plot(
            "Output frames that the labels need",
            "share of those that there are",
            [c.needs for c in checks],
            1.0,
        ),
    ]


def _histogram(
    checks: Sequence[SplitCheck],
    columns: Sequence[Sequence[float]],
    title: str,
    unit: str,
    lines: Sequence[float] = (),
) -> Figure:
    """Shares of each split's utterances; `lines` are the bounds of what is odd."""
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes = figure.subplots()
    arrays = [np.array(column, dtype=np.float64) for column in columns]
    arrays = [array[np.isfinite(array)] for array in arrays]
    every = np.concatenate(arrays)
    if len(every):
        # A few far away must not squeeze all others into one bar: they stand in the last one.
        low, high = np.quantile(every, [0.001, 0.999])
        low, high = min(low, *lines, high - 1e-6), max(high, *lines, low + 1e-6)
        edges = np.linspace(low, high, 41)
        for check, array, color in zip(checks, arrays, _COLORS, strict=False):
            if len(array):
                shares = np.histogram(np.clip(array, low, high), edges)[0] / len(array)
                axes.stairs(100 * shares, edges, color=color, label=check.name, linewidth=1.4)
                axes.stairs(100 * shares, edges, color=color, alpha=0.12, fill=True)
        axes.legend(frameon=False)
    for line in lines:
        axes.axvline(line, color="#b3261e", linestyle="--", linewidth=1)
    axes.set_title(title, fontsize=11)
    axes.set(xlabel=unit, ylabel="% of utterances")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure


def _image(figure: Figure, text: str) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120)
    content = base64.b64encode(drawn.getvalue()).decode("ascii")
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{content}">'
