"""Loading: `train`, which computes every example anew, against `fast_train`, which reads a store.

The first epoch reads every recording from its file; later ones find it decoded in memory where
`--audio_cache_mb` suffices. Measured with the settings of conf/quickstart.json5, its augmentation
and a heavier one (benchmarks/heavy_augmentation.json5).
"""

import contextlib
import functools
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpus import check_corpus, make_manifests, make_statistics
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
from benchmarks.peers import HOME, Side, run_script
from data_utils.errors import InputError
from data_utils.settings import option
from data_utils.workers import available_cores
from model_utils.options import Options

CONFIG = HOME / "conf" / "quickstart.json5"
AUGMENTATIONS = {
    "preset": HOME / "conf" / "quickstart_augmentation.json5",
    "heavy": HOME / "benchmarks" / "heavy_augmentation.json5",
}
WORKERS = (0, 1, 2)
READ_DTYPES = ("float16", "uint8")
"""Stores that are read; all three kinds are measured in size."""
DTYPES = ("float32", *READ_DTYPES)
EPOCHS = 3
FEWEST = 48
"""Utterances of which there are batches enough to see a training wait."""
GOAL = 3
"""How many times as fast `fast_train` should load where loading takes longest."""

Loaded = Mapping[str, Sequence[Mapping[str, Sequence[float]]]]
"""By augmentation, source and workers: of each round what `loader_ours.load` found."""


@dataclass(frozen=True)
class LoaderSettings:
    """On what is measured."""

    corpus: str | None = option(
        None, "folder with annotation/ and its recordings; None: generated speech"
    )
    items: int = option(640, "utterances of it that are used", minimum=FEWEST)
    rnn_layer_size: int = option(
        256, "units of the network whose waiting is measured; 0: nothing is trained", minimum=0
    )


SETTINGS = (MeasuringSettings, LoaderSettings)


def measure(options: Options) -> Report:
    """The four tables: speed, waiting, size, memory."""
    settings, rounds = options[LoaderSettings], options[MeasuringSettings].rounds
    report = Report(versions=versions_of("scipy", "soundfile", "soxr"))
    with _workspace(settings) as folder:
        sizes = {
            (name, dtype): _fill(folder, name, dtype)
            for name in AUGMENTATIONS
            for dtype in (DTYPES if name == "preset" else READ_DTYPES)
        }
        loaded = interleaved(
            {
                f"{name} {source} {workers}": functools.partial(
                    _load, folder, _arguments(folder, name, source, workers)
                )
                for name in AUGMENTATIONS
                for source in ("train", *READ_DTYPES)
                for workers in WORKERS
            },
            rounds,
        )
        for name in AUGMENTATIONS:
            _speeds(name, loaded, report)
        if settings.rnn_layer_size:
            _waiting(folder, settings, rounds, report)
        _sizes(folder, {dtype: sizes["preset", dtype] for dtype in DTYPES}, report)
    _memory(loaded, report)
    return report


@contextlib.contextmanager
def _workspace(settings: LoaderSettings) -> Iterator[Path]:
    """A folder in which the corpus is prepared as a user does it, its training set cut short."""
    check_corpus(settings.corpus)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        sizes = [f"--num_train={settings.items}", "--num_dev=0", "--num_test=0"]
        make_manifests(folder, settings.corpus, sizes, "--test_share=0", "--dev_share=0")
        _cut(folder / "dataset" / "manifest.train", settings.items)
        make_statistics(folder, CONFIG)

        from benchmarks.sounds import write_effect_sounds

        write_effect_sounds(folder / "dataset")
        yield folder


def _cut(path: Path, items: int) -> None:
    """Keep so many lines of a manifest, spread evenly over it."""
    import numpy as np

    from data_utils.manifest import Manifest, write_manifests

    manifest = Manifest.open(path)
    if len(manifest) < FEWEST:
        raise InputError(f"--corpus: {len(manifest)} utterances to train on; give {FEWEST} or more")
    kept = np.unique(np.linspace(0, len(manifest) - 1, items).round().astype(int))
    write_manifests({path: [manifest[index] for index in map(int, kept)]})


def _arguments(
    folder: Path, augmentation: str, source: str, workers: int, mode: str = "fast_train"
) -> list[str]:
    """Options of train.py: examples computed anew ("train"), or of a store of this type."""
    arguments = [
        f"--config={CONFIG}",
        f"--augment_conf_path={AUGMENTATIONS[augmentation]}",
        f"--num_workers={workers}",
        *("--dev_manifest=None", "--test_manifest=None"),
    ]
    if source == "train":
        return arguments
    store = _store(folder, augmentation, source)
    return [*arguments, f"--mode={mode}", f"--store_dir={store}", f"--store_dtype={source}"]


def _store(folder: Path, augmentation: str, dtype: str) -> Path:
    return folder / f"store_{augmentation}_{dtype}"


def _fill(folder: Path, augmentation: str, dtype: str) -> int:
    """Fill a store; its size in bytes."""
    arguments = _arguments(folder, augmentation, dtype, available_cores(), "process_data")
    run_script("train.py", *arguments, cwd=folder)
    return sum(path.stat().st_size for path in _store(folder, augmentation, dtype).iterdir())


def _load(folder: Path, arguments: list[str]) -> dict[str, list[float]]:
    """What `loader_ours.load` finds, in a process of its own."""
    with Side("benchmarks.loader_ours", cwd=folder) as side:
        found: dict[str, list[float]] = side("load", arguments=arguments, epochs=EPOCHS)
    return found


def _speeds(augmentation: str, loaded: Loaded, report: Report) -> None:
    """Utterances a second, in the first epoch and in the last."""
    rows, reached, possible = [], 0, 0
    for workers in WORKERS:
        epochs = {
            source: {
                when: [run["items"][place] for run in loaded[f"{augmentation} {source} {workers}"]]
                for when, place in ((1, 0), (EPOCHS, -1))
            }
            for source in ("train", *READ_DTYPES)
        }
        for source, found in epochs.items():
            cells = [f"{workers}", "train" if source == "train" else f"fast_train, {source}"]
            for when, speeds in found.items():
                cells += [f"{Spread.of(speeds)}", "1"]
                if source != "train":
                    times = ratio(speeds, epochs["train"][when])
                    cells[-1] = f"{times}"
                    possible, reached = possible + 1, reached + (times.median >= GOAL)
                    figure = f"loader {augmentation} {source} {workers} workers epoch {when}"
                    report.figures[figure] = f"{number(times.median)}x"
            rows.append(cells)
    report.sections.append(
        Section(
            f"Utterances per second, augmentation: {augmentation}",
            f"At least {GOAL} times as many from a store in {reached} of {possible} cases.",
            ("workers", "mode", "epoch 1", "times train", f"epoch {EPOCHS}", "times train"),
            rows,
        )
    )


def _waiting(folder: Path, settings: LoaderSettings, rounds: int, report: Report) -> None:
    """What share of a training's time the network waits for batches."""
    names = {
        f"{augmentation} {mode} {workers}": (augmentation, source, workers)
        for augmentation in AUGMENTATIONS
        for mode, source in (("train", "train"), ("fast_train", READ_DTYPES[0]))
        for workers in WORKERS
    }
    shares = interleaved(
        {
            name: functools.partial(_trained, folder, settings, _arguments(folder, *what))
            for name, what in names.items()
        },
        rounds,
    )
    rows = []
    for name, found in shares.items():
        augmentation, mode, workers = name.split()
        share = Spread.of([100 * value for value in found])
        rows.append((augmentation, mode, workers, f"{share}"))
        report.figures[f"waiting {augmentation} {mode} {workers} workers"] = (
            f"{number(share.median)} %"
        )
    report.sections.append(
        Section(
            f"Waiting, {settings.rnn_layer_size} units",
            "The share of its time in which a training waits for batches, in its first epoch, "
            f"from the first batch on; fast_train reads {READ_DTYPES[0]}.",
            ("augmentation", "mode", "workers", "waiting, %"),
            rows,
        )
    )


def _trained(folder: Path, settings: LoaderSettings, arguments: list[str]) -> float:
    """The share of waiting in an epoch of training."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        run_script(
            "train.py",
            *arguments,
            f"--rnn_layer_size={settings.rnn_layer_size}",
            f"--log_dir={name}/log",
            f"--output_model_dir={name}/models",
            *("--num_epoch=1", "--log_interval=1", "--test_off", "--use_gpu=False"),
            cwd=folder,
        )
        from model_utils.trainer.runlog import METRICS

        [log] = Path(name).glob(f"log/*/{METRICS}")
        lines = log.read_text(encoding="utf-8").splitlines()
    return waiting_share([json.loads(line) for line in lines])


def waiting_share(rows: Sequence[Mapping[str, Any]]) -> float:
    """The share of waiting between the first and the last line of a run's log.

    Args:
        rows: of its metrics: tag, value, and time in seconds. Each value of waiting is a share of
            the time since the one before; the first one, in which everything starts, is left out.

    Raises:
        InputError: there is one line or none, as where most utterances could not be read.
    """
    from model_utils.trainer.runlog import WAITING

    waiting = [(row["time"], row["value"]) for row in rows if row["tag"] == WAITING]
    if len(waiting) < 2:
        raise InputError("the training was too short to show how long it waits; give more --items")
    times, values = zip(*waiting, strict=True)
    passed = [later - earlier for earlier, later in itertools.pairwise(times)]
    waited = sum(s * share for s, share in zip(passed, values[1:], strict=True))
    return float(waited / sum(passed))


def _sizes(folder: Path, sizes: Mapping[str, int], report: Report) -> None:
    from data_utils.audio import SAMPLE_RATE
    from data_utils.manifest import Manifest

    hours = float(Manifest.open(folder / "dataset" / "manifest.train").durations.sum()) / 3600
    wav = hours * 3600 * SAMPLE_RATE * 2
    rows = []
    for dtype, size in sizes.items():
        rows.append((dtype, number(size / 1e6 / hours), number(size / wav)))
        report.figures[f"store {dtype}"] = f"{number(size / 1e6 / hours)} MB per hour"
    report.sections.append(
        Section(
            "Size of the store",
            f"fbank features of {hours:.2f} hours, one variant of each utterance.",
            ("type", "MB per hour of audio", "times 16-bit WAV"),
            rows,
        )
    )


def _memory(loaded: Loaded, report: Report) -> None:
    rows = []
    for source in ("train", *READ_DTYPES):
        for workers in WORKERS:
            cells = [f"{workers}", "train" if source == "train" else f"fast_train, {source}"]
            for who in ("own", "worker"):
                for place in (0, -1):
                    runs = loaded[f"preset {source} {workers}"]
                    peaks = Spread.of([run[who][place] for run in runs])
                    cells.append(f"{peaks}" if who == "own" or workers else "")
            rows.append(cells)
    report.sections.append(
        Section(
            "Memory",
            f"The most that the process which loads has had, and its largest worker, in MB, after "
            f"1 and after {EPOCHS} epochs. In `train` decoded recordings stay in memory.",
            (
                *("workers", "mode", "process, 1 epoch", f"process, {EPOCHS} epochs"),
                *("worker, 1 epoch", f"worker, {EPOCHS} epochs"),
            ),
            rows,
        )
    )
