"""What the process must settle before Paddle is imported, and which engine networks may use.

Paddle reads its flags and thread count once, at import. `prepare` sets them; call it first.

On CPU the convolutions are most of a training step, and oneDNN runs them several times as fast as
Paddle's plain kernels, in one form only: each alone in a compiled region (`networks.conv.compiled`)
with the flag set before the import. Other forms were found to give wrong gradients, so nothing is
believed: `engine_proof` compares both engines on the real layers, in a child process, because a
fault there must not take the run with it. The verdict is kept for this CPU, Paddle version and
these layers; a proof that came to none, for want of memory or time, is tried again by the next run.

The same engine computes other layers and CTC by `model_utils.fast`; of that GRU layers
and what stands around the convolutions are proved with them, the rest by tests alone.

What differs between the lines of Paddle, 2.6.2 and 3.3.1, is decided here: `known_wrong`.
"""

import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import os
import platform
import signal
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from data_utils.errors import InputError
from data_utils.workers import available_cores
from model_utils import distributed
from model_utils.settings import DeviceSettings, NetworkSettings

PROOF_SECONDS = 300.0
"""A proof that takes longer is broken off."""

DISAGREE = 3
"""Exit code of a proof whose numbers differ; Python's own, of an exception, is 1."""

# Crashes of a computation, which come again; SIGKILL (memory is gone) and SIGTERM may not.
_CRASHES = {signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}

INSTALL_ENGINE = (
    "make, or pip install onnx onnxruntime (--engine=plain uses checkpoints without them); "
    "see docs/install.md"
)
"""What to do where ONNX or ONNX Runtime is missing."""

INSTALL = "make, or pip install paddlepaddle==3.3.1; see docs/install.md"
"""What to do where Paddle is missing."""


@dataclass(frozen=True)
class Device:
    """What this process computes on."""

    name: str
    """"cpu" or "gpu:0"."""
    engine: str
    """"fast" (convolutions compiled for oneDNN, `model_utils.fast`) or "plain"."""
    threads: int
    """Threads of the CPU engine."""

    @property
    def is_fast(self) -> bool:
        """Whether networks are to be built for the fast engine."""
        return self.engine == "fast"


def prepare(
    settings: DeviceSettings, network: NetworkSettings | None = None, num_bins: int = 0
) -> Device:
    """Set the process up and choose device and engine; must come before Paddle's first import.

    Args:
        settings: device and engine wanted.
        network: sizes of the network that is to be fast; None: plain engine.
        num_bins: feature bins of a frame.

    Returns:
        What is in force. A GPU that is wanted and not there is said in one line, and the CPU used.

    Raises:
        InputError: Paddle is not installed, or cannot be imported.
    """
    if util.find_spec("paddle") is None:
        raise InputError(f"PaddlePaddle is not installed; {INSTALL}")
    threads = settings.num_threads or default_threads()
    if settled(settings).use_gpu:
        _set_environment(threads, onednn=False)
        paddle = _import_paddle()
        paddle.device.set_device("gpu")  # of several processes each gets its own
        return Device(paddle.device.get_device(), "plain", threads)
    engine = "plain"
    if settings.engine == "auto" and network is not None:
        problem = known_wrong() or proved_wrong(network, num_bins, threads)
        if problem:
            print(
                f"warning: the plain engine is used, several times slower: {problem}",
                file=sys.stderr,
            )
        else:
            engine = "fast"
    _set_environment(threads, onednn=engine == "fast")
    paddle = _import_paddle()
    paddle.device.set_device("cpu")
    return Device("cpu", engine, threads)


def settled(settings: DeviceSettings) -> DeviceSettings:
    """The settings, their wish for a GPU given up where there is none, which is said in one line.

    Of what is settled nothing is said again.
    """
    missing = gpu_missing() if settings.use_gpu else ""
    if not missing:
        return settings
    threads = settings.num_threads or default_threads()
    print(f"use_gpu: {missing}; going on with the CPU, {threads} threads", file=sys.stderr)
    return dataclasses.replace(settings, use_gpu=False)


def default_threads() -> int:
    """All cores up to two, one less beyond; processes that train together share them.

    The processes that load data compute too. A training step with one of them took, on 4 cores,
    187 ms with 3 threads and 225 with 4 (260 with 4 and two of them); on 2 cores 255 ms with 2
    threads and 348 with 1.
    """
    cores = available_cores()
    return max(1, (cores if cores <= 2 else cores - 1) // distributed.local_size())


def paddle_version() -> str:
    """Package and version of the installed Paddle, without importing it."""
    for package in ("paddlepaddle-gpu", "paddlepaddle"):
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue
    return "paddle of unknown version"


def known_wrong() -> str:
    """Why compiled convolutions need no proof with the installed Paddle; empty if they do.

    Those of Paddle 2.6.2 fail the proof in most sizes, the default one among them. The smallest
    networks pass, but their training ended in a crash of oneDNN, or went on after a resume with
    other numbers.
    """
    version = paddle_version()
    return f"{version} compiles convolutions wrongly" if " 2." in version else ""


def gpu_missing() -> str:
    """Why there is no GPU to compute on; empty if there is one."""
    if util.find_spec("paddle") is None:
        return "PaddlePaddle is not installed"
    if not paddle_version().startswith("paddlepaddle-gpu"):
        return f"{paddle_version()} is a CPU build"
    return "" if visible_gpus() else "no GPU is visible"


@functools.cache  # importing Paddle in a child takes seconds, and every start asks several times
def visible_gpus() -> int:
    """GPUs that Paddle sees; none with a CPU build."""
    if not paddle_version().startswith("paddlepaddle-gpu"):
        return 0
    # Asked in a child: the answer decides what must be set before the import here.
    count = subprocess.run(
        [sys.executable, "-c", "import paddle; print(paddle.device.cuda.device_count())"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    return int(count[-1]) if count and count[-1].isdigit() else 0


def memory_mb() -> float:
    """The most memory that this process has had so far: the GPU's where there is one, in MB."""
    import paddle

    if paddle.is_compiled_with_cuda() and paddle.device.get_device().startswith("gpu"):
        return float(paddle.device.cuda.max_memory_allocated()) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def room_mb() -> float:
    """The memory of the device in MB, or of the machine where that is the CPU; NaN if unknown."""
    import paddle

    if paddle.is_compiled_with_cuda() and paddle.device.get_device().startswith("gpu"):
        return float(paddle.device.cuda.get_device_properties().total_memory) / 2**20
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    except (AttributeError, ValueError, OSError):  # Windows
        return float("nan")


def versions() -> dict[str, str]:
    """What a run depends on, for its records: Paddle, NumPy, Python, the commit of this code."""
    commit = ""
    with contextlib.suppress(OSError):
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
        commit = asked.stdout.strip()
    return {
        "paddle": paddle_version(),
        "numpy": metadata.version("numpy"),
        "python": platform.python_version(),
        "commit": commit,
    }


def proved_wrong(network: NetworkSettings, num_bins: int, threads: int) -> str:
    """Why the fast engine cannot be trusted here with these sizes; empty if it can."""
    is_gru = network.rnn_type == "gru"
    units, direction = (network.rnn_layer_size, network.rnn_direction) if is_gru else (0, "none")
    sizes = [network.num_conv_layers, network.conv_channels, num_bins, units]
    layers = [*map(str, sizes), direction]
    key = json.dumps([*layers, threads, _cpu_name(), paddle_version(), _proof_source()])
    record = cache_folder() / f"engine-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["problem"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    problem, lasting = _run_proof(layers, threads)
    if not lasting:
        return f"{problem}; the next run tries again"
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"problem": problem, "of": key}), encoding="utf-8")
        partial.replace(record)
    except OSError as error:
        warnings.warn(f"the engine's proof cannot be kept: {error}", stacklevel=2)
    return problem


def _run_proof(layers: list[str], threads: int) -> tuple[str, bool]:
    """What is wrong, empty if nothing is; and whether that would be found again."""
    # Alone: without what a launcher told this process of others.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PADDLE_")}
    environment |= {"OMP_NUM_THREADS": str(threads), "FLAGS_use_mkldnn": "1"}
    environment = _mkl_hint() | environment
    command = [sys.executable, "-m", "model_utils.engine_proof", *layers]
    try:
        child = subprocess.run(
            command,
            env=environment,
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROOF_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the proof took more than {PROOF_SECONDS:.0f} s", False
    except OSError as error:
        return f"the proof could not be started ({error.strerror})", False
    if child.returncode == 0:
        return "", True
    if child.returncode == DISAGREE:
        last = (child.stdout.strip().splitlines() or ["no reason given"])[-1]
        return f"the fast engine failed its proof ({last})", True
    if -child.returncode in _CRASHES:
        name = signal.Signals(-child.returncode).name
        return f"the fast engine failed its proof ({name})", True
    if child.returncode < 0:
        return f"the proof was ended from outside (signal {-child.returncode})", False
    last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
    return f"the proof could not be made ({last})", False


def _proof_source() -> str:
    """Digest of the code that a proof covers, so that a change asks for a new one."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    networks = (folder / "networks" / name for name in ("conv.py", "batch_norm.py"))
    for path in (folder / "engine_proof.py", *networks, *sorted((folder / "fast").glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _cpu_name() -> str:
    lines = _cpu_info()
    if not lines:
        return platform.processor() or platform.machine()
    wanted = ("model name", "flags", "cpu model", "features")
    return " ".join(sorted({line for line in lines if line.lower().startswith(wanted)}))


def _is_amd_with_avx2() -> bool:
    lines = _cpu_info()
    amd = any(line.startswith("vendor_id") and "AuthenticAMD" in line for line in lines)
    return amd and any(line.startswith("flags") and "avx2" in line.split() for line in lines)


def _cpu_info() -> list[str]:
    """What Linux knows of the processors; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def cache_folder() -> Path:
    """Where what is dear to make again is kept for this user."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "paddle-deepspeech2"


def _set_environment(threads: int, onednn: bool) -> None:
    if "paddle" in sys.modules:
        # Tests come here twice; flags cannot change any more, the same ones may stay.
        asked = (str(threads), "1" if onednn else "0")
        if asked != (os.environ.get("OMP_NUM_THREADS"), os.environ.get("FLAGS_use_mkldnn")):
            raise RuntimeError("Paddle was imported before runtime.prepare could set it up")
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["FLAGS_use_mkldnn"] = "1" if onednn else "0"
    for name, value in _mkl_hint().items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("GLOG_minloglevel", "2")  # errors; below are greetings of its executor


def _mkl_hint() -> dict[str, str]:
    """What Paddle's MKL, of 2019, must be told of this processor.

    On those of other makers it takes its slowest path unless told that AVX2 will do: 20 in place of
    80 GFLOP/s a core in a matrix product.
    """
    return {"MKL_DEBUG_CPU_TYPE": "5"} if _is_amd_with_avx2() else {}


def _import_paddle() -> Any:
    """Paddle, without what its import and its tracing say of no use to our users."""
    warnings.filterwarnings("ignore", message=".*ccache.*")
    warnings.filterwarnings("ignore", message="Tensor do not have 'place' interface")
    with contextlib.redirect_stderr(io.StringIO()):  # it warns of more than one thread
        try:
            import paddle
        except ImportError as error:
            reason = " ".join(str(error).split())
            raise InputError(f"PaddlePaddle cannot be imported ({reason}); {INSTALL}") from None

    return paddle
