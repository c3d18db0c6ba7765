"""A head through train.py, eval.py and infer.py: what is said, refused and carried."""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import small
import tones
from tones import Corpus

import eval as evaluation  # named like the function
import infer
from data_utils.errors import InputError
from data_utils.manifest import Manifest, write_manifests
from data_utils.settings import StoreSettings
from inference import Predictor
from model_utils import training
from model_utils.options import parse
from model_utils.settings import TRAINING
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import read_arrays
from model_utils.trainer.checkpoint_means import average_checkpoints

TEXTS = ["一", "二三", "四", "一二", "三", "二"]
PITCH = ["low", "high", "high", "low", None, "low"]
Say = Callable[..., tuple[list[str], list[str]]]

pytestmark = pytest.mark.usefixtures("prepared")


def say(corpus: Corpus, name: str, classes: list[str | None], field: str = "pitch") -> Path:
    """A manifest of the corpus whose lines say these classes."""
    rows = Manifest.open(corpus.manifest)
    path = corpus.folder / name
    write_manifests(
        {
            path: [
                dataclasses.replace(row, fields={} if value is None else {field: value})
                for row, value in zip(rows, classes, strict=True)
            ]
        }
    )
    return path


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = tones.make_corpus(tmp_path_factory.mktemp("corpus"), TEXTS)
    return dataclasses.replace(made, manifest=say(made, "manifest.said", PITCH))


@pytest.fixture
def train(corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Trains in the test's folder; returns the lines of stdout and stderr."""
    return lambda *more: small.said(capsys, small.short(corpus, tmp_path, *more))


@pytest.fixture(scope="module")
def model(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained epochs with a head; only to be read."""
    folder = tmp_path_factory.mktemp("model")
    argv = small.short(corpus, folder, "--head_field=pitch", "--head_loss=focal", "--num_epoch=2")
    training.train(parse("train.py", TRAINING, argv))
    return folder / "param"


def those(lines: list[str], *parts: str) -> list[str]:
    return [line for line in lines if all(part in line for part in parts)]


def digest(path: Path) -> str:
    """Of names and values; the file also counts what this process did before."""
    arrays = read_arrays(path).items()
    parts = [name.encode() + value.tobytes() for name, value in sorted(arrays)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


# A fresh run


def test_what_is_trained_on_is_told_once(train: Say, corpus: Corpus, tmp_path: Path) -> None:
    out, err = train("--head_field=pitch")
    assert those(out, "classes of") == ["classes of pitch: high 2, low 3"]
    assert those(err, "have no pitch") == [
        "note: train: 1 of 6 utterances have no pitch: trained on by CTC alone",
        "note: test: 1 of 6 utterances have no pitch: left out of its accuracy",
    ]
    [line] = those(out, "Test [")
    assert "; pitch: " in line and line.endswith(" / 5))")
    rows = [
        json.loads(row)
        for file in (tmp_path / "log").glob("*/metrics.jsonl")
        for row in file.read_text("utf-8").splitlines()
    ]
    [curve] = [row for row in rows if row["tag"] == "Test pitch accuracy"]
    assert 0 <= curve["value"] <= 1 and curve["step"] == 1
    info = checkpoint.read_info(tmp_path / "param" / "1.pdparams")
    assert info is not None and info["head"] == {"field": "pitch", "names": ["high", "low"]}


def test_without_a_head_a_checkpoint_says_and_holds_nothing_of_it(
    train: Say, corpus: Corpus, tmp_path: Path
) -> None:
    plain = dataclasses.replace(corpus, manifest=corpus.folder / "manifest.train")
    train()
    argv = small.short(plain, tmp_path / "plain")
    training.train(parse("train.py", TRAINING, argv))
    for name in ("1.pdparams", "1.pdopt"):
        own, other = tmp_path / "param" / name, tmp_path / "plain" / "param" / name
        assert digest(own) == digest(other), "what lines say beside the text changes nothing"
    info = checkpoint.read_info(tmp_path / "param" / "1.pdparams")
    assert info is not None and "head" not in info
    assert not [name for name in read_arrays(tmp_path / "param" / "1.pdparams") if "head" in name]


def test_the_loss_and_its_weight_reach_the_training(train: Say, tmp_path: Path) -> None:
    found = set()
    for more in (
        (),
        ("--head_weight=3",),
        ("--head_loss=focal",),
        ("--head_loss=focal", "--head_gamma=0.5"),
        ("--head_loss=multi_margin",),
        ("--head_loss=multi_margin", "--head_margin=0.2"),
    ):
        train("--head_field=pitch", *more)
        found.add(digest(tmp_path / "param" / "1.pdparams"))
    assert len(found) == 6


def test_a_class_that_only_the_test_set_has_is_a_line(train: Say, corpus: Corpus) -> None:
    other = say(corpus, "manifest.other", ["low", "shrill", "high", "low", "shrill", "deep"])
    _, err = train("--head_field=pitch", f"--test_manifest={other}", "--max_steps=1")
    assert those(err, "warning: test: ") == [
        "warning: test: 3 of 6 utterances are of classes of pitch that the head has not "
        "(deep, shrill): scored as wrong"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--head_field=pich"], "--head_field=pich: no line of the manifest says it"),
        (["--head_field="], "--head_field=: the name of a field is expected"),
        (["--head_field=text"], "--head_field=text: the name of a field is expected"),
        (["--head_field=speaker"], "--head_field=speaker: no line of the manifest says it"),
        (["--head_weight=2"], "--head_weight=2.0: there is no head; give --head_field=NAME"),
        (["--head_loss=focal"], "--head_loss=focal: there is no head; give --head_field=NAME"),
        (
            ["--head_field=pitch", "--head_gamma=1"],
            "--head_gamma=1.0: belongs to --head_loss=focal, cross_entropy has none",
        ),
        (
            ["--head_field=pitch", "--head_loss=focal", "--head_margin=2"],
            "--head_margin=2.0: belongs to --head_loss=multi_margin, focal has none",
        ),
        (["--head_field=pitch", "--head_loss=hinge"], "--head_loss: 'hinge' is not one of"),
        (["--head_field=pitch", "--head_weight=0"], "--head_weight: must be between"),
        (["--head_field=pitch", "--head_weight=nan"], "--head_weight: a number expected"),
        (["--head_field=pitch", "--head_weight=much"], "--head_weight: a number expected"),
        (["--head_field=pitch", "--head_loss=focal", "--head_gamma=-1"], "--head_gamma: must be"),
        (
            ["--head_field=pitch", "--head_loss=multi_margin", "--head_margin=inf"],
            "--head_margin: a finite number expected",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(
    train: Say, tmp_path: Path, given: list[str], said: str
) -> None:
    with pytest.raises(InputError) as error:
        train(*given)
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
    assert not (tmp_path / "param").exists()


def test_one_class_is_none(train: Say, corpus: Corpus) -> None:
    alike = say(corpus, "manifest.alike", ["low"] * 6)
    with pytest.raises(InputError, match="--head_field=pitch: all that is said is 'low'"):
        train("--head_field=pitch", f"--train_manifest={alike}")


def test_the_options_that_a_run_left_do_it_again(train: Say, tmp_path: Path) -> None:
    for more in ((), ("--head_field=pitch", "--head_loss=focal")):
        folder = tmp_path / "log"
        before = set(folder.glob("*"))
        train(*more)
        [run] = set(folder.glob("*")) - before
        first = digest(tmp_path / "param" / "1.pdparams")
        train(f"--config={run / 'options.json'}")
        assert digest(tmp_path / "param" / "1.pdparams") == first


def test_stored_examples_have_their_classes(train: Say, tmp_path: Path) -> None:
    store = f"--store_dir={tmp_path / 'store'}"
    exact = ("--store_dtype=float32", store, "--head_field=pitch")
    train("--head_field=pitch")
    expected = digest(tmp_path / "param" / "1.pdparams")
    assert StoreSettings().num_variants == 1
    train("--mode=process_data", *exact)
    out, _ = train("--mode=fast_train", *exact)
    assert those(out, "classes of pitch: high 2, low 3")
    assert digest(tmp_path / "param" / "1.pdparams") == expected


# Resumed


def test_a_resumed_run_keeps_its_head(train: Say, model: Path, tmp_path: Path) -> None:
    for name in ("1", "2_batch_2"):
        out, _ = train(f"--resume_model={model / name}", "--head_loss=focal", "--num_epoch=2")
        assert "head_field: pitch" in out
        assert not those(out, "changed since then")
        for suffix in (".pdparams", ".pdopt"):
            own, whole = (read_arrays(f / f"2{suffix}") for f in (tmp_path / "param", model))
            assert own.keys() == whole.keys()
            assert all(np.array_equal(own[key], whole[key]) for key in own), name
    out, _ = train(f"--resume_model={model / '1'}", "--num_epoch=2")
    assert those(out, "head_loss was focal, is cross_entropy: losses of before and after")


def test_another_head_is_refused(train: Say, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the head of .*1\.pdparams is for pitch; leave the opt"):
        train(f"--resume_model={model / '1'}", "--head_field=language")
    train()
    with pytest.raises(InputError, match="has no head; leave the option out, or start a new run"):
        train(f"--resume_model={tmp_path / 'param' / '1'}", "--head_field=pitch")
    with pytest.raises(InputError, match=r"--head_weight=2\.0: there is no head"):
        train(f"--resume_model={tmp_path / 'param' / '1'}", "--head_weight=2")


def test_classes_that_came_later_are_strangers(train: Say, corpus: Corpus, model: Path) -> None:
    later = say(corpus, "manifest.later", ["low", "shrill", "high", "low", "shrill", None])
    resumed = (f"--resume_model={model / '1'}", "--num_epoch=2", f"--train_manifest={later}")
    out, err = train(*resumed)
    assert those(out, "classes of pitch: high 1, low 2")
    assert those(err, "warning: train: ") == [
        "warning: train: 2 of 6 utterances are of classes of pitch that the head has not "
        "(shrill): trained on by CTC alone"
    ]


@pytest.mark.parametrize(
    "head",
    ["pitch", {"field": "pitch", "names": ["high"]}, {"field": "pitch", "names": ["a", "b", "c"]}],
)
def test_a_damaged_description_is_refused(train: Say, model: Path, head: object) -> None:
    folder = Path(model.parent, "damaged")
    folder.mkdir(exist_ok=True)
    for suffix in (".pdparams", ".json"):
        (folder / f"1{suffix}").write_bytes((model / f"1{suffix}").read_bytes())
    info = json.loads((folder / "1.json").read_text("utf-8"))
    (folder / "1.json").write_text(json.dumps({**info, "head": head}), "utf-8")
    with pytest.raises(InputError) as error:
        train(f"--resume_model={folder / '1'}", "--num_epoch=2")
    assert str(error.value).startswith(f"{folder / '1.pdparams'}: ")


# Other weights


def test_a_pretrained_head_stays_where_its_classes_do(
    train: Say, corpus: Corpus, model: Path, tmp_path: Path
) -> None:
    source, still = f"--pretrained_model={model / '2'}", "--learning_rate=0"
    trained = read_arrays(model / "2.pdparams")

    def head() -> np.ndarray:
        return read_arrays(tmp_path / "param" / "1.pdparams")["head.linear.weight"]

    out, err = train(source, still, "--head_field=pitch")
    assert f"pretrained: {model / '2.pdparams'}, all weights" in out
    assert not those(err, "starts anew")
    assert np.array_equal(head(), trained["head.linear.weight"])

    renamed = say(corpus, "manifest.renamed", ["low", "high", "high", "low", None, "low"], "tone")
    out, _ = train(source, still, "--head_field=tone", f"--train_manifest={renamed}")
    assert f"pretrained: {model / '2.pdparams'}, all weights" in out, "the same classes"

    others = say(corpus, "manifest.others", ["a", "b", "b", "a", None, "a"])
    out, err = train(source, still, "--head_field=pitch", f"--train_manifest={others}")
    assert those(out, "all weights but head.linear.weight, head.linear.bias")
    assert those(err, "starts anew") == [
        f"note: the head of {model / '2.pdparams'} tells 2 classes of pitch (high, low), this one "
        f"2 classes of pitch (a, b): it starts anew"
    ]
    assert not np.array_equal(head(), trained["head.linear.weight"])

    out, _ = train(source, still)
    assert those(out, "without a place in this network: head.linear.bias, head.linear.weight")
    assert "head_field: None" in out


def test_more_characters_and_a_head_go_together(train: Say, model: Path, tmp_path: Path) -> None:
    source = (f"--pretrained_model={model / '2'}", "--extend_vocab", "--learning_rate=0")
    out, _ = train(*source)
    assert those(out, "without a place in this network: head.linear.bias, head.linear.weight")
    train(*source, "--head_field=pitch")
    own, old = (read_arrays(f / "1.pdparams") for f in (tmp_path / "param", model))
    assert own["head.linear.weight"].shape == old["head.linear.weight"].shape


def test_means_are_of_one_head(train: Say, corpus: Corpus, model: Path, tmp_path: Path) -> None:
    mean = average_checkpoints([model / "1", model / "2"])
    assert mean.info is not None and mean.info["head"]["names"] == ["high", "low"]
    parts = [read_arrays(model / f"{n}.pdparams")["head.linear.weight"] for n in (1, 2)]
    assert np.allclose(mean.weights["head.linear.weight"], sum(parts) / 2)
    others = say(corpus, "manifest.named", ["a", "b", "b", "a", None, "a"])
    train("--head_field=pitch", f"--train_manifest={others}")
    with pytest.raises(InputError, match="another head than"):
        average_checkpoints([model / "1", tmp_path / "param" / "1"])


# Used


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[list[str], list[str]]]:
    def command(main: Callable[[], object], *argv: str) -> tuple[list[str], list[str]]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["a command", *argv])
        main()
        said = capsys.readouterr()
        return said.out.splitlines(), said.err.splitlines()

    return command


def test_eval_says_how_many_are_right(
    run: Say, corpus: Corpus, model: Path, tmp_path: Path
) -> None:
    given = (f"--resume_model={model / '2'}", f"--result_path={tmp_path / 'eval.txt'}")
    given += ("--num_workers=0",)
    predictor = Predictor(model / "2")
    told = [
        predictor.transcribe(row.audio).classes["pitch"] for row in Manifest.open(corpus.manifest)
    ]
    said = ["low", "shrill", "high", "low", None, "high"]
    right = {
        name: sum(a == b == name for a, b in zip(said, told, strict=True))
        for name in ("high", "low", "shrill")
    }
    manifest = say(corpus, "manifest.eval", said)
    out, _ = run(evaluation.main, *given, f"--test_manifest={manifest}")
    assert out[-5:-1] == [
        f"pitch: {sum(right.values()) / 5:.5f} (right {sum(right.values())} / 5)",
        f"  high: {right['high'] / 2:.5f} (right {right['high']} / 2)",
        f"  low: {right['low'] / 2:.5f} (right {right['low']} / 2)",
        "  shrill: 0.00000 (right 0 / 1)",
    ]
    assert out[-1].startswith("cer: ")
    plain = corpus.folder / "manifest.train"
    out, err = run(evaluation.main, *given, f"--test_manifest={plain}")
    assert not those(out, "pitch") and those(err, "no utterance has a pitch, so it is not scored")


def test_infer_names_the_class_beside_the_text(
    run: Say, train: Say, corpus: Corpus, model: Path, tmp_path: Path
) -> None:
    audio = [row.audio for row in Manifest.open(corpus.manifest)]
    lines, _ = run(infer.main, f"--resume_model={model / '2'}", "--audio_path", *audio)
    answers, _ = run(infer.main, f"--resume_model={model / '2'}", "--json", "--audio_path", *audio)
    for line, answer in zip(lines, map(json.loads, answers), strict=True):
        assert list(answer) == ["audio", "text", "confidence", "seconds", "classes"]
        assert answer["classes"]["pitch"] in ("high", "low")
        assert line.endswith(f", pitch: {answer['classes']['pitch']}")
    train()
    plain = f"--resume_model={tmp_path / 'param' / '1'}"
    [line], _ = run(infer.main, plain, f"--audio_path={audio[0]}")
    [answer], _ = run(infer.main, plain, "--json", f"--audio_path={audio[0]}")
    assert "pitch" not in line
    assert list(json.loads(answer)) == ["audio", "text", "confidence", "seconds"]
