"""The separator's training, put together: songs, their parts, networks."""

import sys

from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.separation.dataset import SongChunks
from data_utils.separation.songs import read_songs
from data_utils.settings import BatchSettings, StoreSettings
from model_utils import distributed, runtime
from model_utils.options import Options
from model_utils.pretrained import other_weights
from model_utils.separator import Separator, resolve
from model_utils.settings import (
    DeviceSettings,
    OptimisationSettings,
    RunSettings,
    SeparatorSettings,
    StemLossSettings,
)
from model_utils.setup.job import Job, opened_store
from model_utils.trainer.checkpoint import Checkpoint


def open_job(options: Options, resumed: Checkpoint | None = None) -> Job:
    """The separator that `options` describe, see `job.open_job`."""
    run = options[RunSettings]
    start = other_weights(run, "separation")
    separator = resolve(options, resumed, options[SeparatorSettings].trainer)
    options = options.replaced(separator.songs, SeparatorSettings(separator.trainer))
    print(options.table(), flush=True)
    chunks = _chunks(options, separator)
    device = runtime.prepare(options[DeviceSettings])

    # Import Paddle, which is set up now.
    from model_utils.tasks.separation import SeparationTask
    from model_utils.trainer.runlog import stamp

    distributed.join()
    batching, parts = options[BatchSettings], options[OptimisationSettings].accumulate
    task = SeparationTask(separator, chunks, batching, run.seed, parts, options[StemLossSettings])
    print(f"{stamp()} 训练数据数量：{len(chunks)}\n", flush=True)
    return Job(task, device, options, start)


def open_source(options: Options) -> SongChunks:
    """What `options` train on, see `job.open_source`."""
    if options[StoreSettings].num_variants > 1:
        raise InputError(
            f"--num_variants={options[StoreSettings].num_variants}: nothing about a part of a song "
            f"is random, all variants would be alike; leave the option out"
        )
    print(options.table(), flush=True)
    return _chunks(options, resolve(options, None))


def _chunks(options: Options, separator: Separator) -> SongChunks:
    songs = read_songs(separator.songs.train_manifest, separator.songs.train_dataset)
    cache = RecordingCache.of(options[BatchSettings])
    chunks = SongChunks(songs, separator.songs, options[RunSettings].seed, cache=cache)
    for note in chunks.notes:
        print(note, file=sys.stderr)
    chunks.store = opened_store(options, chunks)
    return chunks
