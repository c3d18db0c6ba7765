"""Options of a training that takes a second: a small network on a corpus of tones."""

from pathlib import Path

import pytest
from tones import Corpus

from model_utils import training as command
from model_utils.options import parse
from model_utils.settings import TRAINING

NETWORK = (
    *("--num_conv_layers=1", "--conv_channels=2", "--num_rnn_layers=1", "--rnn_layer_size=4"),
    *("--feature_type=fbank", "--num_mel_bins=8", "--hop_ms=20"),
)
"""Sizes of the network, and features as `tones.make_corpus` makes them."""


def data(corpus: Corpus) -> list[str]:
    """Options of a command that reads the corpus in its own process, without augmentation."""
    return [
        f"--train_manifest={corpus.manifest}",
        f"--vocab_path={corpus.vocabulary}",
        f"--mean_std_path={corpus.mean_std}",
        *("--num_workers=0", "--augment_conf_path=None"),
    ]


def training(corpus: Corpus, folder: Path, *more: str) -> list[str]:
    """Options of train.py that score the same corpus and leave everything in `folder`."""
    return [
        *data(corpus),
        f"--test_manifest={corpus.manifest}",
        f"--output_model_dir={folder / 'param'}",
        f"--log_dir={folder / 'log'}",
        *more,
    ]


def short(corpus: Corpus, folder: Path, *more: str) -> list[str]:
    """Options of a training of one epoch, saved every two batches."""
    brief = ("--batch_size=2", "--save_interval=2", "--num_epoch=1")
    return training(corpus, folder, *NETWORK, *brief, *more)


def said(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[list[str], list[str]]:
    """Train with these options; the lines of stdout and stderr."""
    capsys.readouterr()
    command.run_command(parse("train.py", TRAINING, arguments))
    lines = capsys.readouterr()
    return lines.out.splitlines(), lines.err.splitlines()
