"""A process that finishes no step is ended, one that does is not."""

import subprocess
import sys
import threading
import time

from workspace import HOME

from model_utils.trainer.watchdog import STUCK, Watchdog

STEPS = """
import sys, time
from model_utils.trainer.watchdog import Watchdog
watchdog = Watchdog(1.0)

def wait_for_the_others():
    time.sleep(60)

with watchdog.watching():
    for _ in range(8):
        time.sleep(0.3)
        watchdog.step_done()
    print("eight steps", flush=True)
    wait_for_the_others()
"""


def test_a_stuck_process_ends_and_shows_where_it_was() -> None:
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", STEPS], cwd=HOME, capture_output=True, text=True, check=False
    )
    assert ran.returncode == STUCK and time.monotonic() - started < 30
    assert ran.stdout == "eight steps\n"
    assert "wait_for_the_others" in ran.stderr
    assert "no step was finished for 1 s (--watchdog_seconds)" in ran.stderr


def test_it_ends_with_its_block_and_can_be_left_out() -> None:
    before = threading.active_count()
    for seconds in (0.05, None):
        watchdog = Watchdog(seconds)
        with watchdog.watching():
            watchdog.step_done()
            assert threading.active_count() == before + (seconds is not None)
        assert threading.active_count() == before
        time.sleep(0.2)  # nobody is watched any more: the process lives on
