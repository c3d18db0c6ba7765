"""Find a learning rate: a few steps at rising rates, and a picture of the loss over them.

Takes the options of train.py, --config too, and trains with them from new weights, in one process,
in batches of mixed lengths. Nothing of it is kept but the picture.
"""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import InputError
from data_utils.settings import BatchSettings, option
from model_utils.options import TaskOptions, command_again, parse_task, run_command
from model_utils.settings import TASKS, OptimisationSettings, RunSettings


@dataclass(frozen=True)
class FinderSettings:
    """Which rates are tried, and where the picture goes."""

    num_steps: int = option(100, "steps of the test", minimum=20)
    lr_start: float = option(1e-6, "rate of the first step", minimum=1e-12)
    lr_end: float = option(1.0, "rate of the last step", minimum=1e-12)
    output_path: str = option("./log/lr_finder.png", "the picture")


def main() -> None:
    """Test, draw, print the suggestion and the command that takes it."""
    tasks = {
        name: TaskOptions((FinderSettings, *task.settings), task.defaults)
        for name, task in TASKS.items()
    }
    options = parse_task("lr_finder.py", tasks, description=__doc__ or "")

    from tqdm import tqdm

    from model_utils.setup.job import open_job
    from reports.picture import check_picture

    settings = options[FinderSettings]
    if settings.lr_end <= settings.lr_start:
        raise InputError(f"--lr_end={settings.lr_end:g}: must be above --lr_start")
    run = options[RunSettings]
    if run.resume_model or run.pretrained_model:
        raise InputError(
            "--resume_model, --pretrained_model: the test starts from new weights, for which the "
            "rate is another one; leave the option out"
        )
    check_picture(Path(settings.output_path))
    # Lengths that rise over the batches would look like a loss that rises with the rate; batches of
    # one length each scatter more than mixed ones.
    batching = dataclasses.replace(options[BatchSettings], sortagrad=False)
    if batching.batch_seconds is None:
        batching = dataclasses.replace(batching, shuffle_method="instance_shuffle")
    run = dataclasses.replace(run, test_off=True)
    job = open_job(options.replaced(batching, run))

    # These import Paddle, which is set up now.
    from model_utils.trainer.range_test import range_test
    from model_utils.trainer.updating import Updater
    from reports.range_test import draw_range_test

    updater = Updater(job.task, options[OptimisationSettings], job.device, run.seed)
    with job.task as task, tqdm(total=settings.num_steps, unit=" steps", disable=None) as bar:
        found = range_test(
            task,
            updater,
            lr_start=settings.lr_start,
            lr_end=settings.lr_end,
            num_steps=settings.num_steps,
            step_done=bar.update,
        )
    suggestion = found.suggestion
    draw_range_test(found, Path(settings.output_path))
    if not found.ran_away:
        print(
            "warning: the loss had not run away at the last rate; a larger --lr_end shows more",
            file=sys.stderr,
        )
    print(f"lowest loss at a rate of {found.rates[found.lowest]:.2g}")
    print(f"suggestion: {suggestion:g}, a tenth of it; the picture: {settings.output_path}")
    own = [field.name for field in dataclasses.fields(FinderSettings)]
    again = command_again(options, "train.py", without=own, learning_rate=f"{suggestion:g}")
    print(f"to train with it: {again}")


if __name__ == "__main__":
    run_command(main)
