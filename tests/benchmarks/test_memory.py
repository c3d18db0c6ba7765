"""What /proc says of a process."""

import math
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.memory import own_mb, peak_mb, present_mb

pytestmark = pytest.mark.skipif(math.isnan(own_mb()), reason="no /proc here")


def test_what_was_given_back_stays_in_the_peak() -> None:
    code = (
        "from benchmarks.memory import own_mb, peak_mb, present_mb\n"
        "before = own_mb(); block = bytearray(64 << 20); held = own_mb(); most = present_mb()\n"
        "del block; print(held - before, own_mb() - before, peak_mb() - before)\n"
        "assert abs(peak_mb() - most) < 1 and abs(most - 64 - present_mb()) < 1"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    held, after, peak = map(float, done.stdout.split())
    assert 60 < held < 70
    assert after < 10
    assert peak > 60


def test_of_another_process_and_of_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        own, present, peak = (of(process.pid) for of in (own_mb, present_mb, peak_mb))
        assert 0 < own <= present + 1 <= peak + 2
        process.communicate(b"\n")
    assert np.isnan(own_mb(process.pid))
