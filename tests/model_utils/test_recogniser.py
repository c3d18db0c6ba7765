"""A recogniser as data: written into a checkpoint, read from one, compared with options."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tones import Corpus

from data_utils.errors import InputError
from data_utils.normalizer import Normalizer
from data_utils.settings import CorpusSettings
from data_utils.text import Vocabulary
from model_utils.options import Options, parse
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import TRAINING, NetworkSettings
from model_utils.trainer.checkpoint import Checkpoint

MakeCorpus = Callable[..., Corpus]


def options(*argv: str) -> Options:
    return parse("train.py", TRAINING, argv)


def make(corpus: Corpus) -> Recogniser:
    return Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std),
        NetworkSettings(rnn_layer_size=12, dropout=0.1),
        "drop",
    )


def saved(corpus: Corpus, **changes: Any) -> Checkpoint:
    """As if read from a checkpoint's JSON."""
    info = json.loads(json.dumps(make(corpus).describe()))
    return Checkpoint(Path("a.pdparams"), {}, None, {**info, **changes})


def test_it_survives_the_json(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    own, info = make(corpus), saved(corpus).info
    assert info is not None
    read = Recogniser.of(info, "a.json")
    assert read.vocabulary.tokens == own.vocabulary.tokens
    for name in ("features", "network", "unknown"):
        assert getattr(read, name) == getattr(own, name)
    assert np.array_equal(read.normalizer.mean, own.normalizer.mean)
    assert np.array_equal(read.normalizer.std, own.normalizer.std)
    assert read.num_bins == own.num_bins == 8


@pytest.mark.parametrize("missing", ["vocabulary", "features", "normalizer", "network", "task"])
def test_a_description_without_a_part_is_refused(missing: str, make_corpus: MakeCorpus) -> None:
    info = dict(saved(make_corpus(["一"])).info or {})
    del info[missing]
    with pytest.raises(InputError, match=rf"^a\.json: .*{missing}.*another version"):
        Recogniser.of(info, "a.json")


def test_a_model_for_another_task_or_of_another_version_is_refused(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    with pytest.raises(InputError, match="for separation, not for recognition"):
        Recogniser.of(saved(corpus, task="separation").info or {}, "a.json")
    statistics = {"mean": [1.0], "std": [1.0, 2.0], "settings": None}
    for part in ({"network": {"unheard_of": 1}}, {"normalizer": statistics}, {"features": None}):
        with pytest.raises(InputError, match=r"^a\.json: .*another version"):
            Recogniser.of(saved(corpus, **part).info or {}, "a.json")


def test_the_checkpoint_needs_no_option(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    found = resolve(options(), saved(corpus), None, None)
    assert (found.network, found.features) == (make(corpus).network, corpus.features)
    same = ("--rnn_layer_size=12", "--feature_type=fbank", "--num_mel_bins=8")
    assert resolve(options(*same), saved(corpus), None, None).network == found.network
    assert found.unknown == "drop", "a default contradicts nothing"
    assert resolve(options("--unknown=drop"), saved(corpus), None, None, "drop").unknown == "drop"


@pytest.mark.parametrize(
    ("flag", "trained"),
    [
        ("--rnn_layer_size=13", 12),
        ("--feature_type=mfcc", "fbank"),
        ("--rnn_type=lstm", "gru"),
        ("--unknown=unk", "drop"),
    ],
)
def test_an_option_that_contradicts_the_checkpoint_is_named(
    flag: str, trained: object, make_corpus: MakeCorpus
) -> None:
    given = options(flag)
    with pytest.raises(InputError) as error:
        resolve(given, saved(make_corpus(["一"])), None, None, given[CorpusSettings].unknown)
    assert str(error.value) == (
        f"{flag}: a.pdparams was trained with {trained}; leave the option out"
    )


def test_dropout_alone_may_change(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    found = resolve(options("--dropout=0.4"), saved(corpus), None, None)
    assert found.network == dataclasses.replace(make(corpus).network, dropout=0.4)


def test_weights_alone_take_the_rest_from_files_and_flags(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    lone = Checkpoint(Path("50.pdparams"), {}, None, None)
    flags = options("--feature_type=fbank", "--num_mel_bins=8", "--hop_ms=20", "--rnn_layer_size=7")
    files = str(corpus.vocabulary), str(corpus.mean_std)
    found = resolve(flags, lone, *files, "drop")
    assert found.network == NetworkSettings(rnn_layer_size=7)
    assert (found.features, found.unknown) == (corpus.features, "drop")
    assert found.vocabulary == Vocabulary.load(corpus.vocabulary)
    for given in ((None, files[1]), (files[0], None)):
        with pytest.raises(InputError, match=r"50\.pdparams: weights alone.*--mean_std_path"):
            resolve(flags, lone, *given)
    with pytest.raises(InputError, match="feature_type"):
        resolve(options(), None, *files)
