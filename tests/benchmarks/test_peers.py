"""Processes that are asked, environments that are made."""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.peers import Side, environment, run_script
from data_utils.errors import InputError


def test_a_side_answers_again_and_again(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest"
    lines = [json.dumps({"duration": seconds}) for seconds in (1.0, 2.0)]
    manifest.write_text("\n".join(lines), encoding="utf-8")
    with Side("benchmarks.scale_list", cwd=tmp_path) as side:
        assert side("versions", packages=["numpy"]) == {"numpy": np.__version__}
        assert {"open", "plan", "peak_mb"} <= side("run", path=str(manifest)).keys()


def test_a_side_that_fails_says_why_in_a_line(tmp_path: Path) -> None:
    with Side("benchmarks.scale_list", cores=1) as side:
        with pytest.raises(InputError, match=r"scale_list, asked for run, failed: FileNotFound"):
            side("run", path=str(tmp_path / "missing"))
        with pytest.raises(InputError) as error:
            side("run", path=str(tmp_path / "missing"))  # it has ended
        assert "\n" not in str(error.value)


def test_what_a_command_complains_of_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^tools/build_vocab.py failed: .*manifest.train"):
        run_script("tools/build_vocab.py", cwd=tmp_path)


def test_an_environment_is_made_once_and_again_if_it_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wheel = tmp_path / "peer_of_tests-1.0-py3-none-any.whl"
    _write_wheel(wheel)
    python = environment("tests", [str(wheel)])
    assert python.is_relative_to(tmp_path)
    code = "import peer_of_tests; print(peer_of_tests.FASTER)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "True\n"
    assert "installing" in capsys.readouterr().out

    assert environment("tests", [str(wheel)]) == python
    assert capsys.readouterr().out == ""

    (python.parents[1] / "complete").unlink()
    wheel.unlink()
    with pytest.raises(InputError, match=r"cannot be installed.*--peers=False") as error:
        environment("tests", [str(wheel)])
    assert "\n" not in str(error.value)


def _write_wheel(path: Path) -> None:
    folder = "peer_of_tests-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("peer_of_tests.py", "FASTER = True\n")
        archive.writestr(
            f"{folder}/METADATA", "Metadata-Version: 2.1\nName: peer-of-tests\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{folder}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{folder}/RECORD", "")


def test_the_number_of_threads_is_told_to_every_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert peers._environment()["OMP_NUM_THREADS"] == "7"
    limited = peers._environment(threads=2)
    assert {limited[name] for name in peers._THREADS} == {"2"}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="cores cannot be chosen here")
def test_a_side_stays_on_its_cores() -> None:
    with Side("benchmarks.scale_list", cores=1) as side:
        side("versions", packages=[])
        assert os.sched_getaffinity(side._process.pid) == {max(os.sched_getaffinity(0))}
