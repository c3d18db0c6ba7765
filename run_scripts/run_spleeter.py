"""Train a source separator, with the options that users of Spleeter packages know.

All options of `python train.py --task=separation` are known too, and two more:
  --load_model True|False   go on from the newest checkpoint of model_dir, if there is one [True]
  --amp True|False          mixed precision, at some loss of precision; on a GPU only [False]
"""

import argparse
import sys

from model_utils.options import parse_task, read_bool, run_command
from model_utils.settings import TASKS


def main() -> int:
    """Read the options and train."""
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--load_model", default="True")
    own.add_argument("--amp", default="False")
    known, rest = own.parse_known_args()
    newest = "latest" if read_bool(known.load_model, "--load_model") else "None"
    precision = "fp16" if read_bool(known.amp, "--amp") else "off"
    argv = [f"--resume_model={newest}", f"--amp={precision}", *rest]
    task = {"separation": TASKS["separation"]}
    options = parse_task("run_spleeter.py", task, argv, description=__doc__ or "")
    if precision != "off":
        print("warning: --amp: sums lose precision in 16 bits", file=sys.stderr)

    from model_utils import training

    code, folder = training.run_command(options)
    if folder is not None:
        from reports.curves import draw_run

        draw_run(folder)
    return code


if __name__ == "__main__":
    run_command(main)
