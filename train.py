"""Train a speech recogniser: python train.py --help lists the options."""

from data_utils.settings import BatchSettings, CorpusSettings, FeatureSettings
from model_utils.options import parse, run_command
from model_utils.settings import (
    DeviceSettings,
    NetworkSettings,
    OptimisationSettings,
    RunSettings,
)


def main() -> None:
    """Read the options, train, and say where the model is."""
    options = parse(
        "train.py",
        [
            CorpusSettings,
            BatchSettings,
            FeatureSettings,
            NetworkSettings,
            OptimisationSettings,
            RunSettings,
            DeviceSettings,
        ],
        description="Train a DeepSpeech2 speech recogniser.",
    )
    print(options.table(), flush=True)

    from model_utils.training import train_recogniser

    train_recogniser(options)


if __name__ == "__main__":
    run_command(main)
