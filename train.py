"""Train a speech recogniser: python train.py --help lists the options."""

from model_utils.options import parse, run_command
from model_utils.settings import TRAINING


def main() -> None:
    """Read the options and train."""
    options = parse("train.py", TRAINING, description="Train a DeepSpeech2 speech recogniser.")

    from model_utils.training import train_recogniser

    train_recogniser(options)


if __name__ == "__main__":
    run_command(main)
