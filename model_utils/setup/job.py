"""What a training needs of its task, whichever it is."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from model_utils.options import Options
from model_utils.runtime import Device
from model_utils.settings import TaskSettings
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from paddle import nn

    from model_utils.tasks.batches import BatchedTask


@dataclass(frozen=True)
class Job:
    """A task, ready to be trained."""

    task: "BatchedTask[Any]"
    device: Device
    """What it is computed on."""
    options: Options
    """As they are in force: where a checkpoint knows better, its own."""
    start: "Callable[[nn.Layer], None] | None" = None
    """Sets the weights of another run that training starts from."""


def open_job(options: Options, resumed: Checkpoint | None = None) -> Job:
    """The task that `options` name: data opened, Paddle set up, network built.

    Args:
        options: of train.py.
        resumed: a checkpoint to go on from, whose description counts.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    return cast(Job, _module(options).open_job(options, resumed))


def process_data(options: Options) -> None:
    """Compute the examples of the task that `options` name, once, and store them.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    _module(options).process_data(options)


def _module(options: Options) -> Any:
    return importlib.import_module(f"model_utils.setup.{options[TaskSettings].task}")
