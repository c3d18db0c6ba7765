"""Average the weights of several checkpoints of a run: often better than any one of them."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class AverageSettings:
    """Which checkpoints, and where their mean goes."""

    checkpoints: list[str] | None = option(None, "weights files to average, separated by spaces")
    last: int | None = option(None, "average the last so many epochs", minimum=2)
    best: int | None = option(None, "average the so many epochs with the best score", minimum=2)
    model_dir: str = option("./models/param", "folder of the run, for --last and --best")
    output_path: str = option("./models/param/average.pdparams", "where the mean is written")


def main() -> None:
    """Read the checkpoints, write the mean."""
    settings = parse("average_checkpoints.py", [AverageSettings], description=__doc__)[
        AverageSettings
    ]
    ways = [settings.checkpoints, settings.last, settings.best]
    if sum(way is not None for way in ways) != 1:
        raise InputError("give one of --checkpoints A B C, --last=N and --best=N")

    from data_utils.atomic import check_place
    from model_utils import runtime
    from model_utils.settings import DeviceSettings
    from model_utils.trainer.checkpoint import weights_path

    output = weights_path(settings.output_path)
    check_place(output)
    runtime.prepare(DeviceSettings(use_gpu=False))

    # Imports Paddle.
    from model_utils.trainer.checkpoint_means import best_epochs, newest_epochs, write_average

    folder = Path(settings.model_dir)
    if settings.last is not None:
        paths = newest_epochs(folder, settings.last)
    elif settings.best is not None:
        paths = best_epochs(folder, settings.best)
    else:
        paths = [Path(path) for path in settings.checkpoints or ()]
    write_average(paths, output)
    print(f"averaged: {', '.join(map(str, paths))}")
    print(f"written: {output}")


if __name__ == "__main__":
    run_command(main)
