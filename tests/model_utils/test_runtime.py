"""Devices, threads, and what must be settled before Paddle is imported."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from model_utils import runtime
from model_utils.runtime import Device
from model_utils.settings import DeviceSettings

ROOT = Path(runtime.__file__).parent.parent

REPORT = """
import os, sys
from model_utils import runtime
from model_utils.settings import DeviceSettings
assert "paddle" not in sys.modules and "numpy" not in sys.modules
device = runtime.prepare(DeviceSettings(num_threads=2))
import paddle
print(device)
print(os.environ["OMP_NUM_THREADS"], paddle.get_flags("FLAGS_use_mkldnn"), paddle.get_device())
"""

PREPARE = """
from model_utils import runtime
from model_utils.options import run_command
from model_utils.settings import DeviceSettings
run_command(lambda: print(runtime.prepare(DeviceSettings(use_gpu=False, engine="plain"))))
"""


def test_without_a_gpu_the_cpu_is_used_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runtime, "gpu_missing", lambda: "no GPU is visible")
    monkeypatch.setattr(runtime, "_set_environment", lambda threads, onednn: None)
    device = runtime.prepare(DeviceSettings(use_gpu=True, num_threads=1))
    assert device.name == "cpu"
    printed, said = capfd.readouterr()
    assert said == "use_gpu: no GPU is visible; going on with the CPU, 1 threads\n"
    assert printed == ""
    runtime.prepare(DeviceSettings(use_gpu=False, num_threads=1))
    assert capfd.readouterr() == ("", ""), "nobody asked for a GPU"


def test_a_fresh_process_gets_what_was_asked_for_and_nothing_else_is_said() -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("OMP_NUM_THREADS", "FLAGS_use_mkldnn", "GLOG_minloglevel")
    }
    child = subprocess.run(
        [sys.executable, "-c", REPORT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    device, rest = child.stdout.splitlines()
    assert device == "Device(name='cpu', engine='plain', threads=2)"
    assert rest == "2 {'FLAGS_use_mkldnn': False} cpu"
    [said] = child.stderr.splitlines()
    assert said.startswith("use_gpu: ") and "going on with the CPU" in said


def test_a_cpu_build_has_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "paddle_version", lambda: "paddlepaddle 9.9")
    assert runtime.gpu_missing() == "paddlepaddle 9.9 is a CPU build"


def test_a_paddle_that_is_not_there_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paddle", None)  # importing it is an error now
    assert runtime.gpu_missing() == "PaddlePaddle is not installed"


@pytest.mark.parametrize(
    ("answer", "missing"),
    [("2\n", ""), ("0\n", "no GPU is visible"), ("", "no GPU is visible")],
)
def test_a_gpu_build_is_asked_for_its_gpus(
    answer: str, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "paddle_version", lambda: "paddlepaddle-gpu 9.9")
    child = subprocess.CompletedProcess([], 0, stdout=f"some greeting\n{answer}" if answer else "")
    asked: list[object] = []
    monkeypatch.setattr(
        runtime.subprocess, "run", lambda *args, **_: (asked.append(args), child)[1]
    )
    runtime.visible_gpus.cache_clear()
    try:
        assert [runtime.gpu_missing() for _ in range(3)] == [missing] * 3
    finally:
        runtime.visible_gpus.cache_clear()
    assert len(asked) == 1, "each asking is a process that imports Paddle"


def test_what_cannot_be_set_any_more_is_refused() -> None:
    import paddle  # noqa: F401

    set_before = not runtime.known_wrong()  # by tests/conftest.py
    runtime._set_environment(1, onednn=set_before)
    for threads, onednn in ((2, set_before), (1, not set_before)):
        with pytest.raises(RuntimeError, match="imported before"):
            runtime._set_environment(threads, onednn)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 2), (3, 2), (4, 3), (64, 63)])
def test_a_core_is_left_to_the_loader_where_there_are_more_than_two(
    cores: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "available_cores", lambda: cores)
    monkeypatch.setattr(runtime, "_set_environment", lambda threads, onednn: None)
    assert runtime.prepare(DeviceSettings(use_gpu=False)).threads == threads
    assert runtime.prepare(DeviceSettings(use_gpu=False, num_threads=64)).threads == 64


def test_paddle_chooses_the_gpu_of_this_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    chosen: list[str] = []
    gpus = SimpleNamespace(set_device=chosen.append, get_device=lambda: "gpu:1")
    monkeypatch.setattr(runtime, "gpu_missing", lambda: "")
    monkeypatch.setattr(runtime, "_set_environment", lambda threads, onednn: None)
    monkeypatch.setattr(runtime, "_import_paddle", lambda: SimpleNamespace(device=gpus))
    assert runtime.prepare(DeviceSettings(num_threads=1)) == Device("gpu:1", "plain", 1)
    assert chosen == ["gpu"], "the second of two processes would be sent to the first GPU"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("version", "wrong"),
    [("paddlepaddle 2.6.2", True), ("paddlepaddle-gpu 2.6.2", True), ("paddlepaddle 3.3.1", False)],
)
def test_which_line_compiles_convolutions_wrongly(
    version: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "paddle_version", lambda: version)
    assert runtime.known_wrong() == (f"{version} compiles convolutions wrongly" if wrong else "")


@pytest.mark.parametrize(
    ("module", "said"),
    [("paddle", "PaddlePaddle is not installed"), ("paddle.base", "PaddlePaddle cannot be imp")],
)
def test_a_paddle_that_is_missing_or_broken_is_one_line(module: str, said: str) -> None:
    program = f"import sys; sys.modules[{module!r}] = None; {PREPARE}"
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (child.returncode, child.stdout) == (2, ""), child.stderr
    [line] = child.stderr.splitlines()
    assert line.startswith(f"error: {said}") and "docs/install.md" in line


def test_cores_and_version() -> None:
    assert 1 <= runtime.available_cores() <= (os.cpu_count() or 1)
    name, version = runtime.paddle_version().split()
    assert name.startswith("paddlepaddle") and version[0].isdigit()


MATRICES = """
import os
from model_utils import runtime
from model_utils.settings import DeviceSettings
runtime.prepare(DeviceSettings(use_gpu=False, engine="plain", num_threads=1))
import numpy as np, paddle
rng = np.random.default_rng(0)
a, b = rng.normal(0, 1, (2, 200, 200))
product = paddle.to_tensor(a.astype("float32")) @ paddle.to_tensor(b.astype("float32"))
assert np.allclose(product.numpy(), a @ b, atol=1e-3)
print(os.environ.get("MKL_DEBUG_CPU_TYPE"))
"""


@pytest.mark.parametrize("given", [None, "4"])
def test_matrix_products_are_quick_on_amd_too(given: str | None) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "MKL_DEBUG_CPU_TYPE"}
    if given is not None:
        environment["MKL_DEBUG_CPU_TYPE"] = given
    shown = subprocess.run(
        [sys.executable, "-c", MATRICES],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    cpus = Path("/proc/cpuinfo")
    amd = cpus.is_file() and "AuthenticAMD" in cpus.read_text("utf-8")
    assert shown == [given or ("5" if amd else "None")]


@pytest.mark.parametrize(
    ("info", "hinted"),
    [
        (["vendor_id\t: AuthenticAMD", "flags\t\t: fpu avx avx2 sha_ni"], True),
        (["vendor_id\t: AuthenticAMD", "flags\t\t: fpu avx avx512"], False),
        (["vendor_id\t: GenuineIntel", "flags\t\t: fpu avx avx2 avx512f"], False),
        ([], False),
    ],
)
def test_only_amd_processors_with_avx2_get_the_hint(
    monkeypatch: pytest.MonkeyPatch, info: list[str], hinted: bool
) -> None:
    monkeypatch.setattr(runtime, "_cpu_info", lambda: info)
    assert runtime._is_amd_with_avx2() is hinted
