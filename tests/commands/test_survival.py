"""Runs that are killed, stopped, or have no room left: nothing is lost, and they end the same."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from workspace import HOME, Workspace

from model_utils.trainer import checkpoint

EPOCHS = 6
BATCHES = 6
ALWAYS = ("--save_interval=1", f"--num_epoch={EPOCHS}", "--ema_decay=0.9", "--log_interval=1")
DYING = "--resume_model=latest"


def prepared(trained: Workspace, folder: Path) -> Workspace:
    """Prepared, nothing trained yet."""
    work = Workspace(folder)
    (folder / "dataset").symlink_to(trained / "dataset")
    return work


def final(work: Workspace) -> tuple[bytes, bytes]:
    folder = work / "models" / "param"
    last = [(folder / f"{EPOCHS}{suffix}").read_bytes() for suffix in (".pdparams", ".pdopt")]
    return last[0], last[1]


def place(work: Workspace) -> tuple[int, int]:
    """Epoch and batch of the newest checkpoint that is whole; (0, 0) before the first."""
    newest = checkpoint.latest(work / "models" / "param")
    if newest is None:
        return 0, 0
    info = checkpoint.load(newest).info
    assert info is not None
    return info["progress"]["epoch"], info["progress"]["batch"]


@pytest.fixture(scope="module")
def whole(trained: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """What a run leaves that nothing disturbed."""
    work = prepared(trained, tmp_path_factory.mktemp("whole") / "work")
    work.train(*ALWAYS)
    return final(work)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL is of Unix")
def test_fifty_kills_lose_nothing(
    trained: Workspace, tmp_path: Path, whole: tuple[bytes, bytes], campaign: Callable[[str], None]
) -> None:
    work = prepared(trained, tmp_path / "work")
    rng = random.Random(20)
    before, kills, broken, lost = (0, 0), 0, 0, 0
    while kills < 50:
        if (work / "models" / "param" / f"{EPOCHS}.json").exists():
            for path in (work / "models" / "param").glob("*"):  # done: begin again
                path.unlink()
            before = (0, 0)
        process = subprocess.Popen(
            [sys.executable, str(HOME / "train.py"), "--config=conf/small.json5", *ALWAYS, DYING],
            cwd=work.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Train "):
                break
        # From the first step on: a step with its save takes some hundredths of a second.
        time.sleep(rng.uniform(0, 0.6))
        process.kill()
        process.communicate()
        kills += 1
        half = list((work / "models" / "param").glob(".*.tmp"))
        broken += bool(half)  # of this kill: a run removes what was left before it
        now = place(work)
        lost += now < before
        before = now
    work.train(*ALWAYS, DYING)
    campaign(f"{kills} kills, {broken} of them inside a save; {lost} lost anything")
    assert lost == 0 and broken > 0, "kills hit saves too"
    assert final(work) == whole


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_stops_at_random_batches_leave_the_same_weights(
    trained: Workspace,
    tmp_path: Path,
    whole: tuple[bytes, bytes],
    workers: int,
    campaign: Callable[[str], None],
) -> None:
    rng = random.Random(workers)
    cases, lost = 8, 0
    for case in range(cases):
        work = prepared(trained, tmp_path / str(case))
        steps = sorted(rng.sample(range(1, EPOCHS * BATCHES), 2))
        for step in steps:
            options = (f"--max_steps={step}", f"--num_workers={workers}", "--save_interval=1000")
            ran = work.train(*ALWAYS, *options, DYING)
            [line] = [line for line in ran.out if f"stopped after {step} steps" in line]
            assert "--max_steps=None" in line and line.count("max_steps") == 2
        work.train(*ALWAYS, f"--num_workers={workers}", DYING)
        lost += final(work) != whole
    campaign(f"{cases} runs stopped twice, {workers} workers; {lost} ended differently")
    assert lost == 0


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_saves_and_names_the_command_that_goes_on(
    trained: Workspace, tmp_path: Path
) -> None:
    work = prepared(trained, tmp_path / "work")
    process = subprocess.Popen(
        [sys.executable, str(HOME / "train.py"), "--config=conf/small.json5", "--num_epoch=5000"],
        cwd=work.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "epoch: [2/" in line:
            break
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    found = re.search(
        r"stopped as asked; to go on: python train.py --config=conf/small.json5 --num_epoch=5000 "
        r"--resume_model=(\S+)$",
        said,
        re.M,
    )
    assert found and (work / found[1]).is_file(), said
    assert "Traceback" not in said


# A full disk


def test_a_full_disk_ends_the_run_with_the_last_checkpoint_whole(
    trained: Workspace, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted here (needs root)")
    try:
        work = prepared(trained, tmp_path / "work")
        options = (*ALWAYS, f"--output_model_dir={disk}")
        ran = work.train(*options, code=2)
        [error] = [line for line in ran.err if line.startswith("error: ")]
        assert "the checkpoint cannot be written (No space left on device)" in error
        newest = checkpoint.latest(disk)
        assert newest is not None and f"--resume_model={newest}" in error
        assert not list(disk.glob("*.tmp")), "nothing half written"
        checkpoint.load(newest)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_last_epochs_score_is_made_up_for(copied: Workspace) -> None:
    last = copied / "models" / "param" / "2.pdparams"
    info = checkpoint.read_info(last)
    assert info is not None
    checkpoint.amend(last, progress={**info["progress"], "is_to_score": True})
    ran = copied.train("--num_epoch=2", "--resume_model=latest")
    assert sum(line.startswith("Test [") for line in ran.out) == 1
    again = checkpoint.read_info(last)
    assert again is not None and not again["progress"]["is_to_score"]
    ran = copied.train("--num_epoch=2", "--resume_model=latest")
    assert any(line.startswith("nothing to do: ") for line in ran.out)
