"""The heaviest batch once before training: a run that lacks memory ends now, not in three days."""

from typing import Any

from data_utils.errors import InputError
from model_utils import distributed, runtime
from model_utils.trainer import checkpoint
from model_utils.trainer.task import Task

SPARE = 0.9
"""Share of the memory that a batch size is suggested for."""


def dry_run(task: Task[Any], batch_size: int, device: runtime.Device) -> str:
    """Compute losses and gradients of the heaviest batch, and leave the network as it was.

    Args:
        task: what is to be trained.
        batch_size: items in a part of it, for the message.
        device: whose memory counts.

    Returns:
        A line for the user: the memory it took, and the batch size that there would be room for.

    Raises:
        InputError: the memory did not suffice.
    """
    before = runtime.memory_mb()
    state = checkpoint.weights_of(task.network)
    statistics = {name: value.clone() for name, value in state.items() if value.stop_gradient}
    task.network.train()
    size = 0
    try:
        for part in task.heaviest_batch():
            size = max(size, task.size(part))
            losses = task.losses(part)
            if losses.shape[0] > 0:
                losses.sum().backward()
    except (MemoryError, RuntimeError) as error:
        # Paddle's own error is a RuntimeError that names the allocator.
        if not isinstance(error, MemoryError) and "ResourceExhausted" not in str(error):
            raise
        raise InputError(
            f"the heaviest batch ({size or batch_size} items on each device) does not fit into the "
            f"memory of {device.name}; try --batch_size={max(1, batch_size // 2)} with "
            f"--accumulate=2, or a smaller --max_duration"
        ) from None
    finally:
        for parameter in task.network.parameters():
            parameter.clear_grad()
        for name, value in statistics.items():
            state[name].set_value(value)
    peak, room = runtime.memory_mb(), runtime.room_mb()
    line = f"heaviest batch: {size} items, {peak:,.0f} MB at its peak"
    each = (peak - before) / max(1, size)
    if each > 0 and room > 0 and distributed.is_main():
        shared = room / (1 if device.name != "cpu" else distributed.local_size())
        possible = int((SPARE * (shared - before)) / each)
        line += f" of {room:,.0f}; there would be room for --batch_size={max(1, possible)}"
    return line
