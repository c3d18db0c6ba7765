"""Train a speech recogniser, or a front end for one: python train.py --help lists the options."""

from model_utils.options import parse_task, run_command
from model_utils.settings import TASKS


def main() -> int:
    """Read the options and train."""
    options = parse_task("train.py", TASKS, description=__doc__ or "")

    from model_utils import training

    code, folder = training.run_command(options)
    if folder is not None:
        from reports.curves import draw_run

        draw_run(folder)
    return code


if __name__ == "__main__":
    run_command(main)
