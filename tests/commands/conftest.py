"""A generated corpus and a small trained model, made once for all tests of the commands."""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workspace import Workspace, annotation_lines

DIGITS = "零一二三四五六七八九"


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`annotation/` and `audio/`: pairs of digits, 104 + 48 + 48 clips of under a second."""
    pytest.importorskip("espeakng_loader", reason="the extra `quickstart` speaks the corpus")
    work = Workspace(tmp_path_factory.mktemp("corpus"))
    pairs = ["".join(pair) for pair in itertools.product(DIGITS, DIGITS)][::2]
    (work / "text.txt").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    sizes = ("--num_train=104", "--num_dev=48", "--num_test=48")
    work.run("tools/generate_corpus.py", "--text=text.txt", *sizes)
    return work / "dataset"


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    """An empty folder."""
    return Workspace(tmp_path / "work")


@pytest.fixture(scope="session")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Prepared, and trained for two epochs of six batches with noise; only to be read or copied."""
    work = Workspace(tmp_path_factory.mktemp("trained") / "work")
    counts = {"train": 48, "dev": 8, "test": 16}
    lines = {
        split: annotation_lines(corpus / "annotation" / f"{split}.txt", corpus, count)
        for split, count in counts.items()
    }
    work.annotate(**lines)
    (work / "dataset" / "audio").mkdir()
    (work / "dataset" / "audio" / "noise").symlink_to(corpus / "audio" / "noise")
    work.prepare()
    ran = work.train("--num_epoch=2")
    (work / "train.log").write_text("\n".join(ran.out), encoding="utf-8")
    return work


@pytest.fixture
def copied(trained: Workspace, tmp_path: Path) -> Workspace:
    """The prepared and trained folder, to do with as one likes."""
    return trained.copy(tmp_path / "copied")


@pytest.fixture
def visualdl() -> Iterator[Callable[[Path], str]]:
    """Starts `visualdl --logdir=FOLDER --port=PORT` and returns its address once it answers."""
    with contextlib.ExitStack() as stack:

        def start(log: Path) -> str:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            command = shutil.which("visualdl", path=str(Path(sys.executable).parent))
            assert command is not None, "visualdl is installed beside python"
            server = subprocess.Popen(
                [command, f"--logdir={log.name}", f"--port={port}"],
                cwd=log.parent,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            stack.callback(_end, server)
            address = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}/app/api/tags", timeout=5).close()
                    return address
                time.sleep(0.2)
            raise AssertionError("visualdl does not answer")

        yield start


def _end(server: "subprocess.Popen[bytes]") -> None:
    os.killpg(server.pid, signal.SIGKILL)  # it starts a second process, which serves
    server.wait()
