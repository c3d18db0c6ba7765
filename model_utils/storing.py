"""`--mode=process_data`: the examples of a task, computed once and stored."""

import dataclasses

from tqdm import tqdm

from data_utils.errors import InputError
from data_utils.settings import BatchSettings, StoreSettings
from data_utils.store import write_store
from data_utils.workers import available_cores
from model_utils import distributed
from model_utils.options import Options, command_again
from model_utils.settings import DeviceSettings
from model_utils.setup.job import open_source

SHOWN = 10
"""Items that are named when many are left out."""


def process_data(options: Options) -> None:
    """Store what `options` would train on, and say where.

    Raises:
        InputError: something that the options name is missing or does not fit, or several devices
            are asked for.
    """
    count = options[DeviceSettings].nproc_per_node
    if distributed.world_size() > 1 or (count or 1) > 1:
        raise InputError(
            f"--nproc_per_node={count or distributed.world_size()}: --mode=process_data uses the "
            f"cores of one machine and no device; leave the option out"
        )
    batching, settings = options[BatchSettings], options[StoreSettings]
    # No network needs the cores here. A cache's room is divided among as many processes; where a
    # small store has fewer shards than that, fewer compute, and some of the room stays unused.
    if batching.num_workers is None:
        batching = dataclasses.replace(batching, num_workers=available_cores())
    source = open_source(options.replaced(batching))
    with tqdm(total=len(source), unit=" items", disable=None) as bar:
        report = write_store(
            source, settings, source.fingerprint(), batching.num_workers, bar.update
        )
    for line in report.left_out[:SHOWN]:
        print(f"left out: {line}")
    if len(report.left_out) > SHOWN:
        print(f"left out: {len(report.left_out) - SHOWN} more like these")
    print(f"stored in {settings.store_dir}: {report}")
    print(f"to train from it: {command_again(options, mode='fast_train')}")
