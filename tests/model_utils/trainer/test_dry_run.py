"""The heaviest batch before training: what it reports, and that it leaves no trace."""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import paddle
import pytest
from paddle import Tensor, nn
from regression import DEVICE, Points, Regression

from data_utils.errors import InputError
from model_utils import runtime
from model_utils.trainer.dry_run import dry_run
from model_utils.trainer.precision import Precision


class Normalised(Regression):
    """With running statistics, which a forward pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1D(8), nn.Linear(8, 1))


def test_it_leaves_the_network_as_it_was() -> None:
    task = Normalised()
    before = {name: value.numpy().copy() for name, value in task.network.state_dict().items()}
    line = dry_run(task, 6, DEVICE)
    assert line.startswith("heaviest batch: 6 items, ")
    for name, value in task.network.state_dict().items():
        assert np.array_equal(value.numpy(), before[name]), name
    assert all(p.grad is None or not p.grad.numpy().any() for p in task.network.parameters())
    assert task.modes == [True]


@pytest.mark.parametrize("world", [1, 2])
def test_the_batch_size_that_it_suggests_fills_nine_tenths(
    world: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = iter([1000.0, 1060.0])  # 10 MB an item
    monkeypatch.setattr(runtime, "memory_mb", lambda: next(used))
    monkeypatch.setattr(runtime, "room_mb", lambda: 5000.0)
    monkeypatch.setenv("PADDLE_LOCAL_SIZE", str(world))
    possible = {1: 360, 2: 135}[world]
    assert dry_run(Regression(), 6, DEVICE) == (
        "heaviest batch: 6 items, 1,060 MB at its peak of 5,000; "
        f"there would be room for --batch_size={possible}"
    )


def test_of_batches_by_duration_it_speaks_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter([1000.0, 1060.0])  # for 30 s
    monkeypatch.setattr(runtime, "memory_mb", lambda: next(used))
    monkeypatch.setattr(runtime, "room_mb", lambda: 5000.0)
    line = dry_run(Regression(), 6, DEVICE, batch_seconds=30.0)
    assert line.endswith("there would be room for --batch_seconds=1800")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("ResourceExhaustedError: Out of memory on GPU 0")]
)
def test_too_little_memory_is_said_with_cures(error: Exception) -> None:
    task = Regression()

    def losses(batch: Points) -> Tensor:
        raise error

    task.losses: Callable[[Points], Tensor] = losses  # type: ignore[misc]
    with pytest.raises(InputError, match=r"6 items.*does not fit.*--batch_size=3 with --accumul"):
        dry_run(task, 6, DEVICE)
    with pytest.raises(InputError, match=r"try --batch_seconds=12\.5 with --accumulate"):
        dry_run(task, 6, DEVICE, 25.0)


def test_another_error_is_not_taken_for_it() -> None:
    task = Regression()

    def losses(batch: Points) -> Tensor:
        raise RuntimeError("something else")

    task.losses = losses  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="something else"):
        dry_run(task, 6, DEVICE)


def test_it_computes_in_the_precision_of_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    precision, entered = Precision("off", DEVICE), []

    @contextlib.contextmanager
    def computing() -> Iterator[None]:
        entered.append("in")
        yield
        entered.append("out")

    monkeypatch.setattr(precision, "computing", computing)
    task = Regression()
    monkeypatch.setattr(task, "losses", lambda part: entered.append("losses") or paddle.zeros([0]))
    dry_run(task, 6, DEVICE, precision=precision)
    assert entered == ["in", "losses", "out"]
