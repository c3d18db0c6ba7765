"""Time to accuracy: what a training reaches after how many seconds, beside the same in PyTorch.

The training is that of conf/words.json5: network, batches, schedule, optimizer and first weights
are the same, and so are the features, which PyTorch reads from disk where ours computes them while
it trains. Both take turns after each epoch. Each round is a training of its own, with its number as
the seed.
"""

import contextlib
import functools
import itertools
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.corpus import check_corpus, make_manifests, make_statistics
from benchmarks.measuring import (
    MeasuringSettings,
    Report,
    Section,
    Spread,
    interleaved,
    number,
    ratio,
)
from benchmarks.peers import HOME, PeerSettings, Side, environment
from benchmarks.train import REQUIREMENTS
from data_utils.settings import option
from model_utils.options import Options
from model_utils.settings import CpuEngine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFIG = HOME / "conf" / "words.json5"
AUGMENTATION = HOME / "conf" / "words_augmentation.json5"

OURS, PEER = "ours", "PyTorch"

Curve = list[tuple[float, float]]
"""Of each epoch: seconds of training until its end, and the error rate behind it."""


@dataclass(frozen=True)
class AccuracySettings:
    """What is trained, and how long."""

    corpus: str | None = option(
        None, "folder with annotation/ and its recordings; None: generated speech"
    )
    epochs: int = option(20, "of each training; the schedule is stretched over them", minimum=1)
    num_threads: int = option(2, "threads of each contestant", minimum=1)
    engine: CpuEngine = option("auto", "of ours, as train.py takes it")


SETTINGS = (MeasuringSettings, AccuracySettings, PeerSettings)

HAS_PICTURE = True
"""The page stands beside a picture of its name, see `run`."""


def measure(options: Options) -> Report:
    """Curves of all rounds, and who is how much sooner at the rate that all reach."""
    settings, rounds = options[AccuracySettings], options[MeasuringSettings].rounds
    check_corpus(settings.corpus)
    python = environment("torch", REQUIREMENTS) if options[PeerSettings].peers else None
    report = Report()
    curves: dict[str, list[Curve]] = {OURS: []} if python is None else {OURS: [], PEER: []}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        make_manifests(folder, settings.corpus, ())
        make_statistics(folder, CONFIG)
        for seed in range(1, rounds + 1):
            with _contest(folder, settings, seed, python) as sides:
                if python is not None:
                    packages = [requirement.partition("==")[0] for requirement in REQUIREMENTS]
                    report.peers = sides[PEER]("versions", packages=packages)
                for name, curve in _curves(folder, sides, settings.epochs).items():
                    curves[name].append(curve)
    _report(curves, report)
    report.picture = _picture(curves)
    return report


@contextlib.contextmanager
def _contest(
    folder: Path, settings: AccuracySettings, seed: int, python: Path | None
) -> Iterator[dict[str, Side]]:
    """Who trains, with the same weights."""
    with contextlib.ExitStack() as stack:
        shared = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        ours = stack.enter_context(Side("benchmarks.accuracy_ours", cwd=folder))
        told = ours("start", arguments=_arguments(settings, seed), folder=str(shared))
        sides = {OURS: ours}
        if python is not None:
            sides[PEER] = stack.enter_context(Side("benchmarks.accuracy_peers", python=python))
            sides[PEER]("start", folder=str(shared), told=told)
        yield sides


def _arguments(settings: AccuracySettings, seed: int) -> list[str]:
    """Options of train.py."""
    return [
        f"--config={CONFIG}",
        f"--augment_conf_path={AUGMENTATION}",
        f"--num_epoch={settings.epochs}",
        f"--seed={seed}",
        *("--use_gpu=False", f"--num_threads={settings.num_threads}"),
        f"--engine={settings.engine}",
    ]


def _curves(folder: Path, sides: Mapping[str, Side], epochs: int) -> dict[str, Curve]:
    """Train in turns, an epoch each."""
    ours, numbers = sides[OURS], itertools.count(1)

    def peer() -> dict[str, Any]:
        rates = ours("write", epoch=next(numbers))
        trained: dict[str, Any] = sides[PEER]("train", rates=rates)
        return {**trained, "cer": ours("score", hypotheses=trained["hypotheses"])}

    contestants: dict[str, Callable[[], Any]] = {OURS: functools.partial(ours, "train")}
    if PEER in sides:
        contestants[PEER] = peer
    trained = interleaved(contestants, epochs)
    return {
        name: list(
            zip(
                itertools.accumulate(epoch["seconds"] for epoch in found),
                [epoch["cer"] for epoch in found],
                strict=True,
            )
        )
        for name, found in trained.items()
    }


def seconds_to(curve: Curve, rate: float) -> float:
    """Seconds of training until an epoch's end at which the error rate is not above `rate`."""
    return next(seconds for seconds, found in curve if found <= rate)


def reached_by_all(curves: Mapping[str, Sequence[Curve]]) -> float:
    """The lowest error rate that every training reached."""
    return max(min(rate for _, rate in curve) for runs in curves.values() for curve in runs)


def _report(curves: Mapping[str, Sequence[Curve]], report: Report) -> None:
    goal = reached_by_all(curves)
    sooner = {name: [seconds_to(curve, goal) for curve in runs] for name, runs in curves.items()}
    whole = {name: [curve[-1][0] for curve in runs] for name, runs in curves.items()}
    columns = [
        [
            (
                f"{Spread.of([curve[epoch][0] for curve in runs])}",
                f"{Spread.of([100 * curve[epoch][1] for curve in runs])}",
            )
            for epoch in range(len(runs[0]))
        ]
        for runs in curves.values()
    ]
    rows = [
        (epoch, *itertools.chain.from_iterable(cells))
        for epoch, cells in enumerate(zip(*columns, strict=True), start=1)
    ]
    header = [f"{name}, {what}" for name in curves for what in ("seconds", "dev CER, %")]
    report.sections.append(
        Section(
            "Epochs",
            "Seconds of training, without scoring; ours computes its features meanwhile.",
            ("epoch", *header),
            rows,
        )
    )
    at = f"CER {number(100 * goal)} %"
    for name, seconds in sooner.items():
        report.figures[f"accuracy {at} {name}"] = f"{number(statistics.median(seconds))} s"
    if PEER in curves:
        report.figures["accuracy an epoch"] = f"{number(ratio(whole[PEER], whole[OURS]).median)}x"
        report.figures["accuracy"] = f"{number(ratio(sooner[PEER], sooner[OURS]).median)}x"


def _picture(curves: Mapping[str, Sequence[Curve]]) -> "Figure":
    from matplotlib.figure import Figure

    from reports.picture import plain_numbers

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for (name, runs), colour in zip(curves.items(), ("tab:blue", "tab:orange"), strict=False):
        for place, curve in enumerate(runs):
            seconds, rates = zip(*curve, strict=True)
            label = "_" if place else name  # one entry in the legend for all rounds
            percent = [100 * rate for rate in rates]
            axes.plot(seconds, percent, color=colour, marker=".", alpha=0.8, label=label)
    axes.set(xlabel="seconds of training", ylabel="dev CER, %", yscale="log")
    plain_numbers(axes)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
