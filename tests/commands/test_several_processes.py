"""Training in two processes on CPU: what users type, and what becomes of a process that dies."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from workspace import HOME, Workspace

from model_utils.trainer import checkpoint

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no gloo in Paddle for Windows")

PLAIN = ("--augment_conf_path=None", "--dropout=0", "--engine=plain", "--test_off")
TWO = ("--nproc_per_node=2", "--lr_scaling=none")


def losses(folder: Path) -> list[float]:
    (file,) = folder.glob("log/*/metrics.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return [row["value"] for row in rows if row["tag"] == "Train loss"]


def weights(work: Workspace, name: str) -> dict[str, np.ndarray]:
    return checkpoint.load(work / "models" / "param" / name).weights


def prepared(trained: Workspace, folder: Path) -> Workspace:
    """47 utterances to train on; nothing is trained yet."""
    work = Workspace(folder)
    (folder / "dataset").symlink_to(trained / "dataset")
    lines = (trained / "dataset" / "manifest.train").read_text(encoding="utf-8").splitlines()[:47]
    (folder / "manifest.47").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return work


def test_two_processes_follow_one(trained: Workspace, tmp_path: Path) -> None:
    # Steps of 46 utterances, and of 1: the second process has none then.
    common = ("--train_manifest=manifest.47", "--shuffle_method=batch_shuffle", "--log_interval=1")
    # A step of SGD with a rate of 1 moves the weights by the gradient.
    sgd = ("--optimizer=sgd", "--momentum=0", "--weight_decay=0", "--grad_clip=None")
    sgd += ("--lr_schedule=constant", "--max_steps=1", "--learning_rate=1")
    moved = {}
    for name, options in (("one", ("--batch_size=46",)), ("two", ("--batch_size=23", *TWO))):
        work = prepared(trained, tmp_path / f"{name}-gradient")
        work.train(*PLAIN, *common, *sgd, "--num_epoch=1", *options)
        moved[name] = weights(work, "1_batch_1")
        work = prepared(trained, tmp_path / name)
        work.train(*PLAIN, *common, "--num_epoch=10", *options)
    start = prepared(trained, tmp_path / "start")
    start.train(*PLAIN, *common, *sgd, "--num_epoch=1", "--batch_size=46", "--learning_rate=0")
    begun = weights(start, "1_batch_1")
    norms, differences = [], []
    for name, value in moved["one"].items():
        norms.append(np.square(value - begun[name], dtype=np.float64).sum())
        differences.append(np.square(value - moved["two"][name], dtype=np.float64).sum())
    assert np.sqrt(sum(differences) / sum(norms)) < 1e-5
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == 20 and np.allclose(one, two, rtol=1e-3, atol=0)
    # And an epoch's last weights, in full.
    one_weights, two_weights = (
        checkpoint.load(tmp_path / name / "models" / "param" / "10").weights
        for name in ("one", "two")
    )
    for name, value in one_weights.items():
        assert np.allclose(value, two_weights[name], atol=2e-3), name


def test_the_rate_is_scaled_and_printed_as_users_know_it(
    trained: Workspace, tmp_path: Path
) -> None:
    work = prepared(trained, tmp_path)
    ran = work.train("--num_epoch=1", "--learning_rate=1e-4", "--nproc_per_node=2")
    assert "learning rate: 0.00020000" in "\n".join(ran.out)
    assert sum("训练数据数量" in line for line in ran.out) == 1
    assert len(list((tmp_path / "models" / "param").glob("1.*"))) == 3


def test_a_mistake_is_said_once(trained: Workspace, tmp_path: Path) -> None:
    work = prepared(trained, tmp_path)
    ran = work.train("--nproc_per_node=2", "--vocab_path=nowhere.txt", code=2)
    assert sum("nowhere.txt" in line for line in ran.out + ran.err) == 1


# Deaths, hangs, requests to stop


class Running:
    """`train.py` in two processes, under way."""

    def __init__(self, work: Workspace, *options: str) -> None:
        self.work = work
        (work / "out.log").unlink(missing_ok=True)
        self.stream = (work / "out.log").open("w")
        self.parent = subprocess.Popen(
            [
                *(sys.executable, str(HOME / "train.py"), "--config=conf/small.json5"),
                *("--nproc_per_node=2", "--num_epoch=10000", "--test_off", "--log_interval=1"),
                *options,
            ],
            cwd=work.folder,
            stdout=self.stream,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        return (self.work / "out.log").read_text()

    def wait_for_training(self) -> None:
        deadline = time.monotonic() + 120
        while "epoch: [2/" not in self.output:
            assert time.monotonic() < deadline and self.parent.poll() is None, self.output
            time.sleep(0.1)

    def rank(self, number: int) -> int:
        """The process of that rank."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                typed = (folder / "cmdline").read_bytes()
                where = (folder / "cwd").readlink()
            except OSError:
                continue
            mine = where == self.work.folder.resolve() and b"train.py" in typed
            if mine and f"PADDLE_TRAINER_ID={number}".encode() in environment:
                return int(folder.name)
        raise AssertionError(f"no rank {number}")

    def ended(self, within: float) -> int:
        started = time.monotonic()
        try:
            code = self.parent.wait(timeout=within)
        finally:
            self.parent.kill()
            self.stream.close()
        assert time.monotonic() - started < within
        return code


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_a_process_that_dies_ends_the_others_within_a_minute(
    trained: Workspace, tmp_path: Path, rank: int
) -> None:
    running = Running(prepared(trained, tmp_path / "work"))
    running.wait_for_training()
    other = running.rank(1 - rank)
    os.kill(running.rank(rank), signal.SIGKILL)
    assert running.ended(60) == 1
    assert f"error: process {rank} of 2 was ended by SIGKILL" in running.output
    assert "--resume_model=latest" in running.output
    assert not Path(f"/proc/{other}").exists()


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_process_that_is_stuck_is_found(trained: Workspace, tmp_path: Path) -> None:
    running = Running(prepared(trained, tmp_path / "work"), "--watchdog_seconds=5")
    running.wait_for_training()
    stuck = running.rank(1)
    os.kill(stuck, signal.SIGSTOP)
    assert running.ended(60) == 1
    assert "no step was finished for 5 s (--watchdog_seconds)" in running.output
    # Where it waited for the other: in the step, or at the end of an epoch.
    assert re.search("all_(reduce|gather)", running.output), running.output
    assert not Path(f"/proc/{stuck}").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_the_run_goes_on(
    trained: Workspace, tmp_path: Path, number: signal.Signals
) -> None:
    running = Running(prepared(trained, tmp_path / "work"))
    running.wait_for_training()
    running.parent.send_signal(number)
    assert running.ended(60) == 0, running.output
    saved = checkpoint.latest(tmp_path / "work" / "models" / "param")
    assert saved is not None and f"--resume_model=models/param/{saved.stem}" in running.output
    info = checkpoint.read_info(saved)
    assert info is not None
    epoch = info["progress"]["epoch"]
    ran = running.work.train("--nproc_per_node=2", "--resume_model=latest", f"--num_epoch={epoch}")
    assert f"resumed: models/param/{saved.stem}" in "\n".join(ran.out)


@pytest.mark.slow
def test_two_launchers_meet_as_two_machines_would(trained: Workspace, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--num_epoch=1", "--max_steps=4", "--log_interval=1", "--lr_scaling=none")
    launchers = []
    for number in (0, 1):
        work = prepared(trained, tmp_path / str(number))
        command = [
            *(sys.executable, "-m", "paddle.distributed.launch", "--nnodes=2"),
            *(f"--master=127.0.0.1:{port}", f"--rank={number}", "--nproc_per_node=1"),
            *("--log_dir=ranks", str(HOME / "train.py"), "--config=conf/small.json5"),
            *("--batch_size=4", *PLAIN, *options),
        ]
        launchers.append(
            subprocess.Popen(
                command, cwd=work.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    said = [launcher.communicate(timeout=120)[0].decode() for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], said
    assert "process 0 prints for all" in said[1] and "train loss" not in said[1]
    assert not (tmp_path / "1" / "models").exists(), "one of them writes"
    alone = prepared(trained, tmp_path / "alone")
    alone.train("--batch_size=8", *PLAIN, *options)
    assert np.allclose(losses(tmp_path / "0"), losses(tmp_path / "alone"), rtol=1e-3, atol=0)
