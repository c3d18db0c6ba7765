"""The processes that train together: which of them this is, and sums over all of them.

Paddle's launcher starts them and tells each its rank. Alone, every function here is what it is for
one process, and nothing of Paddle is touched. It lies below the networks, whose batch norm sums
over all processes too.
"""

import contextlib
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from paddle import Tensor

STARTED = time.time()
"""When this process began, in seconds since 1970: a request to stop is younger."""

LOST = 5
"""Exit code of a process that lost another one."""
PATIENCE = 15.0
"""Seconds in which a launcher notices a process that ended on its machine."""

FOLDER = "PADDLE_LOG_DIR"
"""Where the launcher tells its processes that their output goes."""


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0"))


def world_size() -> int:
    """How many processes train together, on all machines."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def local_size() -> int:
    """How many of them share this machine."""
    return int(os.environ.get("PADDLE_LOCAL_SIZE", "1"))


def stop_request() -> Path | None:
    """The file whose presence asks all processes of this machine to save and stop.

    None for a process that no launcher started. One from before `STARTED` was meant for others.
    """
    folder = os.environ.get(FOLDER)
    return stop_request_in(Path(folder)) if folder else None


def stop_request_in(folder: Path) -> Path:
    """The same file, for the one that starts the processes with their output in `folder`."""
    return folder / "stop"


def is_main() -> bool:
    """Whether this is the process that prints and writes."""
    return rank() == 0


def quieten() -> None:
    """Leave the output to the main process; errors are still said."""
    if not is_main():
        print(f"process {rank()} of {world_size()}: process 0 prints for all", flush=True)
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (until the process ends)


def join() -> None:
    """Meet the other processes. Each calls it once, after Paddle is imported."""
    if world_size() > 1:
        import paddle

        with contextlib.redirect_stderr(io.StringIO()):  # it lists flags that are set
            paddle.distributed.init_parallel_env()


def sum_over_ranks(values: "Tensor") -> "Tensor":
    """`values` summed over all processes, in place; every process has to come here."""
    if world_size() > 1:
        import paddle

        try:
            paddle.distributed.all_reduce(values)
        except RuntimeError as error:  # gloo's; NCCL waits, and the watchdog ends that
            _leave(error)
    return values


def _leave(error: RuntimeError) -> NoReturn:
    """End this process because another one is gone."""
    print(f"another process is gone ({' '.join(str(error).split())})", file=sys.stderr, flush=True)
    # The launcher names the first that it finds ended: that is to be the other one.
    time.sleep(PATIENCE)
    os._exit(LOST)


def totals(numbers: Sequence[float]) -> list[float]:
    """Each of `numbers` summed over all processes, in float64; every process has to come here."""
    if world_size() == 1:
        return list(numbers)
    import paddle

    summed = sum_over_ranks(paddle.to_tensor(list(numbers), dtype="float64"))
    return [float(number) for number in summed.numpy()]


def gathered(item: Any) -> list[Any]:
    """The `item` of every process, by rank; every process has to come here."""
    if world_size() == 1:
        return [item]
    import paddle

    items: list[Any] = []
    paddle.distributed.all_gather_object(items, item)
    return items
