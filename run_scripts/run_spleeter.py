"""Train a source separator, with the options that users of Spleeter packages know.

All options of `python train.py --task=separation` are known too. --amp=True stands for fp16.
"""

import dataclasses
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from data_utils.settings import option
from model_utils.options import Options, TaskOptions, parse_task, run_command
from model_utils.settings import TASKS, OptimisationSettings, RunSettings

_PRECISIONS = {"true": "fp16", "false": "off"}


@dataclass(frozen=True)
class SpleeterSettings:
    """What these users know and the trainer does not."""

    load_model: bool = option(
        True, "go on from the newest checkpoint of model_dir, if there is one"
    )


def main() -> int:
    """Read the options and train."""
    options = with_newest(read_options(sys.argv[1:]))
    if options[OptimisationSettings].amp != "off":
        print("warning: --amp: sums lose precision in 16 bits", file=sys.stderr)

    from model_utils import training

    code, folder = training.run_command(options)
    if folder is not None:
        from reports.curves import draw_run

        draw_run(folder)
    return code


def read_options(arguments: Iterable[str]) -> Options:
    """The options of these arguments, under the trainer's names."""
    separation = TASKS["separation"]
    tasks = {
        "separation": TaskOptions((SpleeterSettings, *separation.settings), separation.defaults)
    }
    argv = with_precision(arguments)
    return parse_task("run_spleeter.py", tasks, argv, description=__doc__ or "")


def with_precision(arguments: Iterable[str]) -> list[str]:
    """The arguments with a precision where `--amp` is True or False."""
    found: list[str] = []
    for argument in arguments:
        name, sign, value = argument.partition("=")
        if name == "--amp" and sign:
            argument = f"--amp={_PRECISIONS.get(value.lower(), value)}"
        elif found and found[-1] == "--amp":
            argument = _PRECISIONS.get(argument.lower(), argument)
        found.append(argument)
    return found


def with_newest(options: Options) -> Options:
    """The options with what `load_model` stands for."""
    run = options[RunSettings]
    if options[SpleeterSettings].load_model and not (run.resume_model or run.pretrained_model):
        run = dataclasses.replace(run, resume_model="latest")
    return options.replaced(run)


if __name__ == "__main__":
    run_command(main)
