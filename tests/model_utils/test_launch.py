"""How many processes a command starts, and what it says of one that ended them."""

from pathlib import Path

import pytest

from data_utils.errors import InputError
from model_utils import launch, runtime
from model_utils.settings import DeviceSettings, RunSettings


@pytest.mark.parametrize(
    ("gpus", "settings", "count"),
    [
        (0, DeviceSettings(), 1),
        (1, DeviceSettings(), 1),
        (2, DeviceSettings(), 2),  # CUDA_VISIBLE_DEVICES=0,1
        (8, DeviceSettings(nproc_per_node=3), 3),
        (8, DeviceSettings(nproc_per_node=1), 1),
        (8, DeviceSettings(use_gpu=False), 1),
        (8, DeviceSettings(use_gpu=False, nproc_per_node=12), 12),
        (0, DeviceSettings(nproc_per_node=2), 2),
    ],
)
def test_one_process_for_each_device(
    gpus: int, settings: DeviceSettings, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "visible_gpus", lambda: gpus)
    assert launch.processes(settings) == count


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "visible_gpus", lambda: 2)
    with pytest.raises(InputError, match=r"--nproc_per_node=3: 2 GPUs are visible; give at most 2"):
        launch.processes(DeviceSettings(nproc_per_node=3))


@pytest.mark.parametrize("name", ["PADDLE_LOG_DIR", "PADDLE_TRAINERS_NUM"])
def test_a_process_of_a_launcher_starts_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "2")
    assert launch.processes(DeviceSettings(nproc_per_node=2)) == 1


FAILED = (
    "LAUNCH ERROR 2026-11-21 14:04:34,717 Container failed !!!\n"
    "Container rank {rank} status failed cmd ['python', '-u', 'train.py'] code {code} log x/y\n"
)


@pytest.mark.parametrize(
    ("rank", "code", "exit_code", "said"),
    [
        (1, -9, 1, "error: process 1 of 2 was ended by SIGKILL, perhaps for want of memory; the"),
        (0, -11, 1, "error: process 0 of 2 was ended by SIGSEGV; the others were stopped. Its"),
        (1, 1, 1, "error: process 1 of 2 ended with 1: ValueError: odd; the others were stopped"),
        (1, 2, 2, "process 1 of 2: ValueError: odd\n"),
        (0, 2, 2, ""),  # what it said was shown
    ],
)
def test_what_ended_a_run_is_one_line(
    rank: int,
    code: int,
    exit_code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "launcher.log").write_text(FAILED.format(rank=rank, code=code))
    (tmp_path / f"workerlog.{rank}").write_text("Traceback:\nValueError: odd\n")
    assert launch._explain(247, tmp_path, 2) == exit_code
    printed = capsys.readouterr().err
    assert printed.startswith(said) and printed.count("\n") == bool(said)
    assert ("--resume_model=latest" in printed) == (exit_code == 1)


def test_a_launcher_that_cannot_start_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "launcher.log").write_text("No module named paddle\n")
    assert launch._explain(1, tmp_path, 2) == 1
    assert "No module named paddle" in capsys.readouterr().err


def test_a_folder_of_logs_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file")
    with pytest.raises(InputError, match=r"log is no folder"):
        launch.run_processes(2, RunSettings(log_dir=str(tmp_path / "log")))
