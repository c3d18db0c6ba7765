"""How much memory a process has, as Linux tells it; elsewhere nothing is known.

Of the standard library alone, see `answering`.
"""

import os
import re
from pathlib import Path

_KB = re.compile(r"^(\w+):\s+(\d+) kB", re.M)


def peak_mb(pid: int | None = None) -> float:
    """The most memory that a process has had so far, in MB; NaN where that is unknown.

    Args:
        pid: of the process; None: of this one.
    """
    return _megabytes("status", "VmHWM", pid)


def present_mb(pid: int | None = None) -> float:
    """What a process has now, in MB, all that it shares with others included: `peak_mb` is of it.

    NaN where that is unknown.
    """
    return _megabytes("status", "VmRSS", pid)


def own_mb(pid: int | None = None) -> float:
    """What a process has now, in MB, its share of what it has together with others: these add up.

    NaN where that is unknown.
    """
    return _megabytes("smaps_rollup", "Pss", pid)


def _megabytes(file: str, name: str, pid: int | None) -> float:
    try:
        text = Path(f"/proc/{os.getpid() if pid is None else pid}/{file}").read_text("ascii")
    except OSError:
        return float("nan")
    found = {key: int(value) for key, value in _KB.findall(text)}
    return found[name] / 2**10 if name in found else float("nan")
