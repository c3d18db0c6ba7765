"""What /proc says of a process."""

import math
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.memory import own_mb, peak_mb

pytestmark = pytest.mark.skipif(math.isnan(own_mb()), reason="no /proc here")


def test_what_was_given_back_stays_in_the_peak() -> None:
    code = (
        "from benchmarks.memory import own_mb, peak_mb\n"
        "before = own_mb(); block = bytearray(64 << 20); held = own_mb(); del block\n"
        "print(held - before, own_mb() - before, peak_mb() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    held, after, peak = map(float, done.stdout.split())
    assert 60 < held < 70
    assert after < 10
    assert peak > 60


def test_of_another_process_and_of_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert 0 < own_mb(process.pid) <= peak_mb(process.pid) + 1
        process.communicate(b"\n")
    assert np.isnan(own_mb(process.pid))
