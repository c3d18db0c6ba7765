"""Measure, side by side in one run: python benchmarks/run.py TABLE.

Each table is written as Markdown, with machine, versions and the peers of the same run, those of
speed and memory with medians and spread; the figures that matter are printed at the end, a line
each.
"""

import importlib
import re
import shlex
import sys
from pathlib import Path

from data_utils.atomic import check_place, write_atomically
from data_utils.errors import InputError, suggestion
from model_utils.options import parse, run_command

HOME = Path(__file__).resolve().parents[1]

TABLES = {
    "accuracy": "error rate against seconds of training, beside the same training in PyTorch",
    "enhancement": "speech enhancement: models, classical methods and none, on speech in noise",
    "features": "features, effects and resampling against other libraries, on one core",
    "infer": "PyTorch, Paddle, ONNX Runtime, OpenVINO: float32 and int8 on one core; start-up",
    "loader": "train against fast_train: items per second, waiting, store size, memory",
    "noise": "error rates in noise, with and without front ends",
    "scale": "manifests of a thousand to ten million lines: time and memory",
    "train": "a step of training, and its parts, beside the same network in PyTorch",
}
"""What can be measured: each is a file here, with its settings and a function `measure`."""


def main() -> None:
    """Measure the table that was asked for, write it, print its figures."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        listed = "\n".join(f"  {name:<12} {what}" for name, what in TABLES.items())
        print(f"{__doc__}\ntables, each with a --help of its own:\n{listed}")
        return
    name = arguments[0]
    if name not in TABLES:
        raise InputError(f"no table {name!r}{suggestion(name, TABLES)}")

    sys.path.insert(0, str(HOME))  # benchmarks/ is in no installed package
    from benchmarks import measuring
    from model_utils import runtime

    table = importlib.import_module(f"benchmarks.{name}")
    options = parse(
        f"run.py {name}",
        [measuring.PlaceSettings, *table.SETTINGS],
        arguments[1:],
        description=table.__doc__ or "",
    )
    place = options[measuring.PlaceSettings].output_path
    path = Path(place) if place else HOME / "benchmarks" / "tables" / f"{name}.md"
    check_place(path, kind=re.compile(re.escape(measuring.TITLE.encode())))
    picture = path.with_suffix(".png")
    if getattr(table, "HAS_PICTURE", False):
        from reports.picture import check_picture

        if path.suffix.lower() == ".png":
            raise InputError(f"{path}: the Markdown cannot be the picture too; name it {name}.md")
        check_picture(picture)
    before = measuring.load()
    report = table.measure(options)
    own = runtime.versions()
    package, _, version = own.pop("paddle").partition(" ")
    report.versions = {package: version, **own, **report.versions}
    passes = "one pass, means"
    if measuring.MeasuringSettings in table.SETTINGS:
        rounds = options[measuring.MeasuringSettings].rounds
        passes = f"contestants in turns, rounds: {rounds}; medians (lowest to highest)"
    facts = [
        f"{measuring.machine()}; {measuring.today()}, load {before} when it began, "
        f"{measuring.load()} when it ended",
        f"`{_typed()}`: {passes}",
    ]
    with write_atomically(path) as [temporary]:
        page = report.markdown(name, TABLES[name], facts, picture.name)
        temporary.write_text(page, encoding="utf-8")
    if report.picture is not None:
        from reports.picture import write_picture

        write_picture(report.picture, picture)
    print(f"written: {path}\n")
    print("\n".join(report.lines()))


def _typed() -> str:
    """The command as it was typed; of files elsewhere their names, whose place is nobody's."""
    return shlex.join(["python", "benchmarks/run.py", *map(_without_place, sys.argv[1:])])


def _without_place(argument: str) -> str:
    is_option = argument.startswith("-")
    option, equals, value = argument.partition("=") if is_option else ("", "", argument)
    parts = [Path(part).name if part.startswith("/") else part for part in value.split(",")]
    return option + equals + ",".join(parts)


if __name__ == "__main__":
    run_command(main)
