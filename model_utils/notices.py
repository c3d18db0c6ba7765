"""What `train.py` says of a run beside its log: before it begins, and when it ends."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.errors import InputError
from data_utils.sampling import is_too_few
from data_utils.settings import BatchSettings
from model_utils import differences, runtime
from model_utils.options import Options, command_again
from model_utils.settings import ScheduleSettings, TaskSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from model_utils.tasks.batches import BatchedTask
    from model_utils.trainer.loop import Trainer

FAINT = 0.01
"""A rate below this share of `learning_rate` is pointed out when a run is resumed."""

DEV_OPTIONS = {
    "recognition": "--dev_manifest=FILE",
    "enhancement": "--dev_clean=LIST --dev_noise=LIST",
}
"""What gives a task a set that decides which epoch is best."""


def of_corpus(task: "BatchedTask[Any]", options: Options) -> None:
    """Warn of a test set that decides, and of a corpus smaller than a batch."""
    if task.score_sets == ["test"]:
        _aside(
            f"warning: no dev set: the test set decides which epoch is best, so its figure "
            f"flatters; {DEV_OPTIONS[options[TaskSettings].task]} lets other data decide"
        )
    batching, count = options[BatchSettings], len(task.training.durations)
    if batching.batch_seconds is None and is_too_few(count, batching.batch_size * task.shares):
        shares = f" x {task.shares} (--accumulate, devices)" if task.shares > 1 else ""
        _aside(
            f"warning: {count} items are fewer than batch_size {batching.batch_size}{shares}: "
            f"every epoch is one short batch"
        )


def of_padding(task: "BatchedTask[Any]", epoch: int) -> None:
    """Say how much of what will be computed is padding.

    Args:
        task: whose batches they are.
        epoch: that is about to be trained.
    """
    # The first epoch may be sorted, of which the others are nothing like.
    padding = task.padding_share(max(2, epoch))
    _aside(f"padding: {100 * padding:.1f} % of all frames")


def of_memory(line: str, asked_for: bool) -> None:
    """Say what memory the heaviest batch took; on stdout where that is what was asked for."""
    print(line, file=None if asked_for else sys.stderr)


def of_folder(folder: Path) -> None:
    """Warn of checkpoints in the folder of a new run, which it may replace."""
    names = sorted(path.stem for path in folder.glob(f"*{checkpoint.WEIGHTS}"))
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        _aside(
            f"warning: {folder} holds checkpoints of an earlier run ({shown}), of which this one "
            f"replaces those of the same name; --output_model_dir=FOLDER keeps them"
        )


def of_nothing_to_do(trainer: "Trainer", resumed: Path) -> None:
    """Say that the resumed run is complete."""
    print(
        f"nothing to do: {resumed} is of epoch {trainer.progress.epoch - 1} "
        f"and --num_epoch is {trainer.run.num_epoch}; a larger --num_epoch trains on"
    )


def of_resumed(
    saved: Checkpoint,
    again: list[str],
    options: Options,
    device: runtime.Device,
    trainer: "Trainer",
) -> None:
    """Say where a run goes on, and what is no longer as it was.

    Args:
        saved: what it was resumed from.
        again: why the epoch begins again, see `Trainer.resume`.
        options: of the run now.
        device: that it is computed on now.
        trainer: in its place.
    """
    epoch, batch = trainer.progress.epoch, trainer.progress.batch
    rate = trainer.learning_rate(epoch, batch)
    print(
        f"resumed: {saved.path}, going on with epoch {epoch}, batch {batch}, "
        f"learning rate {rate:.3g}"
    )
    if again:
        _aside(
            f"warning: {', '.join(again)}: the batches are not those of {saved.path}, so epoch "
            f"{epoch} begins again with its first"
        )
    schedule = options[ScheduleSettings]
    is_rising = trainer.progress.step < schedule.warmup_steps
    if rate < FAINT * schedule.learning_rate and not is_rising:
        _aside(
            f"warning: at a learning rate of {rate:.3g} next to nothing is learned; to fine-tune, "
            f"give --lr_schedule=constant --learning_rate=1e-5"
        )
    _of_best(trainer)
    if saved.info is None:
        _aside(
            f"note: no {saved.path.stem}.json beside it: weights alone, the rest is of the flags"
        )
        return
    if saved.optimizer is None and trainer.run.load_optimizer:
        _aside(f"note: no {saved.path.stem}.pdopt beside it: the optimizer starts anew")
    plans = differences.of_plans(saved.info, trainer.task.plan())
    for line in plans + differences.of_runs(saved.info, options, device):
        print(line)


def of_end(trainer: "Trainer", options: Options, stopped: str) -> None:
    """Say where things are, and after an early end how to go on.

    Args:
        trainer: when it is done.
        options: of the run.
        stopped: why it ended early; empty where it did not.
    """
    if stopped:
        print(f"{stopped}; to go on: {_going_on(trainer, options)}")
    print(f"model: {trainer.keeper.last}")
    if trainer.progress.best is not None:
        print(f"best: {_best(trainer)}")
    print(f"curves: visualdl --logdir={trainer.run.log_dir}")


def _going_on(trainer: "Trainer", options: Options) -> str:
    """The command that goes on from what was saved last, without what only began the run."""
    run = trainer.run
    changed: dict[str, Any] = {"resume_model": trainer.keeper.last}
    if run.pretrained_model:
        changed["pretrained_model"] = None
    if run.start_epoch:
        changed["start_epoch"] = 0
    if not run.load_optimizer:
        changed["load_optimizer"] = True
    if options.as_dict().get("extend_vocab"):
        changed["extend_vocab"] = False
    if run.max_steps is not None and trainer.progress.step >= run.max_steps:
        changed["max_steps"] = None
    return command_again(options, **changed)


def _of_best(trainer: "Trainer") -> None:
    """Say of the best score so far what the files in the run's folder do not."""
    place = Path(trainer.run.output_model_dir) / f"{checkpoint.BEST}{checkpoint.WEIGHTS}"
    if trainer.keeper.best(trainer.progress.best) == place:
        return
    if place.is_file() and not _is_of_run(place, trainer.progress.run):
        _aside(
            f"warning: {place} is not of this run; the next epoch that is better than any "
            f"before replaces it"
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
    best = trainer.progress.best
    assert best is not None
    kept = trainer.keeper.best(best)
    return (
        f"epoch {best['epoch']}, {best['set']} {best['measure']} {best['value']:.5f}, "
        f"{'not kept any more' if kept is None else f'kept as {kept}'}"
    )


def _aside(line: str) -> None:
    print(line, file=sys.stderr)
