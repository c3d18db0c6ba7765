"""Exports: what is written can be used without Paddle, and agrees with the checkpoint."""

import dataclasses
import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from models import save_models
from tones import Corpus
from workspace import HOME

import infer
import inference
from data_utils.errors import InputError
from data_utils.features import read_features
from data_utils.normalizer import Normalizer
from decoders.greedy import greedy_decode
from inference import Predictor, export, onnx_graph
from inference.loading import load_predictor
from inference.settings import ExportedSettings, FrontEndSettings, ModelSettings, Precision
from model_utils.options import parse
from model_utils.recogniser import Recogniser
from model_utils.runtime import paddle_version
from model_utils.settings import DeviceSettings, NetworkSettings
from model_utils.tasks import recognition
from model_utils.trainer import checkpoint
from tools import export_model

pytestmark = pytest.mark.usefixtures("prepared")

WITHOUT_PADDLE = """
import runpy, sys
sys.modules["paddle"] = None  # importing it is an error now
runpy.run_path({!r}, run_name="__main__")
"""

CPU = DeviceSettings(use_gpu=False, num_threads=1)
PLAIN = DeviceSettings(use_gpu=False, num_threads=1, engine="plain")


@pytest.fixture
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus(["一", "二三"])


@pytest.fixture
def model(corpus: Corpus) -> Path:
    return save_models(corpus) / "recogniser" / "1.pdparams"


@pytest.fixture
def exported(model: Path, tmp_path: Path) -> Path:
    return write(model, tmp_path / "export")


def write(
    model: Path, folder: Path, precision: Precision = "float32", paddle_format: bool = False
) -> Path:
    saved = checkpoint.load(model, optimizer=False)
    recogniser = Recogniser.of(saved.info or {}, str(model))
    export.write(saved, recogniser, folder, precision, paddle_format)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def heard(corpus: Corpus) -> str:
    return json.loads(Path(corpus.manifest).read_text("utf-8").splitlines()[0])["audio_filepath"]


def test_checkpoint_export_and_plain_engine_agree(model: Path, exported: Path) -> None:
    """The default engine and the switch that turns it off give the same numbers."""
    predictors = [Predictor(model, CPU), Predictor(exported, CPU), Predictor(model, PLAIN)]
    bins = predictors[0].recogniser.num_bins
    features = np.random.default_rng(0).standard_normal((2, 50, bins)).astype(np.float32)
    fast, from_disk, plain = (p.outputs(features, np.array([50, 31])) for p in predictors)
    for found in (fast, from_disk):
        assert found.frames.tolist() == plain.frames.tolist()
        for row, count in enumerate(plain.frames):
            assert np.allclose(
                found.log_probs[row, :count], plain.log_probs[row, :count], atol=1e-4
            )


def lack(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """Importing it is an error from now on, for what was imported already too."""
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, "inference.onnx_graph", raising=False)
    monkeypatch.delattr(inference, "onnx_graph", raising=False)


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_the_switch_reaches(library: str, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lack(monkeypatch, library)
    Predictor(model, PLAIN)
    cure = f"cannot be imported .*{library}.*pip install onnx onnxruntime .*--engine=plain"
    with pytest.raises(InputError, match=cure):
        Predictor(model, CPU)


def test_without_onnx_nothing_is_exported(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(monkeypatch, "onnx")
    with pytest.raises(InputError, match="pip install onnx onnxruntime"):
        write(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_without_paddle(model: Path, corpus: Corpus, tmp_path: Path) -> None:
    """Exported, and transcribed from the export and from the checkpoint: Paddle is not there."""
    folder = tmp_path / "new" / "export"
    texts = []
    for command in (
        ["tools/export_model.py", f"--resume_model={model}", f"--output_dir={folder}"],
        ["infer.py", f"--model_dir={folder}", "--audio_path", heard(corpus), "--json"],
        ["infer.py", f"--resume_model={model}", "--audio_path", heard(corpus), "--json"],
        [
            *("eval.py", f"--model_dir={folder}", f"--test_manifest={corpus.manifest}"),
            f"--result_path={tmp_path / 'eval.txt'}",
        ],
    ):
        program = WITHOUT_PADDLE.format(str(HOME / command[0]))
        ran = subprocess.run(
            [sys.executable, "-c", program, *command[1:]],
            env={**os.environ, "PYTHONPATH": str(HOME)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        texts.append(ran.stdout)
    assert json.loads(texts[1])["text"] == json.loads(texts[2])["text"]
    assert texts[0].splitlines()[0].startswith(f"written: {folder / 'model.json'}, ")
    assert "cer: " in texts[3]


def test_int8_is_a_quarter_of_the_size(model: Path, tmp_path: Path) -> None:
    saved = checkpoint.load(model, optimizer=False)
    described = Predictor(saved, CPU).recogniser
    network = NetworkSettings(num_conv_layers=1, conv_channels=2, rnn_layer_size=64)
    large = checkpoint.Checkpoint(saved.path, {}, None, saved.info)
    described = dataclasses.replace(described, network=network)
    drawn = np.random.default_rng(0)
    large.weights.update(
        {
            name: np.abs(drawn.standard_normal(shape)).astype(np.float32)
            for name, shape in onnx_graph.shapes(described).items()
        }
    )
    sizes = []
    for precision in ("float32", "int8"):
        export.write(large, described, tmp_path / precision, precision)
        sizes.append((tmp_path / precision / export.GRAPH).stat().st_size)
    assert sizes[1] < 0.35 * sizes[0]


def test_what_is_damaged_is_refused(exported: Path) -> None:
    graph = exported / export.GRAPH
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + b"?")
    with pytest.raises(InputError, match=r"model\.onnx: does not belong to model\.json"):
        Predictor(exported, CPU)
    graph.unlink()
    with pytest.raises(InputError, match=r"model\.onnx: file not found; .*export_model"):
        Predictor(exported, CPU)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"export": 2}'])
def test_another_description_is_refused(exported: Path, text: str) -> None:
    (exported / export.DESCRIPTION).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"model\.json: .*export the model again"):
        Predictor(exported, CPU)


def test_nobodys_file_is_replaced(model: Path, exported: Path) -> None:
    write(model, exported, "int8")  # an export is
    own = exported / export.DESCRIPTION
    own.write_text('{"mine": 1}', encoding="utf-8")
    with pytest.raises(InputError, match=r"model\.json"):
        write(model, exported)
    assert own.read_text("utf-8") == '{"mine": 1}'


@pytest.mark.parametrize("name", ["model.onnx", "inference.pdiparams"])
def test_a_file_that_no_description_names_stays(name: str, model: Path, tmp_path: Path) -> None:
    own = tmp_path / name
    own.write_bytes(b"mine")
    with pytest.raises(InputError, match=f"{name}: stands there and no model.json"):
        write(model, tmp_path, paddle_format=True)
    if name != export.GRAPH:  # not in the way without Paddle's format, of an export over one too
        write(model, write(model, tmp_path))
    assert own.read_bytes() == b"mine"


def test_an_export_takes_the_place_of_an_earlier_one(model: Path, tmp_path: Path) -> None:
    folder = write(model, tmp_path / "export", "int8", paddle_format=True)
    found = contents(folder)
    files = json.loads(found.pop(export.DESCRIPTION))["files"]
    assert files == {name: hashlib.sha256(found[name]).hexdigest() for name in found}
    assert len(found) == 3 and export.GRAPH in found
    own = {"inference.txt": b"mine", "inference.pdmodel.old": b"mine"}
    for name, content in own.items():
        (folder / name).write_bytes(content)
    write(model, folder)
    assert contents(folder).keys() == {export.DESCRIPTION, export.GRAPH, *own}
    Predictor(folder, CPU)


@pytest.mark.parametrize("full", ["graph", "Paddle's files"])
def test_a_full_disk_leaves_the_earlier_export(
    full: str, model: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(exported)

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if full == "graph":
        monkeypatch.setattr(Path, "write_bytes", no_space)
    else:
        monkeypatch.setattr(recognition, "save_for_inference", no_space)
    with pytest.raises(InputError, match=r"export: the export .*No space left.*make room"):
        write(model, exported, "int8", paddle_format=full != "graph")
    assert contents(exported) == before


def test_without_paddle_its_format_is_refused(model: Path, exported: Path) -> None:
    before = contents(exported)
    for folder in (exported, exported.with_name("new")):
        program = WITHOUT_PADDLE.format(str(HOME / "tools" / "export_model.py"))
        options = [f"--resume_model={model}", f"--output_dir={folder}", "--paddle_format"]
        ran = subprocess.run(
            [sys.executable, "-c", program, *options],
            env={**os.environ, "PYTHONPATH": str(HOME)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 2 and "PaddlePaddle is not installed" in ran.stderr
    assert contents(exported) == before
    assert not exported.with_name("new").exists()


def test_weights_that_do_not_fit_are_refused(model: Path, tmp_path: Path) -> None:
    saved = checkpoint.load(model, optimizer=False)
    recogniser = Predictor(saved, CPU).recogniser
    for change, message in (
        ({"output.bias": np.zeros(99, np.float32)}, r"output\.bias is \[99\]"),
        ({"another": np.zeros(1, np.float32)}, "'another' has no place"),
    ):
        other = checkpoint.Checkpoint(saved.path, {**saved.weights, **change}, None, saved.info)
        with pytest.raises(InputError, match=message):
            export.write(other, recogniser, tmp_path, "float32")
    twice = "rnn.layers.0.0.cell_fw.weight_ih"  # as packages on Paddle save it
    other = checkpoint.Checkpoint(saved.path, {**saved.weights, twice: np.ones(1)}, None, None)
    export.write(other, recogniser, tmp_path, "float32")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--resume_model=a", "leave one of it and --resume_model out"),
        ("--engine=plain", "Paddle does not run exports"),
        ("--use_gpu=True", "exports run on the CPU"),
        ("--rnn_layer_size=99", "was trained with 4"),
    ],
)
def test_options_that_contradict_an_export(exported: Path, given: str, message: str) -> None:
    settings = [ModelSettings, ExportedSettings, FrontEndSettings, NetworkSettings]
    settings += [infer.FeatureSettings, DeviceSettings]
    with pytest.raises(InputError, match=message):
        load_predictor(parse("infer.py", settings, [f"--model_dir={exported}", given]))


def test_an_export_stands_behind_a_front_end(model: Path, exported: Path, corpus: Corpus) -> None:
    settings = [ModelSettings, ExportedSettings, FrontEndSettings, NetworkSettings]
    settings += [infer.FeatureSettings, DeviceSettings]
    front = f"--frontend={model.parents[1] / 'enhancer' / '1'}"
    options = (f"--model_dir={exported}", f"--resume_model={model}")
    gpu = "--use_gpu=True"  # which the front end would use
    found = [load_predictor(parse("infer.py", settings, [o, front, gpu])) for o in options]
    texts = [predictor.transcribe(heard(corpus)) for predictor in found]
    assert texts[0].text == texts[1].text
    assert texts[0].confidence == pytest.approx(texts[1].confidence, abs=1e-4)


def test_a_model_trained_behind_a_front_end_stays_a_checkpoint(model: Path, tmp_path: Path) -> None:
    recogniser = Predictor(model, CPU).recogniser
    recogniser = dataclasses.replace(recogniser, front_end=cast(Any, object()))
    with pytest.raises(InputError, match="trained behind a front end"):
        export.write(
            checkpoint.load(model, optimizer=False), recogniser, tmp_path / "new", "float32"
        )
    assert not (tmp_path / "new").exists()


def test_main_names_what_it_wrote(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = [f"--resume_model={model}", f"--output_dir={tmp_path / 'e'}", "--precision=int8"]
    monkeypatch.setattr(sys, "argv", ["export_model.py", *argv])
    export_model.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(", ")[0] for line in lines] == [
        f"written: {tmp_path / 'e' / name}" for name in (export.DESCRIPTION, export.GRAPH)
    ]
    info = json.loads((tmp_path / "e" / export.DESCRIPTION).read_text("utf-8"))
    assert (info["precision"], info["epoch"]) == ("int8", 1)


@pytest.mark.parametrize("given", ["vocab_path", "mean_std_path"])
def test_main_compares_what_is_given(
    given: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the checkpoint carries, as infer.py and eval.py do."""
    carried = Recogniser.of(checkpoint.load(model, optimizer=False).info or {}, str(model))
    other = tmp_path / "other"
    if given == "vocab_path":
        tokens = (*carried.vocabulary.tokens, "百")
        other.write_text("".join(f"{token}\t1\n" for token in tokens), encoding="utf-8")
    else:
        Normalizer(carried.normalizer.mean + 1, carried.normalizer.std).save(other)
    argv = [f"--resume_model={model}", f"--output_dir={tmp_path / 'e'}", f"--{given}={other}"]
    monkeypatch.setattr(sys, "argv", ["export_model.py", *argv])
    with pytest.raises(InputError, match=rf"other: not the .* of .*1\.pdparams: .*--{given} out"):
        export_model.main()
    assert not (tmp_path / "e").exists()


PADDLE_READS = """
import sys
import numpy as np
import paddle
network = paddle.jit.load(sys.argv[1])
network.eval()
for number in range(2):
    given = np.load(f"given{number}.npz")
    log_probs, frames = network(*(paddle.to_tensor(given[key]) for key in ("features", "frames")))
    np.savez(f"found{number}.npz", log_probs=log_probs.numpy(), frames=frames.numpy())
"""


def test_paddle_reads_its_own_format(model: Path, tmp_path: Path) -> None:
    """Both in processes of their own: oneDNN, which is on in this one, cannot run the program."""
    folder, engine = tmp_path / "export", Predictor(model, PLAIN).outputs
    bins = Predictor(model, PLAIN).recogniser.num_bins
    wanted = []
    for number, lengths in enumerate(((50,), (31, 17, 9))):
        shape = (len(lengths), max(lengths), bins)
        features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        np.savez(tmp_path / f"given{number}.npz", features=features, frames=np.array(lengths))
        wanted.append(engine(features, np.array(lengths)))
    export_it = [str(HOME / "tools" / "export_model.py"), f"--resume_model={model}"]
    for command in (
        [*export_it, f"--output_dir={folder}", "--paddle_format"],
        ["-c", PADDLE_READS, str(folder / export.PADDLE)],
    ):
        ran = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(HOME), "FLAGS_use_mkldnn": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    program = "inference.pdmodel" if paddle_version().split()[1] < "3" else "inference.json"
    assert contents(folder).keys() == {"model.json", "model.onnx", program, "inference.pdiparams"}
    for number, outputs in enumerate(wanted):
        with np.load(tmp_path / f"found{number}.npz") as found:
            assert found["frames"].tolist() == outputs.frames.tolist()
            for row, count in enumerate(outputs.frames):
                assert np.allclose(
                    found["log_probs"][row, :count], outputs.log_probs[row, :count], atol=1e-4
                )


@pytest.mark.parametrize("page", ["export.md", "export.zh.md"])
def test_the_program_on_the_page(
    page: str,
    model: Path,
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It writes what infer.py does, for features of any sound that the model answers to."""
    write(model, tmp_path / "models" / "infer")
    monkeypatch.chdir(tmp_path)
    text = (HOME / "docs" / page).read_text("utf-8")
    program = text.partition("```python\n")[2].partition("```")[0]
    predictor = Predictor(model, CPU)
    features = read_features(heard(corpus), corpus.features)
    np.save("features.npy", features)
    outputs = predictor.outputs(
        predictor.recogniser.normalizer(features)[np.newaxis], np.array([len(features)])
    )
    wanted = greedy_decode(outputs.log_probs[0, : outputs.frames[0]]).ids
    exec(program, {})
    said = capsys.readouterr().out.rstrip("\n")
    assert said == "".join(predictor.recogniser.vocabulary.tokens[i] for i in wanted)
