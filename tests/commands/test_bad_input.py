"""Mistakes: every command answers with one line and exit code 2, and leaves nothing half done."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
import soundfile
from workspace import HOME, Ran, Workspace

from data_utils.workers import available_cores

MODEL = "--resume_model=models/param/2.pdparams"
CPU = "--use_gpu=False"
TRAIN = ("train.py", "--config=conf/small.json5")
EVAL = ("eval.py", MODEL, CPU)
DEV = ("--dev_manifest=dataset/manifest.dev",)
SIZES = ("--feature_type=fbank", "--num_mel_bins=16", "--conv_channels=4", "--num_rnn_layers=1")
FILES = ("--vocab_path=dataset/zh_vocab.txt", "--mean_std_path=dataset/mean_std.npz")
INFER = ("infer.py", MODEL, CPU, "--audio_path", "clip.wav")


def nothing(work: Workspace) -> None:
    """Leave the folder as it is."""


@dataclass(frozen=True)
class Mistake:
    """A command, what is wrong around it, and what its one line must name."""

    command: tuple[str, ...]
    named: tuple[str, ...]
    arrange: Callable[[Workspace], None] = field(default=nothing)


def written(name: str, content: str | bytes) -> Callable[[Workspace], None]:
    """A file is there, with this content."""

    def arrange(work: Workspace) -> None:
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return arrange


def removed(name: str) -> Callable[[Workspace], None]:
    """A file or folder is not there."""

    def arrange(work: Workspace) -> None:
        path = work / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return arrange


def in_its_place(name: str) -> Callable[[Workspace], None]:
    """A file stands where a folder is needed."""

    def arrange(work: Workspace) -> None:
        shutil.rmtree(work / name, ignore_errors=True)
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text("a file")

    return arrange


def cut(name: str) -> Callable[[Workspace], None]:
    """Half of a file is missing."""

    def arrange(work: Workspace) -> None:
        content = (work / name).read_bytes()
        (work / name).write_bytes(content[: len(content) // 2])

    return arrange


class _Bomb:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch exploded",)


def malicious(name: str) -> Callable[[Workspace], None]:
    """A file that runs a command when it is unpickled."""
    return written(name, pickle.dumps({"weight": _Bomb()}))


def object_arrays(work: Workspace) -> None:
    np.savez(work / "dataset" / "mean_std.npz", mean=np.array([_Bomb()]), std=np.ones(1))


def broken_line(name: str) -> Callable[[Workspace], None]:
    """The second line of a manifest is cut off."""

    def arrange(work: Workspace) -> None:
        lines = (work / name).read_text(encoding="utf-8").splitlines()
        lines[1] = lines[1][:30]
        (work / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    return arrange


def info_without(key: str) -> Callable[[Workspace], None]:
    """A checkpoint's JSON of another version."""

    def arrange(work: Workspace) -> None:
        path = work / "models" / "param" / "2.json"
        info = json.loads(path.read_text(encoding="utf-8"))
        del info[key]
        path.write_text(json.dumps(info), encoding="utf-8")

    return arrange


def other_vocabulary(work: Workspace) -> None:
    lines = (work / "dataset" / "zh_vocab.txt").read_text(encoding="utf-8").splitlines()
    (work / "other.txt").write_text("\n".join([*lines[:-1], "您\t3"]) + "\n", encoding="utf-8")


def other_statistics(name: str) -> Callable[[Workspace], None]:
    """Statistics that differ in mean or std."""

    def arrange(work: Workspace) -> None:
        with np.load(work / "dataset" / "mean_std.npz") as content:
            arrays = dict(content)
        np.savez(work / "other.npz", **(arrays | {name: arrays[name] + 1}))

    return arrange


WEIGHTS = "models/param/2.pdparams"
TRAIN_MANIFEST = "dataset/manifest.train"

MISTAKES: dict[str, Mistake] = {
    # What is not there
    "no annotation": Mistake(
        ("tools/create_manifest.py",), ("dataset/annotation",), removed("dataset/annotation")
    ),
    "an empty annotation folder": Mistake(
        ("tools/create_manifest.py", "--annotation_path=conf/none"),
        ("conf/none", "no file"),
        lambda work: (work / "conf" / "none").mkdir(),
    ),
    "annotation of recordings that are not there": Mistake(
        ("tools/create_manifest.py", "--annotation_path=a.txt"),
        ("a.txt", "no line in it can be used", "gone.wav"),
        written("a.txt", "gone.wav\t你好\n"),
    ),
    "vocabulary of no manifest": Mistake(
        ("tools/build_vocab.py", "--manifest_paths=no.train"), ("no.train", "create_manifest.py")
    ),
    "statistics of no manifest": Mistake(
        ("tools/compute_mean_std.py", "--manifest_path=no.train"),
        ("no.train", "create_manifest.py"),
    ),
    "a corpus of no text": Mistake(
        ("tools/generate_corpus.py", "--output_dir=new", "--text=no.txt"), ("no.txt",)
    ),
    "curves of no run": Mistake(("tools/plot_curves.py", "--log_dir=no"), ("no:", "train.py")),
    "a quickstart with no data": Mistake(("tools/quickstart.py", "--data=no"), ("no:",)),
    "training with no vocabulary": Mistake(
        TRAIN, ("zh_vocab.txt", "build_vocab.py"), removed("dataset/zh_vocab.txt")
    ),
    "training with no statistics": Mistake(
        TRAIN, ("mean_std.npz", "compute_mean_std.py"), removed("dataset/mean_std.npz")
    ),
    "training with no manifest": Mistake(
        TRAIN, ("manifest.train", "create_manifest.py"), removed(TRAIN_MANIFEST)
    ),
    "training with no test manifest": Mistake(
        TRAIN, ("manifest.test",), removed("dataset/manifest.test")
    ),
    "training with no augmentation file": Mistake(
        (*TRAIN, "--augment_conf_path=no.json"), ("no.json", "--augment_conf_path=None")
    ),
    "resuming from nothing": Mistake(
        (*TRAIN, "--resume_model=models/param/9.pdparams"), ("models/param/9.pdparams",)
    ),
    "pretrained on nothing": Mistake((*TRAIN, "--pretrained_model=no"), ("no.pdparams",)),
    "evaluating nothing": Mistake(("eval.py", CPU), ("models/param/50.pdparams", "not found")),
    "evaluating on nothing": Mistake((*EVAL, "--test_manifest=no.test"), ("no.test",)),
    "transcribing with no model": Mistake(
        ("infer.py", "--audio_path", "clip.wav"), ("models/param/50.pdparams", "not found")
    ),
    "transcribing nothing": Mistake(("infer.py", MODEL, CPU), ("--audio_path",)),
    "transcribing an empty folder": Mistake(
        ("infer.py", MODEL, CPU, "--audio_path", "clip.wav", "conf"), ("conf: no recording",)
    ),
    "no configuration": Mistake(("train.py", "-C", "no.json5"), ("no.json5",)),
    # What makes no sense
    "a configuration that is none": Mistake(
        ("train.py", "-C", "bad.json5"), ("bad.json5", "JSON5"), written("bad.json5", "{num_epoch")
    ),
    "a configuration in binary": Mistake(
        ("train.py", "-C", "bad.json5"), ("bad.json5",), written("bad.json5", bytes(range(256)))
    ),
    "a configuration that is a list": Mistake(
        ("train.py", "-C", "bad.json5"), ("bad.json5", "list"), written("bad.json5", "[1]")
    ),
    "a configuration that is a folder": Mistake(("train.py", "-C", "conf"), ("conf",)),
    "a key nobody knows": Mistake(
        ("train.py", "-C", "bad.json5"),
        ("bad.json5", "lerning_rate", "learning_rate"),
        written("bad.json5", "{lerning_rate: 1e-3}"),
    ),
    "a value of the wrong type in a configuration": Mistake(
        ("train.py", "-C", "bad.json5"),
        ("bad.json5", "batch_size", "many"),
        written("bad.json5", '{batch_size: "many"}'),
    ),
    "text for a number": Mistake(("train.py", "--num_epoch=many"), ("--num_epoch", "many")),
    "half a batch": Mistake(("train.py", "--batch_size=1.5"), ("--batch_size", "1.5")),
    "no batch": Mistake(("train.py", "--batch_size=0"), ("--batch_size", "at least 1")),
    "endless epochs": Mistake(("train.py", "--num_epoch=inf"), ("--num_epoch", "inf")),
    "perhaps": Mistake(("train.py", "--use_gpu=perhaps"), ("--use_gpu", "perhaps")),
    "no such feature": Mistake(("train.py", "--feature_type=mel"), ("--feature_type", "fbank")),
    "None where a value is needed": Mistake(("train.py", "--seed=None"), ("--seed", "None")),
    "no value": Mistake(("train.py", "--seed"), ("--seed",)),
    "no such decoder": Mistake(
        (*EVAL, "--decoding_method=ctc_beam_search"), ("ctc_beam_search", "ctc_greedy")
    ),
    "two ways to start": Mistake(
        (*TRAIN, MODEL, "--pretrained_model=models/param/1.pdparams"),
        ("--resume_model", "--pretrained_model"),
    ),
    "an effect nobody knows": Mistake(
        (*TRAIN, "--augment_conf_path=bad.json"),
        ("bad.json", "echo"),
        written("bad.json", '[{"type": "echo", "params": {}, "prob": 1}]'),
    ),
    "durations that none has": Mistake(
        (*TRAIN, "--min_duration=15"), ("manifest.train", "--min_duration")
    ),
    # What is broken
    "an empty training manifest": Mistake(
        TRAIN, ("manifest.train", "create_manifest.py"), written(TRAIN_MANIFEST, "")
    ),
    "an empty test manifest": Mistake(
        EVAL, ("manifest.test", "create_manifest.py"), written("dataset/manifest.test", "")
    ),
    **{
        f"a broken line: {command[0]}": Mistake(
            command, (f"{manifest}:2", "JSON"), broken_line(manifest)
        )
        for command, manifest in (
            (("tools/build_vocab.py",), TRAIN_MANIFEST),
            (("tools/compute_mean_std.py",), TRAIN_MANIFEST),
            (TRAIN, TRAIN_MANIFEST),
            (EVAL, "dataset/manifest.test"),
        )
    },
    "a broken manifest of noises": Mistake(
        TRAIN, ("manifest.noise:2", "JSON"), broken_line("dataset/manifest.noise")
    ),
    "a vocabulary of nothing": Mistake(
        TRAIN, ("zh_vocab.txt", "build_vocab.py"), written("dataset/zh_vocab.txt", "")
    ),
    "a vocabulary of other characters": Mistake(
        TRAIN, ("manifest.train", "vocabulary"), written("dataset/zh_vocab.txt", "<blank>\n龘\n")
    ),
    "statistics cut off": Mistake(
        TRAIN, ("mean_std.npz", "compute_mean_std.py"), cut("dataset/mean_std.npz")
    ),
    "statistics that are text": Mistake(
        TRAIN, ("mean_std.npz", "compute_mean_std.py"), written("dataset/mean_std.npz", "text")
    ),
    "statistics that are code": Mistake(
        TRAIN, ("mean_std.npz", "compute_mean_std.py"), object_arrays
    ),
    "statistics of other features": Mistake(
        (*TRAIN, "--feature_type=mfcc"), ("mean_std.npz", "feature_type", "fbank", "mfcc")
    ),
    "statistics of other bands": Mistake(
        (*TRAIN, "--num_mel_bins=24"), ("mean_std.npz", "num_mel_bins", "16", "24")
    ),
    **{
        f"weights cut off: {command[0]}": Mistake(command, (WEIGHTS, "damaged"), cut(WEIGHTS))
        for command in ((*TRAIN, MODEL), EVAL, INFER)
    },
    "lone weights cut off": Mistake(
        (*TRAIN, "--pretrained_model=50.pdparams"),
        ("50.pdparams", "damaged"),
        written("50.pdparams", b"\x80\x04}q\x00"),
    ),
    "an optimizer cut off": Mistake(
        (*TRAIN, MODEL), ("2.pdopt", "SHA-256"), cut("models/param/2.pdopt")
    ),
    "a description cut off": Mistake((*TRAIN, MODEL), ("2.json",), cut("models/param/2.json")),
    **{
        f"no {key} in the description": Mistake(EVAL, ("2.pdparams", key), info_without(key))
        for key in ("vocabulary", "features", "network")
    },
    "resuming without a place": Mistake(
        (*TRAIN, MODEL, *DEV),
        ("2.pdparams", "progress", "--pretrained_model"),
        info_without("progress"),
    ),
    "lone weights from inside an epoch": Mistake(
        (*TRAIN, "--resume_model=models/param/1_batch_2.pdparams", *DEV),
        ("1_batch_2.json", "EPOCH.pdparams"),
        removed("models/param/1_batch_2.json"),
    ),
    # What is hostile
    **{
        f"weights that are code: {command[0]}": Mistake(
            command, ("refused",), malicious("models/evil/50.pdparams")
        )
        for command in (
            (*TRAIN, "--resume_model=models/evil/50.pdparams"),
            (*TRAIN, "--pretrained_model=models/evil/50.pdparams"),
            ("eval.py", CPU, "--resume_model=models/evil/50.pdparams"),
            ("infer.py", CPU, "--resume_model=models/evil/50.pdparams", "--audio_path", "clip.wav"),
        )
    },
    # What does not belong together
    "the vocabulary of another model": Mistake(
        (*EVAL, "--vocab_path=other.txt"), ("other.txt", "您"), other_vocabulary
    ),
    **{
        f"the {name} of another model": Mistake(
            (*EVAL, "--mean_std_path=other.npz"),
            ("other.npz", "2.pdparams", f"{name} of bin"),
            other_statistics(name),
        )
        for name in ("mean", "std")
    },
    "sizes of another model": Mistake(
        (*TRAIN, MODEL, "--rnn_layer_size=32"), ("--rnn_layer_size=32", "2.pdparams", "16")
    ),
    "sizes of another model for lone weights": Mistake(
        (*EVAL, *SIZES, "--rnn_layer_size=32", *FILES),
        ("2.pdparams", "rnn"),
        removed("models/param/2.json"),
    ),
    "lone weights and nothing else": Mistake(
        EVAL, ("2.pdparams", "--vocab_path", "--mean_std_path"), removed("models/param/2.json")
    ),
    # Where nothing can be written
    "models into a file": Mistake(
        (*TRAIN, "--output_model_dir=taken"), ("taken",), in_its_place("taken")
    ),
    "curves into a file": Mistake((*TRAIN, "--log_dir=taken"), ("taken",), in_its_place("taken")),
    "results into a file": Mistake(
        (*EVAL, "--result_path=taken/eval.txt"), ("taken",), in_its_place("taken")
    ),
    "manifests into a file": Mistake(
        ("tools/create_manifest.py", "--manifest_prefix=taken/manifest."),
        ("taken",),
        in_its_place("taken"),
    ),
    "a vocabulary into a file": Mistake(
        ("tools/build_vocab.py", "--vocab_path=taken/v.txt"), ("taken",), in_its_place("taken")
    ),
    "statistics into a file": Mistake(
        ("tools/compute_mean_std.py", "--output_path=taken/m.npz"),
        ("taken",),
        in_its_place("taken"),
    ),
    "a picture into a file": Mistake(
        ("tools/plot_curves.py", "--output_path=taken/c.png"), ("taken",), in_its_place("taken")
    ),
    "a corpus into a file": Mistake(
        ("tools/generate_corpus.py", "--output_dir=taken"), ("taken",), in_its_place("taken")
    ),
    "a quickstart into a file": Mistake(
        ("tools/quickstart.py", "--output_dir=taken"), ("taken",), in_its_place("taken")
    ),
}


@dataclass(frozen=True)
class Answer:
    """What a command said to a mistake, and the files before and after."""

    ran: Ran
    before: dict[str, str]
    after: dict[str, str]


@pytest.fixture(scope="module")
def answers(trained: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """Every mistake, made in a copy of the trained folder; one on each core at a time."""
    folder = tmp_path_factory.mktemp("mistakes")

    def make(numbered: tuple[int, Mistake]) -> Answer:
        number, mistake = numbered
        work = trained.copy(folder / str(number))
        (work / "clip.wav").write_bytes(b"never read")
        mistake.arrange(work)
        before = work.content()
        ran = work.run(*mistake.command, code=None)
        (work / "dataset" / "manifest.skipped.txt").unlink(missing_ok=True)  # names what is wrong
        return Answer(ran, before, work.content())

    with ThreadPoolExecutor(available_cores()) as pool:
        made = pool.map(make, enumerate(MISTAKES.values()))
        return dict(zip(MISTAKES, made, strict=True))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(answers: dict[str, Answer], name: str) -> None:
    answer = answers[name]
    assert answer.ran.code == 2, answer.ran
    assert len(answer.ran.err) == 1, answer.ran.err
    assert answer.ran.err[0].startswith("error: ")
    for part in MISTAKES[name].named:
        assert part in answer.ran.err[0]
    assert answer.after == answer.before, "something was written, or run"


@pytest.mark.parametrize(
    "script",
    [
        *("train.py", "eval.py", "infer.py"),
        *sorted(f"tools/{path.name}" for path in (HOME / "tools").glob("*.py")),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest(work: Workspace, script: str) -> None:
    known = {"train.py": "num_epoch", "eval.py": "batch_size", "infer.py": "audio_path"}
    right = known.get(script, "output_dir" if "quickstart" in script else "config")
    ran = work.run(script, f"--{right}s=1", code=2)
    assert len(ran.err) == 1 and ran.err[0].startswith(f"error: unknown option --{right}s")
    assert f"did you mean --{right}?" in ran.err[0]


def test_one_bad_recording_does_not_cost_the_others(copied: Workspace) -> None:
    lines = (copied / "dataset" / "manifest.test").read_text(encoding="utf-8").splitlines()
    first, last = (json.loads(line)["audio_filepath"] for line in (lines[0], lines[-1]))
    (copied / "text.wav").write_text("这不是录音。")
    soundfile.write(copied / "short.wav", 0.1 * np.ones(100), 16000)
    soundfile.write(copied / "silent.wav", np.zeros(16000), 16000)
    files = (first, "text.wav", "missing.wav", "short.wav", "silent.wav", last)
    ran = copied.run("infer.py", MODEL, CPU, "--json", "--audio_path", *files, code=2)
    answers = {answer["audio"]: answer for answer in map(json.loads, ran.out)}
    assert list(answers) == list(files)
    assert [name for name, answer in answers.items() if "text" in answer] == [first, last]
    assert answers["missing.wav"] == {"audio": "missing.wav", "error": "file not found"}
    assert all("text" in answer or "error" in answer for answer in answers.values())
    assert ran.err == [
        "error: text.wav: not audio that libsndfile can read",
        "error: missing.wav: file not found",
        "error: short.wav: too short: 0.006 s, one frame takes 0.020 s",
        "error: silent.wav: silent (-inf dBFS, speech lies above -80)",
    ]


def test_a_folder_stands_for_the_recordings_in_it(copied: Workspace) -> None:
    lines = (copied / "dataset" / "manifest.test").read_text(encoding="utf-8").splitlines()
    first, last = (json.loads(line)["audio_filepath"] for line in (lines[0], lines[-1]))
    (copied / "mine" / "deeper").mkdir(parents=True)
    shutil.copy(copied / first, copied / "mine" / "deeper" / "b.wav")
    (copied / "mine" / "README").write_text("no recording")
    one = copied.run("infer.py", MODEL, CPU, "--audio_path", "mine")
    assert [line.partition(": ")[0] for line in one.out] == ["mine/deeper/b.wav"]
    shutil.copy(copied / first, copied / "mine" / "c.wav")
    ran = copied.run("infer.py", MODEL, CPU, "--json", "--audio_path", last, "mine/")
    heard = [json.loads(line)["audio"] for line in ran.out]
    assert heard == [last, "mine/c.wav", "mine/deeper/b.wav"]


def test_json_lines_stay_json_where_the_terminal_knows_no_chinese(
    copied: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (copied / "dataset" / "manifest.test").read_text(encoding="utf-8").splitlines()[0]
    first = json.loads(line)["audio_filepath"]
    names = ["café.wav", "你好😀.wav"]
    for name in names:
        shutil.copy(copied / first, copied / name)
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    # Given twice the option takes both.
    ran = copied.run("infer.py", MODEL, CPU, "--json", *(f"--audio_path={name}" for name in names))
    assert all(line.isascii() for line in ran.out)
    assert [json.loads(line)["audio"] for line in ran.out] == names
