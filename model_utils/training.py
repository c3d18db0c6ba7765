"""From the options of `train.py` to a trained network, whatever the task."""

from pathlib import Path
from typing import TYPE_CHECKING

from data_utils.atomic import check_place
from data_utils.errors import InputError
from data_utils.settings import BatchSettings
from model_utils import distributed, launch, notices
from model_utils.options import Options, check_owners
from model_utils.settings import (
    DeviceSettings,
    ModeSettings,
    OptimisationSettings,
    RunSettings,
    ScheduleSettings,
    TaskSettings,
)
from model_utils.setup.job import Job, open_job
from model_utils.storing import process_data
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from model_utils.trainer.loop import Trainer

LATEST = "latest"
"""Value of `resume_model` that stands for the newest checkpoint of the run's folder."""


def run_command(options: Options) -> tuple[int, Path | None]:
    """Do what `options` ask for, here or in one process for each device.

    Returns:
        The exit code, and the folder of the run's log where this process wrote one.

    Raises:
        InputError: see `train`.
    """
    if options[ModeSettings].mode == "process_data":
        process_data(options)
        return 0, None
    count = launch.processes(options[DeviceSettings])
    if count > 1:
        return launch.run_processes(count, options[RunSettings]), None
    return 0, train(options)


def train(options: Options) -> Path | None:
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
    if run.start_epoch and resumed is None:
        raise InputError(
            f"--start_epoch={run.start_epoch}: a new run begins with epoch 1; give --resume_model, "
            f"or leave the option out"
        )
    job = open_job(options, resumed)
    _check_schedule(job)
    notices.of_corpus(job.task, job.options)

    # Imports Paddle, which is set up now.
    from model_utils.trainer.loop import Trainer

    with job.task as task:
        optimisation, schedule = job.options[OptimisationSettings], job.options[ScheduleSettings]
        trainer = Trainer(task, optimisation, schedule, run, job.device, job.options.as_dict())
        if resumed is None:
            notices.of_folder(Path(run.output_model_dir))
        else:
            again = trainer.resume(resumed, run.start_epoch)
            if _is_complete(trainer) and not run.dry_run:
                notices.of_nothing_to_do(trainer, resumed.path)
                return None
            notices.of_resumed(resumed, again, job.options, job.device, trainer)
        if job.start is not None:
            job.start(task.network)
        _try_out(trainer, job)
        if run.dry_run:
            return None
        stopped = trainer.train()
        notices.of_end(trainer, job.options, stopped)
        return trainer.log.folder


def _check(options: Options) -> None:
    """Refuse what contradicts itself, or would end in files that cannot be written."""
    run = options[RunSettings]
    if run.resume_model and run.pretrained_model:
        raise InputError("--resume_model and --pretrained_model were both given; choose one")
    check_owners(options, OptimisationSettings, "optimizer", _BELONGS_TO)
    check_place(*(Path(folder) / "new" for folder in (run.output_model_dir, run.log_dir)))


_BELONGS_TO = {
    "momentum": ("sgd", "rmsprop"),
    "dampening": ("sgd",),
    "nesterov": ("sgd",),
    "beta1": ("adam", "adamw"),
    "beta2": ("adam", "adamw"),
    "rho": ("rmsprop",),
    "centered": ("rmsprop",),
}
"""The optimizers that an option reaches."""


def _check_schedule(job: Job) -> None:
    run, schedule = job.options[RunSettings], job.options[ScheduleSettings].lr_schedule
    if job.task.score_sets and not run.test_off:
        return
    dev = notices.DEV_OPTIONS.get(job.options[TaskSettings].task)
    cure = f"give {dev}" if dev else "leave the option out"
    if schedule == "plateau":
        raise InputError(
            f"--lr_schedule=plateau: nothing is scored, so the rate would never fall; {cure}"
        )
    if run.early_stopping is not None:
        raise InputError(
            f"--early_stopping={run.early_stopping}: nothing is scored, so no epoch would be "
            f"better than another; {cure}"
        )


def _resumed(run: RunSettings) -> Checkpoint | None:
    """The checkpoint that the options name, if one."""
    if run.resume_model != LATEST:
        return None if run.resume_model is None else _loaded(run.resume_model, run)
    newest = checkpoint.latest(Path(run.output_model_dir))
    if newest is None:
        print(f"--resume_model={LATEST}: no checkpoint in {run.output_model_dir} yet, a new run")
        return None
    return _loaded(newest, run)


def _loaded(path: str | Path, run: RunSettings) -> Checkpoint:
    return checkpoint.load(path, optimizer=run.load_optimizer)


def _is_complete(trainer: "Trainer") -> bool:
    progress = trainer.progress
    return progress.epoch > trainer.run.num_epoch and not progress.is_to_score


def _try_out(trainer: "Trainer", job: Job) -> None:
    """Say how much is padding, and compute the heaviest batch to see that memory suffices."""
    from model_utils.trainer.dry_run import dry_run

    notices.of_padding(job.task, trainer.progress.epoch)
    batching = job.options[BatchSettings]
    memory = dry_run(
        job.task,
        batching.batch_size,
        trainer.device,
        batching.batch_seconds,
        trainer.updater.precision,
    )
    notices.of_memory(memory, asked_for=job.options[RunSettings].dry_run)
