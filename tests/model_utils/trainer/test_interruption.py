"""Requests to stop: by signal, by the launcher's file; a second one does not wait."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from workspace import HOME

from model_utils import distributed
from model_utils.trainer.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    interruption = Interruption()
    before = signal.getsignal(number)
    with interruption.listening():
        assert not interruption.is_asked()
        for _ in range(3):  # launchers repeat it
            os.kill(os.getpid(), number)
        assert interruption.is_asked()
    assert signal.getsignal(number) is before


def test_a_file_of_the_launcher_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(distributed.FOLDER, str(tmp_path))
    interruption = Interruption()
    assert not interruption.is_asked()
    distributed.stop_request_in(tmp_path).touch()
    assert interruption.is_asked()


WAITS = """
import time
from model_utils.trainer.interruption import Interruption
with Interruption().listening():
    print("ready", flush=True)
    time.sleep(3)
    time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_second_signal_ends_the_process() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], cwd=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(2.5)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + signal.SIGTERM
    assert said.count(b"stopping after this step") == 1 and b"stopped at once" in said


def test_a_file_that_an_earlier_run_left_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(distributed.FOLDER, str(tmp_path))
    request = distributed.stop_request_in(tmp_path)
    request.touch()
    os.utime(request, (distributed.STARTED - 5, distributed.STARTED - 5))
    assert not Interruption().is_asked()
