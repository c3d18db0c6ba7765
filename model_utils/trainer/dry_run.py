"""The heaviest batch once before training: a run that lacks memory ends now, not in three days."""

from typing import Any

from data_utils.errors import InputError
from model_utils import distributed, runtime
from model_utils.trainer import checkpoint
from model_utils.trainer.precision import Precision
from model_utils.trainer.task import Task

SPARE = 0.9
"""Share of the memory that a batch size is suggested for."""


def dry_run(
    task: Task[Any],
    batch_size: int,
    device: runtime.Device,
    batch_seconds: float | None = None,
    precision: Precision | None = None,
) -> str:
    """Compute losses and gradients of the heaviest batch, and leave the network as it was.

    Args:
        task: what is to be trained.
        batch_size: items in a part of it, for the message.
        device: whose memory counts.
        batch_seconds: of a part of it, where parts are made by duration; for the message.
        precision: that it will be trained in; None: float32.

    Returns:
        A line for the user: the memory it took, and the batches that there would be room for.

    Raises:
        InputError: the memory did not suffice.
    """
    before = runtime.memory_mb()
    state = checkpoint.weights_of(task.network)
    statistics = {name: value.clone() for name, value in state.items() if value.stop_gradient}
    task.network.train()
    precision = precision or Precision("off", device)
    size = 0
    try:
        for part in task.heaviest_batch():
            size = max(size, task.size(part))
            with precision.computing():
                losses = task.losses(part)
            if losses.shape[0] > 0:
                losses.sum().backward()
    except (MemoryError, RuntimeError) as error:
        # Paddle's own error is a RuntimeError that names the allocator.
        if not isinstance(error, MemoryError) and "ResourceExhausted" not in str(error):
            raise
        smaller = f"--batch_size={max(1, batch_size // 2)}"
        if batch_seconds is not None:
            smaller = f"--batch_seconds={batch_seconds / 2:g}"
        raise InputError(
            f"the heaviest batch ({size or batch_size} items on each device) does not fit into the "
            f"memory of {device.name}; try {smaller} with --accumulate=2, or "
            f"leave out the longest items"
        ) from None
    finally:
        for parameter in task.network.parameters():
            parameter.clear_grad()
        for name, value in statistics.items():
            state[name].set_value(value)
    peak, room = runtime.memory_mb(), runtime.room_mb()
    line = f"heaviest batch: {size} items, {peak:,.0f} MB at its peak"
    if size and peak > before and room > 0 and distributed.is_main():
        shared = room / (1 if device.name != "cpu" else distributed.local_size())
        times = SPARE * (shared - before) / (peak - before)
        possible = f"--batch_size={max(1, int(times * size))}"
        if batch_seconds is not None:
            possible = f"--batch_seconds={max(1, int(times * batch_seconds))}"
        line += f" of {room:,.0f}; there would be room for {possible}"
    return line
