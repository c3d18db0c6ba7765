"""The command of the benchmarks, run in this process."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import peers, run
from benchmarks.measuring import TITLE, MeasuringSettings
from benchmarks.train import REQUIREMENTS

Command = Callable[..., list[str]]


@pytest.fixture
def measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Measures a table once; the figures that were printed, which its page has too."""

    def command(table: str, *arguments: str) -> list[str]:
        path = tmp_path / "table.md"
        given = [table, f"--output_path={path}", *arguments]
        if MeasuringSettings in importlib.import_module(f"benchmarks.{table}").SETTINGS:
            given.append("--rounds=1")
        monkeypatch.setattr(sys, "argv", ["run.py", *given])
        run.main()
        page = path.read_text(encoding="utf-8")
        figures = capsys.readouterr().out.split("\n\n")[-1].splitlines()
        assert page.startswith(f"{TITLE}{table}\n")
        assert figures and all(f"\n{figure}\n" in page for figure in figures)
        assert str(tmp_path) not in page  # where somebody's files lie is nobody's business
        return figures

    return command


@pytest.fixture
def pytorch(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Python of PyTorch's environment, where a table has made it for this user."""
    with monkeypatch.context() as patch:
        patch.delenv("XDG_CACHE_HOME")  # that of the tests
        if not peers.is_there("torch", REQUIREMENTS):
            pytest.skip("needs PyTorch: python benchmarks/run.py train installs it")
        return peers.environment("torch", REQUIREMENTS)
