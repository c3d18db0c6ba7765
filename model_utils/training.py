"""From the options of `train.py` to a trained recogniser: read, check, put together."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.atomic import check_place
from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.loader import num_loaders
from data_utils.settings import BatchSettings, CorpusSettings
from model_utils import differences, distributed, notices, runtime
from model_utils.corpus import open_corpus
from model_utils.options import Options
from model_utils.pretrained import Pretrained, extended
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import (
    DeviceSettings,
    LossSettings,
    OptimisationSettings,
    RunSettings,
    ScheduleSettings,
)
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from model_utils.tasks.recognition import RecognitionTask
    from model_utils.trainer.loop import Trainer

LATEST = "latest"
"""Value of `resume_model` that stands for the newest checkpoint of the run's folder."""


def train_recogniser(options: Options) -> Path | None:
    """Train as `options` say.

    Returns:
        The folder of the run's log; None where nothing was trained, or another process writes it.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    distributed.quieten()
    _check(options)
    run = options[RunSettings]
    resumed = _resumed(run)
    recogniser, pretrained = _recogniser(options, resumed)
    files = dataclasses.replace(options[CorpusSettings], unknown=recogniser.unknown)
    options = options.replaced(recogniser.network, recogniser.features, files)
    task, device = build_task(options, recogniser)

    # Imports Paddle, which is set up now.
    from model_utils.trainer.loop import Trainer

    with task:
        notices.of_corpus(task, options)
        optimisation, schedule = options[OptimisationSettings], options[ScheduleSettings]
        trainer = Trainer(task, optimisation, schedule, run, device, options.as_dict())
        if resumed is None:
            notices.of_folder(Path(run.output_model_dir))
        else:
            again = trainer.resume(resumed)
            if _is_complete(trainer) and not run.dry_run:
                notices.of_nothing_to_do(trainer, resumed.path)
                return None
            notices.of_resumed(resumed, again, options, device, trainer)
        if pretrained is not None:
            pretrained.start(task.network)
        _try_out(trainer, task, options)
        if run.dry_run:
            return None
        stopped = trainer.train()
        notices.of_end(trainer, stopped)
        return trainer.log.folder


def build_task(
    options: Options, recogniser: Recogniser
) -> "tuple[RecognitionTask, runtime.Device]":
    """Open the corpus, set up device and processes, make the network; says what is trained.

    Paddle may be imported after this, not before.

    Args:
        options: those of `train.py`, features and sizes being those of the recogniser.
        recogniser: what is trained.

    Returns:
        the task, to be closed, and the device it is computed on.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    run, batching, files = options[RunSettings], options[BatchSettings], options[CorpusSettings]
    if batching.batch_seconds is not None and batching.shuffle_method == "instance_shuffle":
        raise InputError(
            f"--batch_seconds={batching.batch_seconds:g}: batches by duration hold utterances of "
            f"similar duration, instance_shuffle mixes them; give --shuffle_method=batch_shuffle"
        )
    notes: list[str] = []
    augmentation = AugmentationPipeline.load(batching.augment_conf_path, warn=notes.append)
    print("\n".join([options.table(), *notes]), flush=True)
    cache = RecordingCache(batching.audio_cache_mb * 2**20 // num_loaders(batching.num_workers))
    corpus = open_corpus(recogniser, files, augmentation, run.seed, not run.test_off, cache)
    device = runtime.prepare(options[DeviceSettings], recogniser.network, recogniser.num_bins)

    from model_utils.tasks.recognition import RecognitionTask
    from model_utils.trainer.runlog import stamp

    distributed.join()
    parts = options[OptimisationSettings].accumulate
    compiled, loss = device.compile_convolutions, options[LossSettings]
    task = RecognitionTask(recogniser, corpus, batching, run.seed, compiled, parts, loss)
    print(f"{stamp()} 训练数据数量：{len(task.training.manifest)}\n", flush=True)
    return task, device


def _check(options: Options) -> None:
    """Refuse what contradicts itself, or would end in files that cannot be written."""
    run, files = options[RunSettings], options[CorpusSettings]
    if run.resume_model and run.pretrained_model:
        raise InputError("--resume_model and --pretrained_model were both given; choose one")
    if run.extend_vocab and not run.pretrained_model:
        raise InputError(
            "--extend_vocab: no vocabulary to extend; give --pretrained_model=FILE, or leave the "
            "option out: a resumed run keeps the vocabulary that it has"
        )
    scored = not run.test_off and (files.dev_manifest or files.test_manifest)
    if options[ScheduleSettings].lr_schedule == "plateau" and not scored:
        raise InputError(
            "--lr_schedule=plateau: nothing is scored, so the rate would never fall; "
            "give --dev_manifest=FILE"
        )
    check_place(*(Path(folder) / "new" for folder in (run.output_model_dir, run.log_dir)))


def _resumed(run: RunSettings) -> Checkpoint | None:
    """The checkpoint that the options name, if one."""
    if run.resume_model != LATEST:
        return None if run.resume_model is None else checkpoint.load(run.resume_model)
    newest = checkpoint.latest(Path(run.output_model_dir))
    if newest is None:
        print(f"--resume_model={LATEST}: no checkpoint in {run.output_model_dir} yet, a new run")
        return None
    return checkpoint.load(newest)


def _recogniser(
    options: Options, resumed: Checkpoint | None
) -> tuple[Recogniser, Pretrained | None]:
    """What is to be trained, and the weights of another run that it starts from, if any."""
    run, files = options[RunSettings], options[CorpusSettings]
    source = None
    if run.pretrained_model is not None:
        source = checkpoint.load(run.pretrained_model, optimizer=False)
    if source is not None and run.extend_vocab:
        recogniser = extended(options, source)
        return recogniser, Pretrained.extending(source, recogniser)
    recogniser = resolve(options, resumed, files.vocab_path, files.mean_std_path, files.unknown)
    if resumed is not None and resumed.info is not None:
        for line in differences.of_files(recogniser, files, resumed.path):
            print(line, file=sys.stderr)
    return recogniser, None if source is None else Pretrained.of(source, recogniser)


def _is_complete(trainer: "Trainer") -> bool:
    progress = trainer.progress
    return progress.epoch > trainer.run.num_epoch and not progress.is_to_score


def _try_out(trainer: "Trainer", task: "RecognitionTask", options: Options) -> None:
    """Say how much is padding, and compute the heaviest batch to see that memory suffices."""
    from model_utils.trainer.dry_run import dry_run

    # The first epoch may be sorted, of which the others are nothing like.
    padding = task.padding_share(max(2, trainer.progress.epoch))
    print(f"padding: {100 * padding:.1f} % of all frames", file=sys.stderr)
    batching = options[BatchSettings]
    memory = dry_run(
        task,
        batching.batch_size,
        trainer.device,
        batching.batch_seconds,
        trainer.updater.precision,
    )
    print(memory, file=None if options[RunSettings].dry_run else sys.stderr)
