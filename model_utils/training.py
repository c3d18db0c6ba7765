"""From the options of `train.py` to a trained recogniser: read, check, put together."""

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.atomic import check_place
from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.loader import num_loaders
from data_utils.settings import BatchSettings, CorpusSettings
from model_utils import differences, distributed, runtime
from model_utils.corpus import open_corpus
from model_utils.options import Options, command_again
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

FAINT = 0.01
"""A rate below this share of `learning_rate` is pointed out when a run is resumed."""


def train_recogniser(options: Options) -> Path | None:
    """Train as `options` say.

    Returns:
        The folder of the run's log; None where nothing was trained, or another process writes it.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    distributed.quieten()
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
    resumed, source = _resumed(run), None
    if run.pretrained_model is not None:
        source = checkpoint.load(run.pretrained_model, optimizer=False)
    if source is not None and run.extend_vocab:
        recogniser = extended(options, source)
        pretrained: Pretrained | None = Pretrained.extending(source, recogniser)
    else:
        recogniser = resolve(options, resumed, files.vocab_path, files.mean_std_path, files.unknown)
        pretrained = None if source is None else Pretrained.of(source, recogniser)
    if resumed is not None and resumed.info is not None:
        for line in differences.of_files(recogniser, files, resumed.path):
            print(line, file=sys.stderr)
    files = dataclasses.replace(files, unknown=recogniser.unknown)
    options = options.replaced(recogniser.network, recogniser.features, files)
    task, device = build_task(options, recogniser)

    # These import Paddle, which is set up now.
    from model_utils.trainer.dry_run import dry_run
    from model_utils.trainer.loop import Trainer

    with task:
        _advise(task.score_sets, len(task.training.manifest), options)
        trainer = Trainer(
            task,
            options[OptimisationSettings],
            options[ScheduleSettings],
            run,
            device,
            options.as_dict(),
        )
        if resumed is not None:
            again = trainer.resume(resumed)
            complete = trainer.progress.epoch > run.num_epoch and not trainer.progress.is_to_score
            if complete and not run.dry_run:
                print(
                    f"nothing to do: {resumed.path} is of epoch {trainer.progress.epoch - 1} "
                    f"and --num_epoch is {run.num_epoch}; a larger --num_epoch trains on"
                )
                return None
            _report_resumed(resumed, again, options, device, trainer)
        else:
            _advise_on_folder(Path(run.output_model_dir))
        if pretrained is not None:
            pretrained.start(task.network)
        # The first epoch may be sorted, of which the others are nothing like.
        padding = task.padding_share(max(2, trainer.progress.epoch))
        print(f"padding: {100 * padding:.1f} % of all frames", file=sys.stderr)
        batching = options[BatchSettings]
        memory = dry_run(task, batching.batch_size, device, batching.batch_seconds)
        print(memory, file=None if run.dry_run else sys.stderr)
        if run.dry_run:
            return None
        stopped = trainer.train()
        if stopped:
            print(f"{stopped}; to go on: {_going_on(run, trainer.keeper.last)}")
        print(f"model: {trainer.keeper.last}")
        if trainer.progress.best is not None:
            print(f"best: {_best(trainer)}")
        print(f"curves: visualdl --logdir={run.log_dir}")
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


def _resumed(run: RunSettings) -> Checkpoint | None:
    """The checkpoint that the options name, if one."""
    if run.resume_model != LATEST:
        return None if run.resume_model is None else checkpoint.load(run.resume_model)
    newest = checkpoint.latest(Path(run.output_model_dir))
    if newest is None:
        print(f"--resume_model={LATEST}: no checkpoint in {run.output_model_dir} yet, a new run")
        return None
    return checkpoint.load(newest)


def _going_on(run: RunSettings, model: Path | None) -> str:
    """The command that resumes from `model`, which a run that started from other weights is now."""
    changed: dict[str, Any] = {"resume_model": model}
    if run.pretrained_model:
        changed["pretrained_model"] = None
    if run.extend_vocab:
        changed["extend_vocab"] = False
    if run.max_steps is not None:
        changed["max_steps"] = None  # was reached
    return command_again(**changed)


def _advise(score_sets: list[str], count: int, options: Options) -> None:
    if score_sets == ["test"]:
        print(
            "warning: no dev_manifest: the test set decides which epoch is best, so its figure "
            "flatters; --dev_manifest=FILE lets other data decide",
            file=sys.stderr,
        )
    batch_size = options[BatchSettings].batch_size
    if options[BatchSettings].batch_seconds is None and count < batch_size:
        print(
            f"warning: {count} utterances are fewer than batch_size {batch_size}: "
            f"every epoch is one short batch",
            file=sys.stderr,
        )


def _advise_on_folder(folder: Path) -> None:
    names = sorted(path.stem for path in folder.glob(f"*{checkpoint.WEIGHTS}"))
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        print(
            f"warning: {folder} holds checkpoints of an earlier run ({shown}), of which this one "
            f"replaces those of the same name; --output_model_dir=FOLDER keeps them",
            file=sys.stderr,
        )


def _report_resumed(
    saved: Checkpoint,
    again: list[str],
    options: Options,
    device: runtime.Device,
    trainer: "Trainer",
) -> None:
    epoch, batch = trainer.progress.epoch, trainer.progress.batch
    rate = trainer.learning_rate(epoch, batch)
    print(
        f"resumed: {saved.path}, going on with epoch {epoch}, batch {batch}, "
        f"learning rate {rate:.3g}"
    )
    if again:
        print(
            f"warning: {', '.join(again)}: the batches are not those of {saved.path}, so epoch "
            f"{epoch} begins again with its first",
            file=sys.stderr,
        )
    if rate < FAINT * options[ScheduleSettings].learning_rate:
        print(
            f"warning: at a learning rate of {rate:.3g} next to nothing is learned; to fine-tune, "
            f"give --lr_schedule=constant --learning_rate=1e-5",
            file=sys.stderr,
        )
    _report_best(trainer, Path(options[RunSettings].output_model_dir))
    if saved.info is None:
        print(f"note: no {saved.path.stem}.json beside it: weights alone, the rest is of the flags")
        return
    if saved.optimizer is None:
        print(f"note: no {saved.path.stem}.pdopt beside it: the optimizer starts anew")
    for line in differences.of_plans(saved.info, trainer.task.plan()):
        print(line)
    for line in differences.of_runs(saved.info, options, device):
        print(line)


def _report_best(trainer: "Trainer", folder: Path) -> None:
    """Say of the best score so far what the files in `folder` do not."""
    place, kept = (
        folder / f"{checkpoint.BEST}{checkpoint.WEIGHTS}",
        trainer.keeper.best(trainer.progress.best),
    )
    if kept == place:
        return
    if place.is_file() and not _is_of_run(place, trainer.progress.run):
        print(
            f"warning: {place} is not of this run; the next epoch that is better than any "
            f"before replaces it",
            file=sys.stderr,
        )
    if trainer.progress.best is not None:
        print(f"best so far: {_best(trainer)}")


def _is_of_run(weights: Path, run: str) -> bool:
    """Whether a checkpoint is known to be of `run`, of a later epoch perhaps."""
    try:
        info = checkpoint.read_info(weights) or {}
    except InputError:
        return False  # damaged: whosever it was
    return bool(run) and info.get("progress", {}).get("run") == run


def _best(trainer: "Trainer") -> str:
    best, kept = trainer.progress.best, trainer.keeper.best(trainer.progress.best)
    assert best is not None
    return (
        f"epoch {best['epoch']}, {best['set']} {best['measure']} {best['value']:.5f}, "
        f"{'not kept any more' if kept is None else f'kept as {kept}'}"
    )
