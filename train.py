"""Train a speech recogniser, or a front end for one: python train.py --help lists the options."""

from model_utils.options import parse_task, run_command
from model_utils.settings import TASKS, DeviceSettings, RunSettings, TaskSettings


def main() -> int:
    """Read the options and train, here or in one process for each device."""
    options = parse_task("train.py", TASKS, description="Train a DeepSpeech2 speech recogniser.")

    if options[TaskSettings].mode == "process_data":
        from model_utils.storing import process_data

        process_data(options)
        return 0

    from model_utils import launch

    count = launch.processes(options[DeviceSettings])
    if count > 1:
        return launch.run_processes(count, options[RunSettings])

    from model_utils.training import train

    folder = train(options)
    if folder is not None:
        from reports.curves import draw_run

        draw_run(folder)
    return 0


if __name__ == "__main__":
    run_command(main)
