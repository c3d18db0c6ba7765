"""Train a speech recogniser: python train.py --help lists the options."""

from model_utils.options import parse, run_command
from model_utils.settings import TRAINING, DeviceSettings, RunSettings


def main() -> int:
    """Read the options and train, here or in one process for each device."""
    options = parse("train.py", TRAINING, description="Train a DeepSpeech2 speech recogniser.")

    from model_utils import launch

    count = launch.processes(options[DeviceSettings])
    if count > 1:
        return launch.run_processes(count, options[RunSettings])

    from model_utils.training import train_recogniser

    folder = train_recogniser(options)
    if folder is not None:
        from reports.curves import draw_run

        draw_run(folder)
    return 0


if __name__ == "__main__":
    run_command(main)
