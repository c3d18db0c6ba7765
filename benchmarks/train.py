"""A step of training: forward, CTC, backward, clip, AdamW, beside the same network in PyTorch.

Both begin with the same weights and make the same steps on the same batch in float32: their losses
are compared. Ours is what train.py runs. PyTorch's recurrent layers get padded and packed
sequences; the faster one is the peer.
"""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import (
    MeasuringSettings,
    Report,
    Section,
    Spread,
    interleaved,
    number,
    ratio,
)
from benchmarks.parts import BACKWARD, CTC, FORWARD, OPTIMIZER, PARTS, Noted
from benchmarks.peers import PeerSettings, Side, environment
from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import Options
from model_utils.settings import CpuEngine

REQUIREMENTS = ("numpy==2.4.6", "torch==2.13.0")
"""PyTorch, without a GPU where its wheel has none; `accuracy` and `infer` compare with it too."""

OURS, PACKED, PADDED = "ours", "PyTorch, packed", "PyTorch, padded"

SECONDS, LABELS = 5.0, 20
"""Of each utterance."""
_PRODUCT = 2048
"""Rows and columns of the matrices whose product is the measure of what can be reached."""
_PRODUCT_SECONDS = 1.0


@dataclass(frozen=True)
class TrainSettings:
    """What is trained."""

    sizes: tuple[int, ...] = option((256, 1024), "units of the recurrent layers, with commas")
    batch_size: int = option(8, f"utterances of {SECONDS:g} s in a step", minimum=1)
    num_classes: int = option(4301, "outputs of the network", minimum=10)
    conv_channels: int = option(32, "channels of each of the two convolutions", minimum=1)
    num_threads: int = option(2, "threads of each contestant", minimum=1)
    steps: int = option(3, "steps in each measurement", minimum=1)
    engine: CpuEngine = option("auto", "of ours, as train.py takes it")


SETTINGS = (MeasuringSettings, TrainSettings, PeerSettings)


@dataclass(frozen=True)
class Measured:
    """What was found for one size."""

    told: Mapping[str, Any]
    """By `train_ours.Steps.start`."""
    steps: Mapping[str, Sequence[Mapping[str, Any]]]
    """By contestant, of each round, what `run` found."""
    parts: Mapping[str, Sequence[Noted]]
    before: Mapping[str, float]
    """MB that each had before its first step: libraries, weights and batch."""
    peaks: Mapping[str, float]
    """MB that each had at most."""
    gflops: Mapping[str, Sequence[float]]
    """GFLOP/s of a product of large matrices, by package."""

    @property
    def seconds(self) -> dict[str, list[float]]:
        """Of a step, by contestant."""
        return {name: [run["seconds"] for run in runs] for name, runs in self.steps.items()}

    @property
    def peer(self) -> str | None:
        """The faster way of PyTorch; None where it was left out."""
        peers = {n: Spread.of(s).median for n, s in self.seconds.items() if n != OURS}
        return min(peers, key=lambda name: peers[name]) if peers else None

    @property
    def reached(self) -> float:
        """GFLOP/s of the fastest product: a limit is what can be reached when nobody disturbs."""
        return max(max(rates) for rates in self.gflops.values())


def measure(options: Options) -> Report:
    """For each size: the step, its memory, its parts."""
    settings, rounds = options[TrainSettings], options[MeasuringSettings].rounds
    check_sizes(settings.sizes)
    python = environment("torch", REQUIREMENTS) if options[PeerSettings].peers else None
    report = Report()
    for size in settings.sizes:
        with _contest(settings, size, python) as (told, sides):
            found = _measured(sides, told, settings.steps, rounds)
            if python is not None:
                packages = [requirement.partition("==")[0] for requirement in REQUIREMENTS]
                report.peers = sides[PACKED]("versions", packages=packages)
        _report_step(size, found, report)
        _report_parts(size, found, report)
    return report


def check_sizes(sizes: Sequence[int]) -> None:
    """Refuse sizes that are none, or named twice.

    Raises:
        InputError: with what is wrong.
    """
    if not sizes or min(sizes) < 1:
        raise InputError("--sizes: numbers above 0 expected")
    for size in sizes:
        if sizes.count(size) > 1:
            raise InputError(f"--sizes: {size} is named twice; leave one out")


@contextlib.contextmanager
def _contest(
    settings: TrainSettings, size: int, python: Path | None
) -> Iterator[tuple[dict[str, Any], dict[str, Side]]]:
    """Who is measured, each with the same weights and batch, and what all were told."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        write_corpus(folder, settings)
        ours = stack.enter_context(Side("benchmarks.train_ours", cwd=folder))
        told = ours("start", arguments=_arguments(settings, size), folder=name)
        sides = {OURS: ours}
        for peer in (PACKED, PADDED) if python is not None else ():
            side = stack.enter_context(Side("benchmarks.train_peers", python=python))
            side("start", folder=name, told=told, packed=peer == PACKED)
            sides[peer] = side
        yield told, sides


def write_corpus(folder: Path, settings: TrainSettings) -> None:
    """As many utterances of noise as a batch has, with a vocabulary and statistics for them."""
    import numpy as np
    import soundfile

    from benchmarks.sounds import syllables
    from data_utils.audio import SAMPLE_RATE
    from data_utils.features import num_bins
    from data_utils.manifest import Utterance, write_manifests
    from data_utils.normalizer import Normalizer
    from data_utils.settings import FeatureSettings
    from data_utils.text import Vocabulary

    special = len(Vocabulary.build({}))
    characters = [chr(ord("一") + place) for place in range(settings.num_classes - special)]
    rng = np.random.default_rng(0)
    utterances = []
    for place in range(settings.batch_size):
        path = folder / f"{place}.wav"
        samples = syllables(SECONDS) * rng.uniform(0.5, 1.5)
        soundfile.write(path, samples, SAMPLE_RATE)
        text = "".join(rng.choice(characters, LABELS))
        utterances.append(Utterance(str(path), SECONDS, text))
    write_manifests({folder / "manifest.train": utterances})
    Vocabulary.build(dict.fromkeys(characters, 1)).save(folder / "zh_vocab.txt")
    bins = num_bins(FeatureSettings())
    Normalizer(np.full(bins, -18.0), np.full(bins, 4.0), FeatureSettings()).save(
        folder / "mean_std.npz"
    )


def _arguments(settings: TrainSettings, size: int) -> list[str]:
    """Options of train.py."""
    return [
        "--train_manifest=manifest.train",
        *("--dev_manifest=None", "--test_manifest=None", "--augment_conf_path=None"),
        *("--vocab_path=zh_vocab.txt", "--mean_std_path=mean_std.npz"),
        f"--batch_size={settings.batch_size}",
        f"--conv_channels={settings.conv_channels}",
        f"--rnn_layer_size={size}",
        *("--optimizer=adamw", "--learning_rate=1e-4", "--num_workers=0"),
        *("--use_gpu=False", f"--num_threads={settings.num_threads}"),
        f"--engine={settings.engine}",
    ]


def _measured(
    sides: Mapping[str, Side], told: Mapping[str, Any], count: int, rounds: int
) -> Measured:
    def each(question: str, **arguments: Any) -> dict[str, Callable[[], Any]]:
        return {
            name: functools.partial(side, question, **arguments) for name, side in sides.items()
        }

    before = {name: side("present") for name, side in sides.items()}
    first = {name: side("run", count=1)["losses"] for name, side in sides.items()}  # warms up too
    steps = interleaved(each("run", count=count), rounds)
    for name, runs in steps.items():
        runs[0]["losses"] = first[name] + runs[0]["losses"]
    peaks = {name: side("peak") for name, side in sides.items()}
    parts = interleaved(each("parts"), rounds)
    products = each("product", size=_PRODUCT, seconds=_PRODUCT_SECONDS)
    products.pop(PADDED, None)  # the same package
    return Measured(told, steps, parts, before, peaks, interleaved(products, rounds))


_FORMULA = (
    "GFLOP are 10^9 additions and multiplications, with B utterances of T frames behind the first "
    "convolution, F bins behind each, C channels, H units, V outputs: of a convolution 3 * 2 B T F "
    "C * inputs * 21 * 11 (of the first one 2 * 2 B T F C * 41 * 11), of a recurrent layer 3 * 2 B "
    "T * 2 directions * 3 gates * H * (inputs + H), of the output layer 3 * 2 B T * 2 H * V. The 3 "
    "are the output, the gradient of the input, which the first convolution has not, and that of "
    "the weights."
)


def gflop(told: Mapping[str, Any]) -> dict[str, float]:
    """The arithmetic of a step by part, in 10^9 additions and multiplications: `_FORMULA`.

    Normalisation, CTC and the optimizer have no products: they are bound by memory, and left out.

    Args:
        told: by `train_ours.Steps.start`.
    """
    from model_utils.networks.sizes import KERNELS, STRIDES
    from model_utils.settings import NetworkSettings

    sizes = NetworkSettings(**told["network"])
    channels, bins, frames, inputs = sizes.conv_channels, told["num_bins"], told["frames"], 1
    found: dict[str, float] = dict.fromkeys(PARTS, 0.0)
    convolutions = list(zip(KERNELS, STRIDES, strict=True))[: sizes.num_conv_layers]
    for layer, ((taps, times), (stride, step)) in enumerate(convolutions):
        bins, frames = -(-bins // stride), -(-frames // step)
        work = 2 * told["batch"] * frames * bins * channels * inputs * taps * times
        found[PARTS[min(layer, 1)]] += (3 if layer else 2) * work
        inputs = channels
    steps, width, units = told["batch"] * frames, channels * bins, sizes.rnn_layer_size
    for _ in range(sizes.num_rnn_layers):
        found["recurrent layers"] += 3 * 2 * steps * 2 * 3 * units * (width + units)
        width = 2 * units
    found["output layer"] = 3 * 2 * steps * width * told["num_classes"]
    return {part: value / 1e9 for part, value in found.items()}


def _report_step(size: int, found: Measured, report: Report) -> None:
    seconds, peer, total = found.seconds, found.peer, sum(gflop(found.told).values())
    least = total / found.reached
    rows = []
    for name, values in seconds.items():
        times = "1" if name == OURS else f"{ratio(values, seconds[OURS])}"
        spread = Spread.of(values)
        rows.append(
            (
                *(name, f"{spread}", times, number(spread.median / least)),
                *(number(found.before[name]), number(found.peaks[name])),
            )
        )
    told = found.told
    products = ", ".join(f"{name} {Spread.of(v)}" for name, v in _by_package(found).items())
    report.sections.append(
        Section(
            f"{size} units",
            f"A step of {told['batch']} utterances of {SECONDS:g} s ({told['frames']} frames of "
            f"{told['num_bins']} bins), {told['num_classes']:,} outputs, {told['threads']} "
            f"threads, engine: {told['engine']}. Its products are {total:.1f} GFLOP; one of two "
            f"matrices of {_PRODUCT} rows ran at so many GFLOP/s: {products}. At the highest the "
            f"step would take {number(least)} s: its limit. {_agreement(found)}",
            (
                *("contestant", "seconds", "times ours", "times the limit"),
                *("MB before the first step", "MB at most"),
            ),
            rows,
        )
    )
    own = Spread.of(seconds[OURS]).median
    report.figures[f"train {size} limit"] = (
        f"{number(least)} s ({total:.0f} GFLOP at {found.reached:.0f} GFLOP/s), "
        f"ours {number(own)} s"
    )
    if peer is not None:
        memory = found.peaks[OURS] / found.peaks[peer]
        report.figures[f"train {size} memory"] = f"{number(memory)} of the peer's"
        report.figures[f"train {size}"] = f"{number(ratio(seconds[peer], seconds[OURS]).median)}x"


def _by_package(found: Measured) -> dict[str, Sequence[float]]:
    names = {OURS: "PaddlePaddle", PACKED: "PyTorch"}
    return {names[side]: rates for side, rates in found.gflops.items()}


def _agreement(found: Measured) -> str:
    """How far the losses of the contestants are apart, relative to ours."""
    peer = found.peer
    if peer is None:
        return ""
    own, other = found.steps[OURS][0]["losses"], found.steps[peer][0]["losses"]
    apart = [abs(one - two) / one for one, two in zip(own, other, strict=True)]
    return (
        f"The loss of the first step is {own[0]:.5f} here and {other[0]:.5f} in PyTorch; in the "
        f"first {len(own)} steps, each from the weights of the one before, the losses differ by "
        f"{max(apart):.1e} of ours at most."
    )


def _report_parts(size: int, found: Measured, report: Report) -> None:
    work, peer = gflop(found.told), found.peer
    shown = [name for name in (OURS, peer) if name is not None]
    rows = []
    for part in PARTS:
        cells = []
        for name in shown:
            directions = ("",) if part in (CTC, OPTIMIZER) else (FORWARD, BACKWARD)
            for direction in directions:
                cells.append(_spent(found.parts[name], part, direction))
            cells += [""] * (2 - len(directions))
        rows.append(
            (
                part,
                *cells,
                *(
                    (number(work[part]), number(work[part] / found.reached))
                    if work[part]
                    else ("", "")
                ),
            )
        )
    header = [f"{name}, {way}" for name in shown for way in (FORWARD, BACKWARD)]
    report.sections.append(
        Section(
            f"{size} units, the parts of a step",
            "Seconds, of steps in which each layer notes when it begins and ends. CTC and what "
            f"follows the gradients have one time each. {_FORMULA}",
            ("part", *header, "GFLOP", "s at the limit"),
            rows,
        )
    )


def _spent(noted: Sequence[Noted], part: str, direction: str) -> str:
    return f"{Spread.of([step.get(part, {}).get(direction, 0.0) for step in noted])}"
