"""What a training needs of its task, whichever it is."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from data_utils.errors import InputError
from data_utils.settings import BatchSettings, StoreSettings
from data_utils.store import Source, Store
from model_utils.options import Options
from model_utils.runtime import Device
from model_utils.settings import ModeSettings, TaskSettings
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from paddle import nn

    from model_utils.tasks.batches import BatchedTask


class Storable(Source, Protocol):
    """A dataset whose examples can be stored."""

    def fingerprint(self) -> dict[str, Any]:
        """All that its examples follow from: JSON values."""


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
    batching = options[BatchSettings]
    if batching.batch_seconds is not None and batching.shuffle_method == "instance_shuffle":
        raise InputError(
            f"--batch_seconds={batching.batch_seconds:g}: batches by duration hold utterances of "
            f"similar duration, instance_shuffle mixes them; give --shuffle_method=batch_shuffle"
        )
    return cast(Job, _module(options).open_job(options, resumed))


def open_source(options: Options) -> Storable:
    """The dataset that `options` train on, whose examples can be stored.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    return cast(Storable, _module(options).open_source(options))


def opened_store(options: Options, source: Storable) -> Store | None:
    """The stored examples of `source` where `options` train from them, None where from recordings.

    Raises:
        InputError: they are not there, or were made with something else.
    """
    if options[ModeSettings].mode != "fast_train":
        return None
    settings = options[StoreSettings]
    return Store.open(settings.store_dir, source.fingerprint(), settings)


def _module(options: Options) -> Any:
    return importlib.import_module(f"model_utils.setup.{options[TaskSettings].task}")
