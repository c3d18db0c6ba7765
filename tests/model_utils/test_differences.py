"""What a run and the checkpoint that it starts from have not in common is named."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tones import Corpus

from data_utils.normalizer import Normalizer
from data_utils.settings import CorpusSettings, FeatureSettings
from data_utils.text import Vocabulary
from model_utils import differences, runtime
from model_utils.options import Options, parse, parse_task
from model_utils.recogniser import OUTPUT_LAYER, Recogniser
from model_utils.runtime import Device
from model_utils.settings import TASKS, TRAINING, NetworkSettings

MakeCorpus = Callable[..., Corpus]
HERE = Device("cpu", "plain", 2)


def make(corpus: Corpus) -> Recogniser:
    return Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std),
        NetworkSettings(rnn_layer_size=4, num_rnn_layers=1),
    )


def info(*argv: str, device: Device = HERE, paddle: str | None = None) -> dict[str, object]:
    """As a run with these options would have written it."""
    written = {
        "options": parse("train.py", TRAINING, argv).as_dict(),
        "device": dataclasses.asdict(device),
        "versions": {"paddle": paddle or runtime.paddle_version()},
    }
    read: dict[str, object] = json.loads(json.dumps(written))
    return read


@pytest.mark.parametrize(
    ("before", "now", "named"),
    [
        ((), (), []),
        (("--dropout=0.2",), ("--dropout=0.4",), ["dropout was 0.2, is 0.4"]),
        (
            ("--batch_size=16", "--train_manifest=a,b"),
            (
                "--train_manifest=a",
                "--num_workers=0",
                "--log_dir=x",
                "--num_epoch=60",
                "--max_steps=9",
            ),
            [
                "batch_size was 16, is 32: other batches, and another number of them in an epoch, "
                "by which the schedule counts",
                "train_manifest was a,b, is a: what is no longer among the utterances is "
                "forgotten little by little",
            ],
        ),
        (
            ("--lr_schedule=cosine",),
            (),
            [
                "lr_schedule was cosine, is exponential: the rate goes on as this schedule has it "
                "at this place"
            ],
        ),
        (
            ("--mode=train", "--num_variants=4"),
            ("--mode=fast_train", "--store_dtype=uint8", "--store_dir=elsewhere"),
            [
                "mode was train, is fast_train: from here on other examples than the run without "
                "a stop would have heard"
            ],
        ),
        (
            ("--mode=fast_train", "--num_variants=4"),
            ("--mode=fast_train", "--store_dtype=uint8", "--store_dir=elsewhere"),
            [
                "num_variants was 4, is 1: from here on other draws than the run without a stop "
                "would have made",
                "store_dtype was float16, is uint8: from here on other examples than the run "
                "without a stop would have heard",
            ],
        ),
        (("--num_variants=4",), ("--store_dtype=uint8",), []),
        (
            ("--vocab_path=a",),
            ("--vocab_path=b", "--extend_vocab=False", "--pretrained_model=None"),
            ["vocab_path was a, is b: the model's own is used"],
        ),
    ],
)
def test_options_that_changed(
    before: tuple[str, ...], now: tuple[str, ...], named: list[str]
) -> None:
    lines = differences.of_runs(info(*before), parse("train.py", TRAINING, now), HERE)
    assert lines == [f"changed since then: {line}" for line in named]


def test_options_of_a_front_end_that_changed() -> None:
    def options(*argv: str) -> Options:
        return parse_task("train.py", TASKS, ["--task=enhancement", *argv])

    before = {"options": options("--dev_snrs=0", "--train_noise=a").as_dict()}
    now = options("--loss=l1", "--train_noise=b")
    assert differences.of_runs(json.loads(json.dumps(before)), now, HERE) == [
        "changed since then: dev_snrs was 0.0, is -5.0,0.0,5.0: scores of other utterances are not "
        "to be compared, the best so far is kept all the same",
        "changed since then: loss was mse, is l1: losses of before and after are not to be "
        "compared",
        "changed since then: train_noise was a, is b",
    ]


def test_what_costs_exactness_is_named_in_a_line_each() -> None:
    options = parse("train.py", TRAINING, ["--num_threads=3", "--engine=plain"])
    before = info(device=Device("gpu:0", "fast", 2), paddle="paddlepaddle 1.8.5")
    lines = differences.of_runs(before, options, Device("cpu", "plain", 3))
    assert lines == [
        f"changed since then: {change}: right, but not to the last bit the same"
        for change in (
            "device was gpu:0, is cpu",
            "engine was fast, is plain",
            "threads was 2, is 3",
            f"Paddle was paddlepaddle 1.8.5, is {runtime.paddle_version()}",
        )
    ]


def test_an_older_checkpoint_that_does_not_say_is_no_difference() -> None:
    assert differences.of_runs({}, parse("train.py", TRAINING, []), HERE) == []


def test_other_data_and_devices_under_the_same_options() -> None:
    plan = {"items": 48, "durations": "1f", "devices": 2, "seed": 1}
    assert differences.of_plans({"plan": dict(plan)}, plan) == []
    assert differences.of_plans({}, plan) == [], "an older checkpoint does not say"
    fewer, alone = differences.of_plans({"plan": {**plan, "items": 60, "devices": 1}}, plan)
    assert fewer.startswith("changed since then: items was 60, is 48: other batches")
    assert alone.startswith("changed since then: devices was 1, is 2: other batches")
    assert "--lr_scaling" in alone
    [others] = differences.of_plans({"plan": {**plan, "durations": "2a"}}, plan)
    assert others.startswith("changed since then: as many items, but not the same ones: ")


def test_files_beside_the_corpus(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    own, model = make(corpus), Path("a.pdparams")
    files = CorpusSettings(vocab_path=str(corpus.vocabulary), mean_std_path=str(corpus.mean_std))
    assert differences.of_files(own, files, model) == []
    Vocabulary((*own.vocabulary.tokens, "您")).save(corpus.vocabulary)
    Normalizer(own.normalizer.mean + 1, own.normalizer.std).save(corpus.mean_std)
    vocabulary, statistics = differences.of_files(own, files, model)
    assert f"warning: {corpus.vocabulary} differs" in vocabulary and "1 new (您)" in vocabulary
    assert "--pretrained_model=a.pdparams --extend_vocab learns them" in vocabulary
    assert f"note: {corpus.mean_std} differs" in statistics and "mean of bin" in statistics
    assert differences.of_statistics(own, files, model) == [statistics]
    # As after a run that was given more characters than its file has.
    Vocabulary(own.vocabulary.tokens[:-1]).save(corpus.vocabulary)
    vocabulary, _ = differences.of_files(own, files, model)
    assert vocabulary.startswith(f"note: {corpus.vocabulary} differs")
    assert "has every character of the file" in vocabulary
    corpus.vocabulary.unlink()
    corpus.mean_std.unlink()
    assert differences.of_files(own, files, model) == [], "a resumed run needs neither"


def test_input_of_other_features_and_statistics(make_corpus: MakeCorpus) -> None:
    own = make(make_corpus(["一"]))
    assert differences.of_input(own, own) == ""
    # What is not in force is no difference.
    quiet = dataclasses.replace(own.features, use_db_normalization=False)
    louder = dataclasses.replace(quiet, target_db=-10.0)
    assert not differences.of_input(
        *(dataclasses.replace(own, features=f) for f in (quiet, louder))
    )
    linear = dataclasses.replace(
        own,
        features=FeatureSettings("linear", hop_ms=20.0),
        normalizer=Normalizer(np.zeros(161), np.ones(161)),
    )
    said = differences.of_input(linear, own)
    assert "feature_type linear, here fbank" in said and "hop_ms" not in said
    assert "statistics: 8 bins in place of 161" in said


def test_the_output_layer_has_a_row_for_each_token(make_corpus: MakeCorpus) -> None:
    own = make(make_corpus(["一"]))
    network = own.build(fast=False)
    shapes = {
        name: p.shape for name, p in network.named_parameters() if len(own.vocabulary) in p.shape
    }
    assert {name.partition(".")[0] for name in shapes} == {OUTPUT_LAYER}
