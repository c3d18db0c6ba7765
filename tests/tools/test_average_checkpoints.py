"""The command: which checkpoints it takes, and that what it writes is a model like any other."""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small
import tones
from tones import Corpus

import eval as evaluation  # named like the function
from data_utils.errors import InputError
from model_utils.options import parse
from model_utils.settings import TRAINING
from model_utils.trainer import checkpoint
from model_utils.training import train
from tools import average_checkpoints

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tones.make_corpus(tmp_path_factory.mktemp("corpus"), ["一", "二三", "四", "一二"])


def options(corpus: Corpus, folder: Path, *more: str) -> list[str]:
    return small.training(corpus, folder, *small.NETWORK, "--batch_size=2", *more)


@pytest.fixture(scope="module")
def model(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three trained epochs."""
    folder = tmp_path_factory.mktemp("model")
    train(parse("train.py", TRAINING, options(corpus, folder, "--num_epoch=3")))
    return folder / "param"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def command(main: Callable[[], None], *argv: str) -> None:
        monkeypatch.setattr(sys, "argv", ["a command", *argv])
        main()

    return command


def test_the_mean_is_evaluated_and_trained_on(
    run: Callable[..., None],
    corpus: Corpus,
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "average"  # the suffix may be left out, as everywhere
    run(average_checkpoints.main, "--last=2", f"--model_dir={model}", f"--output_path={path}")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"averaged: {model / '2.pdparams'}, {model / '3.pdparams'}",
        f"written: {path}.pdparams",
    ]
    parts = [checkpoint.load(model / str(epoch)).weights for epoch in (2, 3)]
    for name, value in checkpoint.load(path).weights.items():
        assert np.allclose(value, (parts[0][name] + parts[1][name]) / 2, atol=1e-7), name

    results = f"--result_path={tmp_path / 'eval.txt'}"
    manifest = f"--test_manifest={corpus.manifest}"
    run(evaluation.main, f"--resume_model={path}", manifest, results)
    assert re.fullmatch(r"cer: .* / 6: .*", capsys.readouterr().out.splitlines()[-1])

    more = options(corpus, tmp_path, "--num_epoch=4", f"--resume_model={path}.pdparams")
    train(parse("train.py", TRAINING, more))
    assert "the optimizer starts anew" in capsys.readouterr().err
    assert (tmp_path / "param" / "4.pdparams").is_file()


@pytest.mark.parametrize(
    "given", [[], ["--last=2", "--best=2"], ["--checkpoints", "a", "--last=2"]]
)
def test_one_way_to_choose(run: Callable[..., None], given: list[str]) -> None:
    with pytest.raises(InputError, match="give one of --checkpoints A B C, --last=N and --best=N"):
        run(average_checkpoints.main, *given)


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_the_output_needs_a_name(run: Callable[..., None], path: str) -> None:
    with pytest.raises(InputError, match=r"give the path of a \.pdparams file"):
        run(average_checkpoints.main, "--last=2", f"--output_path={path}")


def test_files_are_named_and_the_place_is_checked(
    run: Callable[..., None], model: Path, tmp_path: Path
) -> None:
    files = [str(model / "1.pdparams"), str(model / "missing.pdparams")]
    with pytest.raises(InputError, match=r"missing\.pdparams: file not found"):
        run(average_checkpoints.main, "--checkpoints", *files, f"--output_path={tmp_path / 'a'}")
    with pytest.raises(InputError, match="a checkpoint of a run stands there"):
        run(
            average_checkpoints.main, "--best=2", f"--model_dir={model}", f"--output_path={model}/1"
        )
    assert not list(tmp_path.iterdir())
