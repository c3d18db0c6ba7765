"""From one `python train.py` to one process per device.

The command starts Paddle's launcher, which starts the command again once per device, watches the
processes and ends all when one of them dies. Here the first process's output becomes this one's,
Ctrl-C and SIGTERM become a request that all processes see (a file: the launcher would end them
instead), and a death becomes one line.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TextIO

from data_utils.atomic import check_place
from data_utils.errors import InputError
from model_utils import distributed, runtime
from model_utils.settings import DeviceSettings, RunSettings

POLL_SECONDS = 0.2


def processes(settings: DeviceSettings) -> int:
    """How many processes this one is to start on this machine; 1: it trains by itself.

    Raises:
        InputError: more processes than GPUs.
    """
    if distributed.world_size() > 1 or distributed.stop_request():
        return 1  # a launcher started this one
    wanted = settings.nproc_per_node
    if wanted == 1:
        return 1
    visible = runtime.visible_gpus() if settings.use_gpu else 0
    if wanted is None:
        return max(1, visible)
    if 0 < visible < wanted:
        raise InputError(
            f"--nproc_per_node={wanted}: {visible} GPUs are visible; "
            f"give at most {visible}, or --use_gpu=False"
        )
    return wanted


def run_processes(count: int, settings: RunSettings) -> int:
    """Run this command again as `count` processes, and return its exit code.

    Raises:
        InputError: the folder of logs cannot be written.
    """
    check_place(Path(settings.log_dir) / "new")
    name = datetime.now().strftime("processes-%Y%m%d-%H%M%S-")
    Path(settings.log_dir).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=name, dir=settings.log_dir))
    launcher = [sys.executable, "-m", "paddle.distributed.launch", f"--nproc_per_node={count}"]
    launcher += [f"--log_dir={folder}", "--log_level=ERROR"]
    # Paddle is told of its threads by each process for itself.
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    with (folder / "launcher.log").open("w", encoding="utf-8") as said:
        child = subprocess.Popen(
            [*launcher, sys.argv[0], *sys.argv[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the first process's output, late
            stderr=said,
            env=environment,
            start_new_session=True,  # Ctrl-C comes here alone
        )
    with _asking_to_stop(child, folder):
        for text in _followed(folder / "workerlog.0", child):
            print(text, end="", flush=True)
    if child.returncode == 0:
        return 0
    return _explain(child.returncode, folder, count)


@contextmanager
def _asking_to_stop(child: "subprocess.Popen[bytes]", folder: Path) -> Iterator[None]:
    """The first signal asks the processes to stop, the second ends them."""
    request = distributed.stop_request_in(folder)

    def ask(number: int, frame: FrameType | None) -> None:
        if request.exists():
            child.terminate()
        request.touch()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if child.poll() is None:
            child.kill()


def _followed(path: Path, child: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What is written to `path` while `child` runs, as it comes."""
    stream: TextIO | None = None
    running = True
    while running:
        running = child.poll() is None
        if stream is None and path.exists():
            stream = path.open(encoding="utf-8", errors="replace")
        text = stream.read() if stream else ""
        if text:
            yield text
        elif running:
            time.sleep(POLL_SECONDS)
    if stream is not None:
        stream.close()


def _explain(code: int, folder: Path, count: int) -> int:
    """Say which process ended the others, and how; returns the exit code for all."""
    said = (folder / "launcher.log").read_text(encoding="utf-8", errors="replace")
    found = re.search(r"Container rank (\d+) status failed .* code (-?\d+) log", said)
    if found is None:
        print(f"error: the launcher ended with {code}; it said: {said.strip()}", file=sys.stderr)
        return 1
    rank, code = int(found[1]), int(found[2])
    log = folder / f"workerlog.{rank}"
    if code == 2 and rank == 0:
        return 2  # its message was shown
    last = (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""])[-1]
    if code == 2:
        print(f"process {rank} of {count}: {last}", file=sys.stderr)
        return 2
    how = f"ended with {code}: {last}"
    if code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
        how += ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    print(
        f"error: process {rank} of {count} {how}; the others were stopped. Its output: {log}; "
        f"--resume_model=latest goes on from the last checkpoint",
        file=sys.stderr,
    )
    return 1
