"""Contestants in processes of their own; those of others in environments of their own.

A peer is installed by the benchmark that needs it, in versions that are written there. It is never
a dependency of this package, nor can it change what this package runs with.
"""

import contextlib
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from data_utils.errors import InputError
from data_utils.settings import option
from model_utils import runtime

HOME = Path(__file__).resolve().parents[1]

_THREADS = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    *("NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
)


@dataclass(frozen=True)
class PeerSettings:
    """Whether others are measured too."""

    peers: bool = option(
        True, "install the peers, in environments of their own, and measure them too"
    )


def environment(name: str, requirements: Sequence[str]) -> Path:
    """The Python of an environment in which these packages are, made where there is none yet.

    Args:
        name: of the environment's folder.
        requirements: as pip takes them, with versions.

    Raises:
        InputError: it cannot be made.
    """
    folder = _folder(name, requirements)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if is_there(name, requirements):
        return python
    print(f"installing {', '.join(requirements)} into {folder}", flush=True)
    try:
        _run(sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder))
        pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check")
        _run(*pip, "install", *requirements)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = _last_line(getattr(error, "stderr", "")) or str(error)
        raise InputError(
            f"{folder}: the peers cannot be installed ({reason}); mend that, or leave them out: "
            f"--peers=False"
        ) from None
    (folder / _COMPLETE).touch()
    return python


def is_there(name: str, requirements: Sequence[str]) -> bool:
    """Whether `environment` has made this one already."""
    return (_folder(name, requirements) / _COMPLETE).exists()


_COMPLETE = "complete"


def _folder(name: str, requirements: Sequence[str]) -> Path:
    wanted = "\n".join([platform.python_version(), *requirements])
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:8]
    return runtime.cache_folder() / "benchmarks" / f"{name}-{digest}"


def run_script(script: str, *arguments: str, cwd: Path) -> None:
    """Run a command of this package in the folder `cwd`; what it prints is of no interest.

    Raises:
        InputError: it failed, with what it said.
    """
    try:
        _run(sys.executable, str(HOME / script), *arguments, cwd=cwd)
    except subprocess.CalledProcessError as error:
        reason = _last_line(error.stderr).removeprefix("error: ")
        raise InputError(f"{script} failed: {reason}") from None


def _run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(
        command,
        cwd=cwd,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    )


def _environment(threads: int | None = None) -> dict[str, str]:
    """What a process is started with: where this package is, and how many threads it may use."""
    limits = {} if threads is None else dict.fromkeys(_THREADS, str(threads))
    return {**os.environ, "PYTHONPATH": str(HOME), **limits}


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


class Side:
    """A process that answers questions (`answering.answer`); one that waits takes no time.

    Args:
        module: "benchmarks.NAME", which is run.
        python: of the environment that it runs in; None: of this one.
        cwd: the folder that it runs in; None: this one.
        cores: how many it may use, with a thread on each; None: all that this process may.
    """

    def __init__(
        self,
        module: str,
        *,
        python: Path | None = None,
        cwd: Path | None = None,
        cores: int | None = None,
    ) -> None:
        self._module = module
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 (until the process ends)
        self._process = subprocess.Popen(
            [str(python or sys.executable), "-m", module],
            cwd=cwd,
            env=_environment(cores),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            encoding="utf-8",
        )
        if cores is not None and hasattr(os, "sched_setaffinity"):
            allowed = sorted(os.sched_getaffinity(0))[-cores:]
            with contextlib.suppress(ProcessLookupError):  # it failed already; asking will tell
                os.sched_setaffinity(self._process.pid, allowed)

    def __call__(self, question: str, **arguments: Any) -> Any:
        """The answer to a question: JSON values.

        Raises:
            InputError: the process failed, with the last line that it said.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps([question, arguments]) + "\n")
            self._process.stdin.flush()
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._process.wait()
        self._said.seek(0)
        reason = _last_line(self._said.read().decode(errors="replace"))
        raise InputError(f"{self._module}, asked for {question}, failed: {reason}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()  # the end of its input is the end of its work
        self._said.close()
