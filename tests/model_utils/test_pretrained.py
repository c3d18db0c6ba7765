"""Starting from other weights with more characters: what was known stays known, bit for bit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import tones
from hypothesis import given
from hypothesis import strategies as st
from tones import Corpus

from data_utils.errors import InputError
from data_utils.normalizer import Normalizer
from data_utils.text import Vocabulary
from model_utils.options import Options, parse
from model_utils.pretrained import Pretrained, extended, with_new_rows
from model_utils.settings import TRAINING
from model_utils.setup.job import open_job
from model_utils.tasks.recognition import RecognitionTask
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import read_arrays
from model_utils.training import train

OLD_WORDS = ["一", "二三", "三", "一二", "三一", "二"] * 4
NEW_WORDS = ["四", "一四", "四二", "三四"]

pytestmark = pytest.mark.usefixtures("prepared")


def options(corpus: Corpus, folder: Path, *more: str) -> Options:
    flags = small.training(corpus, folder, "--batch_size=4", "--grad_clip=5", *more)
    return parse("train.py", TRAINING, flags)


SIZES = ("--feature_type=fbank", "--num_mel_bins=8", "--hop_ms=20", "--num_conv_layers=2")
SIZES += ("--conv_channels=2", "--num_rnn_layers=1", "--rnn_layer_size=12")


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, Path]:
    """A corpus of three tones, and a model that has learned most of it."""
    corpus = tones.make_corpus(tmp_path_factory.mktemp("old_corpus"), OLD_WORDS)
    Vocabulary.build(dict.fromkeys("一二三", 1)).save(corpus.vocabulary)
    folder = tmp_path_factory.mktemp("old_model")
    quick = ("--learning_rate=0.02", "--lr_schedule=onecycle", "--num_epoch=6")
    train(options(corpus, folder, *SIZES, *quick))
    return corpus, folder / "param" / "best.pdparams"


@pytest.fixture
def new(tmp_path: Path) -> Corpus:
    """A corpus of four tones, with statistics and a vocabulary of its own, in another order."""
    folder = tmp_path / "new_corpus"
    folder.mkdir()
    corpus = tones.make_corpus(folder, OLD_WORDS[:6] + NEW_WORDS)
    Vocabulary(("<blank>", "四", "<unk>", "<space>", "三", "二", "一")).save(corpus.vocabulary)
    Normalizer(np.full(8, -17.0), np.full(8, 4.0), corpus.features).save(corpus.mean_std)
    return corpus


def test_the_error_rate_on_old_words_is_the_old_models(
    old: tuple[Corpus, Path], new: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus, model = old
    source = checkpoint.load(model, optimizer=False)
    assert source.info is not None
    before = source.info["progress"]["best"]["value"]
    assert before < 0.5, "a network that has learned nothing would show nothing"
    start = (f"--pretrained_model={model}", "--extend_vocab")
    given = options(new, tmp_path, f"--test_manifest={corpus.manifest}", *start)
    known = Vocabulary.load(corpus.vocabulary).tokens
    job = open_job(given)
    assert isinstance(job.task, RecognitionTask) and job.start is not None
    assert job.task.recogniser.vocabulary.tokens == (*known, "四", "<space>")
    with job.task as task:
        job.start(task.network)
        task.network.eval()
        assert task.score("test").value == before
    said = capsys.readouterr()
    assert "5 tokens, and 2 new (四 <space>)" in said.err and "all weights" in said.out
    assert f"note: {new.mean_std} differs from the statistics that {model}" in said.err


def test_known_rows_stay_bit_for_bit_and_new_ones_are_learned(
    old: tuple[Corpus, Path], new: Corpus, tmp_path: Path
) -> None:
    _, model = old
    start = (f"--pretrained_model={model}", "--extend_vocab")
    train(options(new, tmp_path / "still", *start, "--learning_rate=0", "--max_steps=1"))
    before, after = (read_arrays(p) for p in (model, *(tmp_path / "still/param").glob("1*params")))
    for name in ("output.weight", "output.bias"):
        assert after[name].shape[-1] == before[name].shape[-1] + 2
        assert np.array_equal(after[name][..., : before[name].shape[-1]], before[name])
    hidden = [name for name in before if "weight_hh" in name]
    assert hidden and all(np.array_equal(before[name], after[name]) for name in hidden)

    quick = ("--learning_rate=0.01", "--lr_schedule=constant", "--num_epoch=20")
    train(options(new, tmp_path / "learned", *start, *quick))
    best = checkpoint.load(tmp_path / "learned" / "param" / "best").info
    assert best is not None and best["vocabulary"][-2:] == ["四", "<space>"]
    assert best["normalizer"] == (checkpoint.load(model).info or {})["normalizer"]
    # 4 of 16 characters are the new one: without it no better than 0.25.
    assert best["progress"]["best"]["value"] < 0.2


def test_a_resumed_run_has_the_extended_vocabulary(
    old: tuple[Corpus, Path], new: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, model = old
    start = (f"--pretrained_model={model}", "--extend_vocab", "--max_steps=1")
    train(options(new, tmp_path, *start))
    [stopped] = [line for line in capsys.readouterr().out.splitlines() if "to go on: " in line]
    assert "--pretrained_model=None" in stopped and "--extend_vocab=False" in stopped
    [saved] = (tmp_path / "param").glob("1*params")
    train(options(new, tmp_path, f"--resume_model={saved}", "--num_epoch=1"))
    said = capsys.readouterr()
    assert f"note: {new.vocabulary} differs" in said.err and "every character" in said.err
    assert len(json.loads((tmp_path / "param" / "1.json").read_text("utf-8"))["vocabulary"]) == 7


def test_what_cannot_be_extended_is_refused_in_one_line(
    old: tuple[Corpus, Path], new: Corpus, tmp_path: Path
) -> None:
    _, model = old
    for more in ((), (f"--resume_model={model}",)):
        with pytest.raises(InputError, match="give --pretrained_model=FILE"):
            train(options(new, tmp_path, "--extend_vocab", *more))
    source = checkpoint.load(model, optimizer=False)
    with pytest.raises(InputError, match=r"no best\.json beside .*and the layer starts anew"):
        extended(options(new, tmp_path), replace(source, info=None))
    with pytest.raises(InputError, match=r"--rnn_layer_size=13: .* was trained with 12"):
        extended(options(new, tmp_path, "--rnn_layer_size=13"), source)
    recogniser = extended(options(new, tmp_path), source)
    for value in (np.zeros(4, np.float32), np.float32(0)):
        broken = replace(source, weights={**source.weights, "output.bias": np.asarray(value)})
        with pytest.raises(InputError, match=r"output\.bias is .* for 5 tokens"):
            Pretrained.extending(broken, recogniser)
    assert not (tmp_path / "param").exists()


@given(
    tokens=st.integers(1, 6),
    count=st.integers(0, 4),
    scale=st.sampled_from([0.0, 0.1, 1.0, 30.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_comes_in_the_best_token_stays_the_best(
    tokens: int, count: int, scale: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    before = {
        "output.weight": rng.normal(0, scale, (5, tokens)).astype(np.float32),
        "output.bias": rng.normal(0, scale, tokens).astype(np.float32),
        "rnn.weight": rng.normal(0, 1, (5, tokens)).astype(np.float32),
    }
    after = with_new_rows(before, count)
    assert np.array_equal(after["rnn.weight"], before["rnn.weight"])
    for name in ("output.weight", "output.bias"):
        assert np.array_equal(after[name][..., :tokens], before[name])
        assert after[name].dtype == np.float32 and after[name].shape[-1] == tokens + count
    inputs = rng.normal(0, 3, (50, 5)).astype(np.float32)
    best = [
        (inputs @ w["output.weight"] + w["output.bias"]).argmax(axis=1) for w in (before, after)
    ]
    assert np.array_equal(*best)
