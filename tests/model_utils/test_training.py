"""Training from options: what it says of what it starts from, and of what it leaves."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import tones
from hypothesis import given, settings
from hypothesis import strategies as st
from tones import Corpus

from data_utils.errors import InputError
from data_utils.text import Vocabulary
from model_utils import differences, training
from model_utils.options import parse
from model_utils.recogniser import resolve
from model_utils.runtime import Device
from model_utils.settings import TRAINING
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import read_arrays
from model_utils.trainer.progress import Progress

TEXTS = ["一", "二三", "四", "一二", "三", "二"]
Say = Callable[..., tuple[list[str], list[str]]]

pytestmark = pytest.mark.usefixtures("prepared")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return tones.make_corpus(tmp_path_factory.mktemp("corpus"), TEXTS)


@pytest.fixture
def train(corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Trains in the test's folder; returns the lines of stdout and stderr."""
    return lambda *more: small.said(capsys, small.short(corpus, tmp_path, *more))


@pytest.fixture(scope="module")
def model(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained epoch, and two saves inside it; only to be read."""
    folder = tmp_path_factory.mktemp("model")
    training.train(parse("train.py", TRAINING, small.short(corpus, folder)))
    return folder / "param"


def those(lines: list[str], *parts: str) -> list[str]:
    return [line for line in lines if all(part in line for part in parts)]


# A fresh run


def test_a_folder_of_another_run_is_pointed_out(train: Say, tmp_path: Path) -> None:
    param = tmp_path / "param"
    out, err = train()
    assert not those(err, "earlier run")
    [best] = those(out, "best: epoch 1, test cer ")
    assert best.endswith(f"kept as {param / 'best.pdparams'}")
    _, err = train()
    [line] = those(err, "earlier run")
    assert line == (
        f"warning: {param} holds checkpoints of an earlier run (1, 1_batch_2, best), of which "
        f"this one replaces those of the same name; --output_model_dir=FOLDER keeps them"
    )
    _, err = train(f"--resume_model={param / '1'}", "--num_epoch=2")
    assert not those(err, "earlier run"), "a resumed run is the same one"


def test_a_plateau_needs_a_score(train: Say) -> None:
    for nothing in (("--test_off",), ("--test_manifest=None",)):
        with pytest.raises(InputError, match="plateau: nothing is scored"):
            train("--lr_schedule=plateau", *nothing)
    out, _ = train("--lr_schedule=plateau")
    assert "lr_schedule: plateau" in out


def test_the_share_of_padding_is_told(train: Say, corpus: Corpus) -> None:
    _, said = train("--max_steps=1")
    # Tones of 0.15 s, sorted: 1 1 | 1 1 | 2 2.
    assert those(said, "padding: ") == ["padding: 0.0 % of all frames"]
    _, said = train("--max_steps=1", "--batch_size=6")
    assert those(said, "padding: ") == ["padding: 33.3 % of all frames"], "8 tones of 12 are heard"


def test_batches_by_duration(train: Say, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="instance_shuffle mixes them; give --shuffle_method="):
        train("--batch_seconds=1", "--shuffle_method=instance_shuffle")
    # Six utterances of 0.15 and 0.3 s all fit into 2 s, whatever batch_size says.
    out, err = train("--batch_seconds=2", "--batch_size=100")
    assert those(out, "batch: [0/1]") and not those(err, "short batch")
    plan = json.loads((tmp_path / "param" / "1.json").read_text("utf-8"))["plan"]
    assert (plan["batch_seconds"], plan["batch_size"]) == (2.0, None)


def test_batches_by_duration_begin_an_epoch_of_others_again(train: Say, model: Path) -> None:
    out, err = train(f"--resume_model={model / '1_batch_2'}", "--batch_seconds=1.2")
    [line] = those(err, "begins again")
    assert "batch_size was 2, is None, batch_seconds was None, is 1.2" in line
    assert those(out, "going on with epoch 1, batch 0")


# Resumed


def test_the_best_is_named_where_it_is(train: Say, tmp_path: Path, model: Path) -> None:
    out, err = train(f"--resume_model={model / '1'}", "--num_epoch=2", "--learning_rate=0")
    assert len(those(out, "best so far: epoch 1, ", f"kept as {model / 'best.pdparams'}")) == 1
    assert not those(err, "best.pdparams")
    # Nothing was learned, so nothing was better.
    assert those(out, "best: epoch 1, ", f"kept as {model / 'best.pdparams'}")
    assert not (tmp_path / "param" / "best.json").exists()


@pytest.mark.parametrize("run", ["another", "this one"])
def test_a_best_of_another_run_is_pointed_out(
    train: Say, tmp_path: Path, model: Path, run: str
) -> None:
    param = tmp_path / "param"
    shutil.copytree(model, param)
    info = json.loads((param / "best.json").read_text("utf-8"))
    info["epoch"] = info["progress"]["best"]["epoch"] = 5
    if run == "another":
        info["progress"]["run"] = run
    (param / "best.json").write_text(json.dumps(info), "utf-8")
    out, err = train(f"--resume_model={param / '1'}", "--num_epoch=2", "--learning_rate=0")
    warned = those(err, f"warning: {param / 'best.pdparams'} is not of this run; the next epoch")
    assert len(warned) == (run == "another"), "a later epoch of the same run is no surprise"
    assert those(out, "best: epoch 1, ", f"kept as {param / '1.pdparams'}")


def test_of_a_run_that_is_complete_one_line_is_said(train: Say, model: Path) -> None:
    out, err = train(f"--resume_model={model / '1'}")
    assert out[-1].startswith(f"nothing to do: {model / '1.pdparams'} is of epoch 1 ")
    assert not those(out, "resumed") and not those(out, "best") and not those(err, "rate")
    out, _ = train(f"--resume_model={model / '1'}", "--dry_run")
    assert those(out, "heaviest batch"), "which another number of epochs would not change"


def test_a_bad_augmentation_file_is_refused_before_the_table(
    train: Say, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.json").write_text("no list", "utf-8")
    with pytest.raises(InputError, match=r"bad\.json: not valid JSON5"):
        train(f"--augment_conf_path={tmp_path / 'bad.json'}")
    assert capsys.readouterr().out == ""


def test_inside_an_epoch_other_batches_begin_it_again(train: Say, model: Path) -> None:
    out, err = train(f"--resume_model={model / '1_batch_2'}", "--batch_size=3", "--num_epoch=1")
    [line] = those(err, "begins again")
    assert line == (
        f"warning: batch_size was 2, is 3: the batches are not those of "
        f"{model / '1_batch_2.pdparams'}, so epoch 1 begins again with its first"
    )
    assert those(out, "going on with epoch 1, batch 0") and those(out, "batch: [0/2]")
    out, err = train(f"--resume_model={model / '1_batch_2'}")
    assert not those(err, "begins again") and those(out, "going on with epoch 1, batch 2")


def test_unknown_characters_stay_as_the_checkpoint_treats_them(train: Say, tmp_path: Path) -> None:
    train("--unknown=drop")
    out, _ = train(f"--resume_model={tmp_path / 'param' / '1'}", "--num_epoch=2", "--dropout=0.3")
    assert "unknown: drop" in out, "the table shows what is in force"
    assert those(out, "changed since then: ") == ["changed since then: dropout was 0.0, is 0.3"]
    info = json.loads((tmp_path / "param" / "2.json").read_text("utf-8"))
    assert info["unknown"] == info["options"]["unknown"] == "drop"


# Pretrained


def test_the_output_layer_of_another_vocabulary_is_new(
    train: Say, corpus: Corpus, tmp_path: Path, model: Path
) -> None:
    own = Vocabulary.load(corpus.vocabulary)
    # As many tokens, so that every shape fits.
    other = Vocabulary((*own.tokens[:2], *own.tokens[:1:-1]))
    other.save(tmp_path / "other.txt")
    pretrained = f"--pretrained_model={model / '1'}"
    out, err = train(pretrained, f"--vocab_path={tmp_path / 'other.txt'}", "--learning_rate=0")
    [line] = those(err, "vocabulary is not that of", str(model / "1.pdparams"))
    assert "the same ones in another order" in line and "output layer" in line
    named = f"pretrained: {model / '1.pdparams'}, all weights but output.weight, output.bias"
    assert named in out
    old, new = (read_arrays(f / "1.pdparams") for f in (model, tmp_path / "param"))
    assert not np.array_equal(old["output.weight"], new["output.weight"])
    hidden = [name for name in old if "weight_hh" in name]
    assert hidden and all(np.array_equal(old[name], new[name]) for name in hidden)


def test_pretrained_on_other_features_is_pointed_out(train: Say, model: Path) -> None:
    pretrained = f"--pretrained_model={model / '1'}"
    assert not those(train(pretrained)[1], "pdparams was trained on")
    info_path = model / "1.json"
    before = info_path.read_text("utf-8")
    info = json.loads(before)
    info["features"]["hop_ms"] = 10.0
    info_path.write_text(json.dumps(info), "utf-8")
    try:
        [line] = those(train(pretrained)[1], "other features")
    finally:
        info_path.write_text(before, "utf-8")
    assert "hop_ms 10.0, here 20.0" in line and str(model / "1.pdparams") in line


def test_of_lone_pretrained_weights_only_shapes_are_compared(
    train: Say, tmp_path: Path, model: Path
) -> None:
    lone = tmp_path / "7.pdparams"
    shutil.copy(model / "1.pdparams", lone)
    out, err = train(f"--pretrained_model={lone}")
    assert len(those(err, f"note: no 7.json beside {lone}: only shapes")) == 1
    assert f"pretrained: {lone}, all weights" in out


def test_weights_of_a_larger_network_that_have_no_place_are_named(train: Say, model: Path) -> None:
    out, _ = train(f"--pretrained_model={model / '1'}", "--rnn_direction=forward", "--lookahead=0")
    [line] = those(out, "pretrained: ")
    own, _, surplus = line.partition("; without a place in this network: ")
    assert "all weights but " in own
    assert surplus.split(", ") == sorted(surplus.split(", ")) and "reverse" in surplus


# Whatever a checkpoint's JSON holds

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 4)
    | st.floats()
    | st.sampled_from(["", "x", "7", "None", "gru", "<blank>", "\n"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a JSON value; of lists only to the first."""
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value[:1])) if isinstance(value, list) else []
    return [path] * bool(path) + [p for key, item in inner for p in places(item, (*path, key))]


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_changed_description_is_understood_or_refused_in_one_line(
    data: st.DataObject, model: Path
) -> None:
    text = (model / "1.json").read_text("utf-8")
    info = json.loads(text)
    *above, key = data.draw(st.sampled_from(places(info)))
    part = info
    for name in above:
        part = part[name]
    part[key] = data.draw(JSON)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.pdparams"
        shutil.copy(model / "1.pdparams", path)
        path.with_suffix(".json").write_text(json.dumps(info), "utf-8")
        defaults = parse("train.py", TRAINING, [])
        try:
            saved = checkpoint.load(path)
            assert saved.info is not None and saved.epoch >= 0
            recogniser = resolve(defaults, saved, None, None)
            network = recogniser.build(fast=False)
            checkpoint.set_weights(network, saved)
            Progress.of(saved.info.get("progress"), path)
        except InputError as error:
            assert str(error).startswith(str(path.with_suffix(""))) and "\n" not in str(error)
        else:
            differences.of_runs(saved.info, defaults, Device("cpu", "plain", 1))
            differences.of_input(recogniser, recogniser)


def test_what_reaches_nothing_is_refused(train: Say) -> None:
    for flag, message in (
        ("--momentum=0.5", "--momentum=0.5: belongs to --optimizer=sgd or rmsprop, adam has none"),
        ("--nesterov=True", "--nesterov=True: belongs to --optimizer=sgd"),
        ("--start_epoch=3", "--start_epoch=3: a new run begins with epoch 1"),
    ):
        with pytest.raises(InputError, match=message):
            train(flag)
    with pytest.raises(InputError, match="--start_epoch=3: a new run begins with epoch 1"):
        train("--start_epoch=3", "--resume_model=latest")  # of which there is none yet
    with pytest.raises(InputError, match="early_stopping=1: nothing is scored"):
        train("--early_stopping=1", "--test_off=True")
