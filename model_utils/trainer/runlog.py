"""What a run says: lines on the console, curves for VisualDL, the same numbers as JSON lines.

Each run, a resumed one too, writes into a folder of its own under the log folder, because VisualDL
shows one file a folder; nothing of an earlier run is touched.
"""

import itertools
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from model_utils import runtime

if TYPE_CHECKING:  # reports read a run's numbers without Paddle
    from model_utils.trainer.task import Score

METRICS = "metrics.jsonl"
"""The file of a run's folder that holds its numbers, a JSON object a line."""
LOSS, RATE = "Train loss", "Learning rate"
NORM, SPEED, WAITING, MEMORY = "Gradient norm", "Hours per hour", "Waiting share", "Memory MB"
"""Tags of its curves; those of scores are such as `Test cer`."""
ACCURACY = "accuracy"
"""Last word of the tag of a share that is right, such as `Test language accuracy`."""
OPTIONS, VERSIONS = "options.json", "versions.json"
"""Files of a run's folder: what `--config` would take to do the same; what it was run with."""
LEFT_OUT = "left_out.txt"
"""The file of a run's folder that names all that is not trained on, where and why, a line each."""

Item = TypeVar("Item")

ETA_MEMORY = 0.98
"""Weight of the past in the smoothed seconds per batch: a memory of about 50 batches."""


def stamp() -> str:
    """Now, as every line of the log carries it: [2021-08-31 22:40:36.473431]."""
    return datetime.now().strftime("[%Y-%m-%d %H:%M:%S.%f]")


class RunLog:
    """The log of one run.

    Args:
        folder: where runs are kept; this one gets a folder named by the time. None for a process
            that neither prints nor writes: of several that train together one does.
        num_epoch: last epoch, for the lines.
        num_batches: batches in an epoch.
        clean: whether an epoch's progress bar is taken away when it is done.
    """

    def __init__(
        self, folder: Path | None, num_epoch: int, num_batches: int, clean: bool = True
    ) -> None:
        self.folder = None if folder is None else _new_folder(folder)
        self._num_epoch = num_epoch
        self._num_batches = num_batches
        self._clean = clean
        self._batches = 0
        self._seconds_per_batch = 0.0
        self._last_batch = time.monotonic()
        self._bar: tqdm[Any] | None = None
        self._told: set[str] = set()
        if self.folder is not None:
            from visualdl import LogWriter

            self._curves = LogWriter(logdir=str(self.folder))
            self._metrics = (self.folder / METRICS).open("a", encoding="utf-8")
        self._since = self._last_batch
        self._heard = self._waited = 0.0

    def start_epoch(self, epoch: int, start: int) -> None:
        """Show a progress bar for `epoch` on a terminal, from batch `start` on."""
        self._last_batch = self._since = time.monotonic()
        self._heard = self._waited = 0.0
        if self.folder is not None and sys.stderr.isatty():
            self._bar = tqdm(
                total=self._num_batches,
                initial=start,
                desc=f"epoch {epoch}",
                leave=not self._clean,
                unit="batch",
            )

    def keep_options(self, options: Mapping[str, Any], versions: Mapping[str, str]) -> None:
        """Write what the run was asked for, and what it runs with, beside its numbers."""
        if self.folder is None:
            return
        for name, content in ((OPTIONS, options), (VERSIONS, versions)):
            text = json.dumps(content, ensure_ascii=False, indent=1)
            (self.folder / name).write_text(f"{text}\n", encoding="utf-8")

    def waiting(self, batches: Iterable[Item]) -> Iterator[Item]:
        """`batches`, the time until each comes being counted as waiting."""
        iterator = iter(batches)
        while True:
            asked = time.monotonic()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._waited += time.monotonic() - asked
            yield batch

    def batch_done(self, seconds_heard: float = 0.0) -> None:
        """Note that a batch was trained: the ETA and the progress bar follow.

        Args:
            seconds_heard: seconds of recordings in it.
        """
        self._heard += seconds_heard
        now = time.monotonic()
        seconds, self._last_batch = now - self._last_batch, now
        self._batches += 1
        # The first batch compiles and waits for the workers' start: it says nothing of the others.
        memory = 0.0 if self._batches <= 2 else ETA_MEMORY
        self._seconds_per_batch = memory * self._seconds_per_batch + (1 - memory) * seconds
        if self._bar is not None:
            self._bar.update()

    def end_epoch(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def train(
        self,
        epoch: int,
        batch: int,
        step: int,
        rate: float,
        loss: float,
        norm: float | None = None,
    ) -> None:
        """One line of training, and its curves.

        Args:
            epoch: that is trained.
            batch: of the epoch, from 0.
            step: batches done in all.
            rate: learning rate of the batch.
            loss: mean over the epoch's batches since the line before.
            norm: of the batch's gradient, before clipping.
        """
        left = self._num_epoch * self._num_batches - ((epoch - 1) * self._num_batches + batch + 1)
        eta = timedelta(seconds=int(left * self._seconds_per_batch))
        self.say(
            f"Train {stamp()} epoch: [{epoch}/{self._num_epoch}], "
            f"batch: [{batch}/{self._num_batches}], learning rate: {rate:.8f}, "
            f"train loss: {loss:.6f}, eta: {eta}"
        )
        self._record(LOSS, loss, step, epoch)
        self._record(RATE, rate, step, epoch)
        if norm is not None:
            self._record(NORM, norm, step, epoch)
        now = time.monotonic()
        if (passed := now - self._since) > 0:
            self._record(SPEED, self._heard / passed, step, epoch)
            self._record(WAITING, self._waited / passed, step, epoch)
        if not math.isnan(memory := runtime.memory_mb()):
            self._record(MEMORY, memory, step, epoch)
        self._since, self._heard, self._waited = now, 0.0, 0.0

    def score(self, epoch: int, name: str, score: "Score") -> None:
        """One line of scoring; the curve's tag is such as `Test cer`, over epochs."""
        detail = f" ({score.detail})" if score.detail else ""
        self.say(
            f"{name.capitalize()} {stamp()} epoch: [{epoch}/{self._num_epoch}], "
            f"{score.name}: {score.value:.5f}{detail}"
        )
        self._record(f"{name.capitalize()} {score.name}", score.value, epoch, epoch)
        for measure, value in score.beside.items():
            self._record(f"{name.capitalize()} {measure}", value, epoch, epoch)
        if self.folder is not None:
            for tag, picture in score.pictures.items():
                self._curves.add_image(tag=tag, img=picture, step=epoch)
            for tag, sound in score.sounds.items():
                self._curves.add_audio(
                    tag=tag, audio_array=sound.samples, step=epoch, sample_rate=sound.rate
                )

    def say(self, line: str) -> None:
        """Print a line without tearing the progress bar."""
        if self.folder is None:
            return
        if self._bar is not None:
            self._bar.clear()
        print(line, flush=True)
        if self._bar is not None:
            self._bar.refresh()

    def warn(self, line: str) -> None:
        """Print a warning without tearing the progress bar."""
        self._say_aside(f"warning: {line}")

    def list_left_out(self, reasons: Iterable[str]) -> None:
        """Write what is left out of the whole run into `LEFT_OUT`, and say where that is."""
        if file := self._write_left_out(reasons):
            self._say_aside(f"all that is left out: {file}")

    def left_out(self, problem: str) -> None:
        """Warn of what turns out to be unusable, once (the next epoch meets it again); list it."""
        if problem not in self._told:
            self._told.add(problem)
            self.warn(f"left out: {problem}")
            self._write_left_out([problem])

    def close(self) -> None:
        """Finish the files."""
        self.end_epoch()
        if self.folder is not None:
            self._curves.close()
            self._metrics.close()

    def _say_aside(self, line: str) -> None:
        if self.folder is None:
            return
        if self._bar is not None:
            self._bar.clear()
        print(line, file=sys.stderr, flush=True)

    def _write_left_out(self, reasons: Iterable[str]) -> Path | None:
        """Append lines; where there are none, no file is made."""
        rest = iter(reasons)
        first = next(rest, None)
        if first is None or self.folder is None:
            return None
        # A name that is not UTF-8 is escaped.
        file = self.folder / LEFT_OUT
        with file.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(f"{reason}\n" for reason in itertools.chain([first], rest))
        return file

    def _record(self, tag: str, value: float, step: int, epoch: int) -> None:
        if self.folder is None:
            return
        self._curves.add_scalar(tag=tag, step=step, value=value)
        row = {"tag": tag, "step": step, "epoch": epoch, "value": value, "time": time.time()}
        self._metrics.write(json.dumps(row) + "\n")
        self._metrics.flush()


def _new_folder(parent: Path) -> Path:
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        folder = parent / (f"{name}-{number}" if number else name)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise RuntimeError(f"{parent}: a thousand runs in one second")
