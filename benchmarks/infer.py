"""Inference on one core: PyTorch, Paddle, ONNX Runtime and OpenVINO, in float32 and in int8.

The network of the defaults (2 convolutions of 32 channels, 3 bidirectional GRU layers, 161 bins)
with 4,301 outputs and random weights, the same for all, hears a clip; each engine in a process of
its own with one thread. Then infer.py, from its start to the text of a clip of 5 s, from a
checkpoint and from an export. With --model and --test_manifest the error rates of a trained model,
by what it was exported in.
"""

import contextlib
import functools
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import train
from benchmarks.measuring import (
    MeasuringSettings,
    Report,
    Section,
    Spread,
    interleaved,
    number,
    ratio,
    versions_of,
)
from benchmarks.peers import HOME, PeerSettings, Side, environment, run_script
from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import Options

REQUIREMENTS = {
    "PyTorch": train.REQUIREMENTS,
    "OpenVINO": ("numpy==2.4.6", "openvino==2026.4.1"),
}

TOKENS = 4301
_SPOKEN_SECONDS = 5.0
_LABELS = {"float32": "ONNX Runtime", "int8": "ONNX Runtime int8"}


@dataclass(frozen=True)
class InferSettings:
    """What is measured."""

    sizes: tuple[int, ...] = option((256, 1024), "units of the recurrent layers")
    clip_seconds: float = option(10.0, "length of the clip", unit="s", minimum=0.5, maximum=600)
    model: str | None = option(None, "trained checkpoint whose error rates are measured too")
    test_manifest: str | None = option(None, "utterances for the error rates of --model")


SETTINGS = (MeasuringSettings, InferSettings, PeerSettings)


def measure(options: Options) -> Report:
    """Tables of engines, of start-up, and of error rates where a model is given."""
    settings, rounds = options[InferSettings], options[MeasuringSettings].rounds
    if (settings.model is None) != (settings.test_manifest is None):
        raise InputError("--model and --test_manifest belong together: give both or neither")
    train.check_sizes(settings.sizes)
    if settings.model is not None and settings.test_manifest is not None:
        _check(settings.model, settings.test_manifest)
    pythons: dict[str, Path] = {}
    if options[PeerSettings].peers:
        pythons = {
            who: environment(what[1].partition("==")[0], what) for who, what in REQUIREMENTS.items()
        }
    report = Report(versions=versions_of("onnx", "onnxruntime"))
    if pythons:
        report.peers = dict(what[1].split("==") for what in REQUIREMENTS.values())
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        for units in settings.sizes:
            place = folder / str(units)
            place.mkdir()
            _prepare(place, units)
            _engines(report, place, units, settings, pythons, rounds)
            _start_up(report, place, units, rounds)
        if settings.model is not None and settings.test_manifest is not None:
            _error_rates(report, folder, settings.model, settings.test_manifest)
    return report


def _check(model: str, manifest: str) -> None:
    """Refuse a model or a manifest that cannot be read, before anything is measured."""
    from data_utils.manifest import Manifest
    from model_utils.trainer import checkpoint

    checkpoint.load(model, optimizer=False)
    Manifest.open(manifest)


def _prepare(folder: Path, units: int) -> None:
    """A checkpoint, its exports, its weights for peers."""
    with Side("benchmarks.infer_ours") as ours:
        model = str(folder / "model.pdparams")
        ours("make_checkpoint", path=model, tokens=TOKENS, units=units)
        ours("weights_to_npz", model=model, path=str(folder / "weights.npz"))
    _export(folder, model)


def _export(folder: Path, model: str) -> None:
    for precision in _LABELS:
        arguments = (f"--precision={precision}", f"--output_dir={folder / precision}")
        paddle = (f"--paddle_format={precision == 'float32'}",)
        run_script(
            "tools/export_model.py", f"--resume_model={model}", *arguments, *paddle, cwd=folder
        )


def _engines(
    report: Report,
    folder: Path,
    units: int,
    settings: InferSettings,
    pythons: dict[str, Path],
    rounds: int,
) -> None:
    import numpy as np

    from data_utils.audio import SAMPLE_RATE
    from data_utils.features import num_bins, num_frames
    from data_utils.settings import FeatureSettings

    features = FeatureSettings()
    frames = num_frames(round(settings.clip_seconds * SAMPLE_RATE), features)
    clip = folder / "clip.npy"
    drawn = np.random.default_rng(0).standard_normal((1, frames, num_bins(features)))
    np.save(clip, drawn.astype(np.float32))
    model = str(folder / "model.pdparams")
    with contextlib.ExitStack() as stack:
        sides: dict[str, Side] = {}

        def start(name: str, module: str, python: Path | None, what: str, **told: Any) -> None:
            sides[name] = stack.enter_context(Side(module, python=python, cores=1))
            sides[name](what, **told)

        peers = "benchmarks.infer_peers"
        if "PyTorch" in pythons:
            told = {"weights": str(folder / "weights.npz"), "units": units, "tokens": TOKENS}
            start("PyTorch", peers, pythons["PyTorch"], "make_torch", **told)
        if "OpenVINO" in pythons:
            graph = str(folder / "float32" / "model.onnx")
            start("OpenVINO", peers, pythons["OpenVINO"], "make_openvino", graph=graph)
        for name, kind, of in (
            ("Paddle, plain", "paddle plain", model),
            ("Paddle, compiled", "paddle compiled", model),
            ("paddle.inference", "paddle.inference", str(folder / "float32")),
            *((label, "export", str(folder / what)) for what, label in _LABELS.items()),
        ):
            start(name, "benchmarks.infer_ours", None, "make", kind=kind, model=of)
        contestants: dict[str, Callable[[], float]] = {
            name: functools.partial(
                side, "seconds", clip=str(clip), result=str(folder / f"{name}.npy")
            )
            for name, side in sides.items()
        }
        for compute in contestants.values():
            compute()  # the first call makes ready
        found = interleaved(contestants, rounds)
        peaks = {name: side("peak") for name, side in sides.items()}
    wanted = np.load(folder / "Paddle, plain.npy")
    rows = []
    for name, seconds in found.items():
        times = Spread(1, 1, 1)
        if "PyTorch" in found:
            times = ratio(found["PyTorch"], seconds)
        said = np.load(folder / f"{name}.npy")
        off = f"{np.abs(said - wanted).max():.1g}"
        shown = f"{times}" if "PyTorch" in found else ""
        rows.append((name, f"{Spread.of(seconds)}", shown, f"{peaks[name]:.0f}", off))
        for precision, label in _LABELS.items():
            if name == label and "PyTorch" in found:
                report.figures[f"infer {units} {precision}"] = f"{number(times.median)}x"
    report.sections.append(
        Section(
            f"{settings.clip_seconds:g} s, recurrent layers of {units}",
            "Seconds for the network alone, features to log-probabilities; the most memory that "
            "the process had; the largest difference from Paddle's plain engine among all "
            "log-probabilities.",
            ("engine", "s", "so many times as fast as PyTorch", "peak MB", "difference"),
            rows,
        )
    )


def _start_up(report: Report, folder: Path, units: int, rounds: int) -> None:
    import numpy as np
    import soundfile

    from data_utils.audio import SAMPLE_RATE

    spoken = folder / "clip.wav"
    noise = np.random.default_rng(0).standard_normal(int(_SPOKEN_SECONDS * SAMPLE_RATE))
    soundfile.write(spoken, 0.1 * noise, SAMPLE_RATE)
    ways = {
        "checkpoint, --engine=plain": ("--resume_model=model.pdparams", "--engine=plain"),
        "checkpoint": ("--resume_model=model.pdparams",),
        **{f"export, {precision}": (f"--model_dir={precision}",) for precision in _LABELS},
    }

    def run(arguments: tuple[str, ...]) -> float:
        started = time.perf_counter()
        run_script("infer.py", *arguments, "--audio_path", str(spoken), cwd=folder)
        return time.perf_counter() - started

    for arguments in ways.values():
        run(arguments)  # files are in memory then, as for all but the first user
    contestants = {name: functools.partial(run, way) for name, way in ways.items()}
    found = {name: Spread.of(seconds) for name, seconds in interleaved(contestants, rounds).items()}
    for name in ("checkpoint", "export, float32"):
        report.figures[f"start-up {units} {name}"] = f"{number(found[name].median)} s"
    report.sections.append(
        Section(
            f"infer.py, recurrent layers of {units}",
            f"Seconds from the start of the process to the text of a clip of {_SPOKEN_SECONDS:g} "
            f"s, all cores.",
            ("from", "s"),
            [(name, f"{seconds}") for name, seconds in found.items()],
        )
    )


def _error_rates(report: Report, folder: Path, model: str, manifest: str) -> None:
    place = folder / "trained"
    place.mkdir()
    given = str(Path(model).resolve())
    _export(place, given)
    ways = {
        "checkpoint, --engine=plain": (f"--resume_model={given}", "--engine=plain"),
        "checkpoint": (f"--resume_model={given}",),
        **{f"export, {what}": (f"--model_dir={place / what}",) for what in _LABELS},
    }
    rows = []
    for name, arguments in ways.items():
        said = subprocess.run(
            [
                *(sys.executable, str(HOME / "eval.py"), *arguments),
                *(f"--test_manifest={manifest}", f"--result_path={place / 'eval.txt'}"),
            ],  # where the user is, whose manifest may name recordings from there
            capture_output=True,
            text=True,
            check=False,
        )
        rate = re.search(r"^cer: ([\d.]+) \((.*)\)$", said.stdout, re.M)
        if rate is None:
            raise InputError(f"eval.py failed: {(said.stderr.strip().splitlines() or [''])[-1]}")
        rows.append((name, rate[1], rate[2]))
        report.figures[f"cer {name}"] = rate[1]
    report.sections.append(
        Section("Error rates of a trained model", "", ("from", "CER", "errors"), rows)
    )
