"""Compiled convolutions: that they are right here, and that nothing believes so unproved."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import paddle
import pytest

from data_utils.features import num_bins
from data_utils.settings import FeatureSettings
from model_utils import engine_proof, runtime
from model_utils.fast import gru
from model_utils.networks import conv
from model_utils.networks.conv import ConvolutionStack
from model_utils.settings import DeviceSettings, NetworkSettings

NETWORK = NetworkSettings(conv_channels=2, rnn_layer_size=3)
BINS = 9

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
WRONG = f"import sys; print('output off by 1.0e+00'); sys.exit({runtime.DISAGREE})"
RIGHT = "print('the engines agree')"
HANG = "import time; time.sleep(60)"
KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
NO_MEMORY = "raise MemoryError('no 3 GiB')"
NO_PADDLE = "import no_such_library"

KNOWN_WRONG = runtime.known_wrong()
"""Not empty where the tests run with Paddle 2."""
right_here = pytest.mark.skipif(bool(KNOWN_WRONG), reason=KNOWN_WRONG)


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been run as proofs; `prove_by` says what runs instead."""
    return []


@pytest.fixture
def prove_by(monkeypatch: pytest.MonkeyPatch, children: list[list[str]]) -> Callable[[str], None]:
    """Let another program stand in for the proof."""
    run = subprocess.run

    def replace(program: str) -> None:
        def stand_in(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
            assert command[:3] == [sys.executable, "-m", "model_utils.engine_proof"]
            children.append(command[3:])
            return run([sys.executable, "-S", "-c", program], **options)

        monkeypatch.setattr(runtime.subprocess, "run", stand_in)

    return replace


def verdict(network: NetworkSettings = NETWORK, bins: int = BINS, threads: int = 1) -> str:
    return runtime.proved_wrong(network, bins, threads)


# The engines themselves


def run(stack: ConvolutionStack, features: np.ndarray, lengths: list[int]) -> dict[str, np.ndarray]:
    y, _ = stack(paddle.to_tensor(features), paddle.to_tensor(lengths))
    stack.clear_gradients()
    weights = paddle.to_tensor(np.random.default_rng(2).normal(0, 1, y.shape).astype("float32"))
    (y * weights).sum().backward()
    gradients = {name: p.grad.numpy() for name, p in stack.named_parameters()}
    return {"output": y.numpy(), **gradients}


@right_here
@pytest.mark.parametrize(
    ("bins", "channels", "num_layers"),
    [(161, 32, 2), (39, 8, 3), (80, 8, 1)],
    ids=["the default network", "mfcc", "fbank"],
)
def test_compiled_and_plain_convolutions_agree(bins: int, channels: int, num_layers: int) -> None:
    plain = ConvolutionStack(bins, channels, num_layers)
    fast = ConvolutionStack(bins, channels, num_layers, compile_convolutions=True)
    fast.set_state_dict(plain.state_dict())
    for norm in (*plain.norms, *fast.norms):
        norm.ceiling = None  # at its corners a rounding turns a gradient on or off
    random = np.random.default_rng(1)
    for frames in (40, 7, 61):  # every new length must do without a new trace
        features = random.standard_normal((2, frames, bins)).astype("float32")
        expected, found = (run(stack, features, [frames, 5]) for stack in (plain, fast))
        for name, value in expected.items():
            scale = np.abs(value).max()
            assert np.abs(found[name] - value).max() < 1e-4 * scale, (name, frames)
    plain.eval(), fast.eval()
    with paddle.no_grad():
        x, lengths = paddle.to_tensor(features), paddle.to_tensor([61, 5])
        assert np.allclose(plain(x, lengths)[0].numpy(), fast(x, lengths)[0].numpy(), atol=1e-4)


def test_compiled_convolutions_keep_the_names_of_their_weights() -> None:
    plain = ConvolutionStack(BINS, 2, 3)
    fast = ConvolutionStack(BINS, 2, 3, compile_convolutions=True)
    assert list(plain.state_dict()) == list(fast.state_dict())


# The proof


class _Wrong(conv.Convolution):
    """A convolution off by a tenth, in its output or in its gradient alone."""

    def __init__(self, right: conv.Convolution, error: str) -> None:
        paddle.nn.Layer.__init__(self)
        self.conv = right.conv
        self.error = error

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = super().forward(x)
        return 1.1 * y if self.error == "output" else 1.1 * y - 0.1 * y.detach()


@pytest.mark.parametrize("error", ["output", "gradient"])
def test_the_proof_finds_what_is_wrong(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_proof, "LENGTHS", (20, 31))
    monkeypatch.setattr(conv, "compiled", lambda right, *shape: right)
    assert engine_proof.compare_convolutions(2, 3, BINS) == ""
    monkeypatch.setattr(conv, "compiled", lambda right, *shape: _Wrong(right, error))
    assert " off by " in engine_proof.compare_convolutions(2, 3, BINS)


@pytest.mark.parametrize("error", ["output", "gradient"])
@pytest.mark.parametrize("direction", ["bidirectional", "forward"])
def test_the_proof_finds_a_wrong_gru(
    error: str, direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, layers = gru.GRU.forward, []
    assert engine_proof.compare_gru(gru.SMALLEST[direction], direction) == ""

    def wrong(layer: gru.GRU, x: paddle.Tensor, **given: Any) -> tuple[paddle.Tensor, None]:
        layers.append(layer)
        y, _ = right(layer, x, **given)
        return 1.1 * y if error == "output" else 1.1 * y - 0.1 * y.detach(), None

    monkeypatch.setattr(gru.GRU, "forward", wrong)
    assert " off by " in engine_proof.compare_gru(gru.SMALLEST[direction], direction)
    assert [layer.num_directions for layer in layers] == [2 if direction == "bidirectional" else 1]
    assert engine_proof.compare_gru(gru.SMALLEST[direction] - 1, direction) == "", (
        "Paddle's own is used"
    )


def test_the_proof_computes_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    # A build for GPUs takes one where there is one, whatever --use_gpu says.
    said: list[Any] = []
    monkeypatch.setattr(paddle.device, "set_device", said.append)
    for name in ("compare_convolutions", "compare_gru"):
        monkeypatch.setattr(engine_proof, name, lambda *given: (said.append(given), "")[1])
    assert engine_proof.compare(2, 3, BINS, 128, direction="forward") == ""
    assert said == ["cpu", (2, 3, BINS), (128, "forward")]


@right_here
@pytest.mark.parametrize("seed", range(4))
def test_the_proof_does_not_depend_on_luck(seed: int) -> None:
    # It once failed for one in four weights: at the corners of the clipped ReLU the smallest
    # rounding turns a gradient on or off.
    paddle.seed(seed)
    assert engine_proof.compare_convolutions(2, 16, 80) == ""


def test_the_proof_comes_to_a_verdict_on_the_default_network() -> None:
    default, bins = NetworkSettings(), num_bins(FeatureSettings())
    units, direction = default.rnn_layer_size, default.rnn_direction
    sizes = map(str, (default.num_conv_layers, default.conv_channels, bins, units, direction))
    child = subprocess.run(
        [sys.executable, "-m", "model_utils.engine_proof", *sizes],
        cwd=Path(runtime.__file__).parent.parent,
        env=os.environ | {"FLAGS_use_mkldnn": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if KNOWN_WRONG:
        assert child.returncode == runtime.DISAGREE, child.stderr
        assert " off by " in child.stdout
    else:
        assert (child.returncode, child.stdout) == (0, "the engines agree\n"), child.stderr


# What becomes of its verdict


@pytest.mark.parametrize(
    ("program", "reason"),
    [(RIGHT, ""), (CRASH, "SIGSEGV"), (WRONG, "output off by 1.0e+00")],
)
def test_the_verdict_is_kept(
    program: str,
    reason: str,
    prove_by: Callable[[str], None],
    children: list[list[str]],
) -> None:
    prove_by(program)
    first = verdict()
    assert reason in first and bool(first) == bool(reason)
    assert verdict() == first
    assert children == [["2", "2", "9", "3", "bidirectional"]]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (HANG, "took more than"),
        (KILLED, "signal 9"),
        (NO_MEMORY, "MemoryError: no 3 GiB"),
        (NO_PADDLE, "No module named 'no_such_library'"),
    ],
)
def test_a_proof_that_came_to_no_verdict_is_tried_again(
    program: str,
    reason: str,
    prove_by: Callable[[str], None],
    children: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runtime, "PROOF_SECONDS", 1.0 if program == HANG else 60.0)
    prove_by(program)
    found = verdict()
    assert reason in found and found.endswith("; the next run tries again") and "\n" not in found
    prove_by(RIGHT)
    assert verdict() == verdict() == ""
    assert len(children) == 2


def test_another_network_machine_or_paddle_is_proved_anew(
    prove_by: Callable[[str], None],
    children: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prove_by(RIGHT)
    verdict()
    verdict(bins=BINS + 1)
    verdict(NetworkSettings(num_conv_layers=3, conv_channels=2))
    verdict(NetworkSettings(conv_channels=4))
    verdict(threads=2)
    assert len(children) == 5
    for name in ("paddle_version", "_cpu_name", "_proof_source"):
        with monkeypatch.context() as patch:
            patch.setattr(runtime, name, lambda: "another")
            verdict()
    assert len(children) == 8
    verdict(NetworkSettings(conv_channels=2, rnn_layer_size=7))
    assert len(children) == 9
    verdict(NetworkSettings(conv_channels=2, rnn_layer_size=7, rnn_direction="forward"))
    assert len(children) == 10
    for units, direction in (
        (3, "forward"),
        (7, "bidirectional"),
    ):  # nothing that is proved differs
        verdict(
            NetworkSettings(
                conv_channels=2, rnn_type="lstm", rnn_layer_size=units, rnn_direction=direction
            )
        )
    assert len(children) == 11 and children[-1] == ["2", "2", "9", "0", "none"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"3", b'"problem"', b"\xff\xfe"])
def test_a_damaged_verdict_is_made_again(
    content: bytes,
    prove_by: Callable[[str], None],
    children: list[list[str]],
) -> None:
    prove_by(RIGHT)
    verdict()
    [record] = runtime.cache_folder().iterdir()
    record.write_bytes(content)
    assert verdict() == verdict() == ""
    assert len(children) == 2


def test_a_cache_that_cannot_be_written_is_survived(
    prove_by: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    prove_by(RIGHT)
    with pytest.warns(UserWarning, match="cannot be kept"):
        assert verdict() == ""


# What the process is prepared for


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """What `prepare` would set; this process has imported Paddle long ago."""
    calls: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        runtime, "_set_environment", lambda threads, onednn: calls.append((threads, onednn))
    )
    fake = SimpleNamespace(device=SimpleNamespace(set_device=lambda name: None))
    monkeypatch.setattr(runtime, "_import_paddle", lambda: fake)
    monkeypatch.setattr(runtime, "paddle_version", lambda: "paddlepaddle 3.9")
    return calls


@pytest.mark.parametrize("program", [CRASH, WRONG])
def test_prepare_falls_back_with_one_warning(
    program: str,
    prove_by: Callable[[str], None],
    environment: list[tuple[int, bool]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    prove_by(program)
    device = runtime.prepare(DeviceSettings(use_gpu=False, num_threads=3), NETWORK, BINS)
    assert (device.name, device.engine, device.threads) == ("cpu", "plain", 3)
    assert not device.is_fast
    assert environment == [(3, False)]
    printed, complaints = capfd.readouterr()
    assert printed == "" and complaints.count("\n") == 1
    assert complaints.startswith("warning: the plain engine is used") and "proof" in complaints


def test_prepare_compiles_what_was_proved(
    prove_by: Callable[[str], None],
    environment: list[tuple[int, bool]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    prove_by(RIGHT)
    device = runtime.prepare(DeviceSettings(use_gpu=False, num_threads=3), NETWORK, BINS)
    assert device.engine == "fast" and device.is_fast
    assert environment == [(3, True)]
    assert capfd.readouterr() == ("", "")


def test_with_paddle_2_no_proof_is_asked(
    prove_by: Callable[[str], None],
    children: list[list[str]],
    environment: list[tuple[int, bool]],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prove_by(RIGHT)
    monkeypatch.setattr(runtime, "paddle_version", lambda: "paddlepaddle-gpu 2.6.2")
    device = runtime.prepare(DeviceSettings(use_gpu=False, num_threads=3), NETWORK, BINS)
    assert device.engine == "plain" and not device.is_fast
    assert environment == [(3, False)] and not children
    printed, complaints = capfd.readouterr()
    assert printed == "" and complaints == (
        "warning: the plain engine is used, several times slower: "
        "paddlepaddle-gpu 2.6.2 compiles convolutions wrongly\n"
    )


def test_the_plain_engine_never_compiles(
    prove_by: Callable[[str], None],
    children: list[list[str]],
    environment: list[tuple[int, bool]],
) -> None:
    prove_by(RIGHT)
    settings = DeviceSettings(use_gpu=False, engine="plain", num_threads=1)
    device = runtime.prepare(settings, NETWORK, BINS)
    assert device.engine == "plain" and not device.is_fast
    assert environment == [(1, False)] and not children
    stack = ConvolutionStack(BINS, 2, 2, device.is_fast)
    assert all("forward" not in vars(layer) for layer in stack.convolutions)
    fast = ConvolutionStack(BINS, 2, 2, compile_convolutions=True)
    assert all("forward" in vars(layer) for layer in fast.convolutions), "this test is blind"


PREPARE = f"""
from model_utils import runtime
from model_utils.settings import DeviceSettings, NetworkSettings
settings = DeviceSettings(use_gpu=False, num_threads=1)
print(runtime.prepare(settings, NetworkSettings(conv_channels=2, rnn_layer_size=3), {BINS}).engine)
"""


def test_all_of_it_for_real() -> None:
    engine = subprocess.run(
        [sys.executable, "-c", PREPARE],
        cwd=Path(runtime.__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert engine == ("plain\n" if KNOWN_WRONG else "fast\n")
    assert len(list(runtime.cache_folder().glob("*"))) == (0 if KNOWN_WRONG else 1)
