"""The command as a user runs it, at sizes of which nothing follows but that it works."""

import importlib
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from models import save_models
from pages import HOME
from tones import Corpus

from benchmarks import infer, loader, run, scale
from benchmarks.loader import waiting_share
from data_utils.errors import InputError
from model_utils.trainer.runlog import LOSS, WAITING

Command = Callable[..., list[str]]


def refusal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["run.py", *arguments])
    with pytest.raises(InputError) as error:
        run.main()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_features(measured: Command) -> None:
    figures = measured("features", "--peers=False", "--seconds=0", "--clip_seconds=1")
    effects = ("noise", "speed", "shift", "volume", "trim", "resample", "impulse", "specaug")
    assert [figure.split(":")[0] for figure in figures] == [f"effect {name}" for name in effects]


def test_infer(measured: Command) -> None:
    options = ("--peers=False", "--sizes=8", "--clip_seconds=1", "--rounds=1")
    figures = measured("infer", *options)
    assert [figure.split(":")[0] for figure in figures] == [
        f"start-up 8 {way}" for way in ("checkpoint", "export, float32")
    ]


def test_infer_scores_what_a_manifest_names_from_the_users_folder(
    measured: Command, make_corpus: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus(["一二三四", "四三"])
    folder = corpus.folder
    save_models(corpus)
    text = corpus.manifest.read_text(encoding="utf-8")
    corpus.manifest.write_text(text.replace(f"{folder}/", ""), encoding="utf-8")
    monkeypatch.chdir(folder)
    for part in ("_prepare", "_engines", "_start_up"):
        monkeypatch.setattr(infer, part, lambda *_: None)
    before = {path.name for path in folder.iterdir()}
    figures = measured(
        "infer",
        "--peers=False",
        "--model=recogniser/1",
        "--test_manifest=manifest.train",
    )
    assert [figure.split(":")[0] for figure in figures] == [
        *("cer checkpoint, --engine=plain", "cer checkpoint"),
        *("cer export, float32", "cer export, int8"),
    ]
    # An untrained model: whatever it says, the first three compute the same.
    assert len({figure.split(": ")[1] for figure in figures[:3]}) == 1
    assert {path.name for path in folder.iterdir()} - before == {"table.md"}


def test_infer_needs_both_for_error_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "belong together" in refusal(monkeypatch, "infer", "--model=a.pdparams")


def test_scale(measured: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "LARGE", 200)
    figures = measured("scale", "--lines=100,300")
    assert any(figure.startswith("scale 100 lines open to a list: ") for figure in figures)
    assert not any(figure.startswith("scale 300 lines open to a list") for figure in figures)
    assert any(figure.startswith("scale 300 lines to the first batch: ") for figure in figures)


@pytest.fixture
def spoken(make_corpus: Callable[..., Corpus]) -> Path:
    """A folder laid out as a user's, with annotation/ in it."""
    corpus = make_corpus(["一二三四"] * loader.FEWEST)
    annotation = corpus.folder / "annotation"
    annotation.mkdir()
    lines = "".join(f"{number}.wav\t一二三四\n" for number in range(loader.FEWEST))
    (annotation / "train.txt").write_text(lines, encoding="utf-8")
    return corpus.folder


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """One augmentation, one store, no workers: what more of them adds is more of the same."""
    monkeypatch.setattr(loader, "AUGMENTATIONS", {"preset": loader.AUGMENTATIONS["heavy"]})
    monkeypatch.setattr(loader, "DTYPES", ("uint8",))
    monkeypatch.setattr(loader, "READ_DTYPES", ("uint8",))
    monkeypatch.setattr(loader, "WORKERS", (0,))
    monkeypatch.setattr(loader, "EPOCHS", 2)


@pytest.mark.usefixtures("small")
def test_loader(measured: Command, spoken: Path) -> None:
    figures = measured("loader", f"--corpus={spoken}", "--items=48", "--rnn_layer_size=0")
    names = ["loader preset uint8 0 workers epoch 1", "loader preset uint8 0 workers epoch 2"]
    assert [figure.split(":")[0] for figure in figures] == [*names, "store uint8"]


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_loader_with_a_training_on_generated_speech(measured: Command) -> None:
    pytest.importorskip("espeakng_loader")
    figures = measured("loader", "--items=48", "--rnn_layer_size=8")
    waiting = [figure for figure in figures if figure.startswith("waiting preset ")]
    assert [figure.split()[2] for figure in waiting] == ["train", "fast_train"]


def test_waiting_is_weighed_by_the_time_it_is_a_share_of() -> None:
    # 9 s that start everything, then 1 s of which a half was waiting, and 3 s without any.
    log = [(10.0, 0.9), (11.0, 0.5), (14.0, 0.0)]
    rows = [{"tag": WAITING, "time": time, "value": value} for time, value in log]
    rows.insert(1, {"tag": LOSS, "time": 10.0, "value": 3.0})
    assert waiting_share(rows) == pytest.approx(0.5 / 4)
    with pytest.raises(InputError, match="too short"):
        waiting_share(rows[:2])


def test_garbage_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_corpus: Callable[..., Corpus]
) -> None:
    (tmp_path / "foreign.png").write_bytes(b"GIF89a")
    said = {
        "loadr": "no table 'loadr'; did you mean 'loader'?",
        "loader --rounds=0": "must be at least 1",
        "loader --round=1": "did you mean --rounds?",
        "noise --rounds=1": "--rounds",
        "enhancement --rounds=1": "--rounds",
        "infer --sizes=8,8": "--sizes: 8 is named twice; leave one out",
        "infer --sizes=0": "--sizes: numbers above 0 expected",
        "infer --model=no --test_manifest=no": "no.pdparams: file not found",
        "train --sizes=4,5,4": "--sizes: 4 is named twice; leave one out",
        "train --engine=foo": "auto, plain",
        "accuracy --engine=foo": "auto, plain",
        f"accuracy --output_path={tmp_path}/x.png": "the Markdown cannot be the picture too",
        f"accuracy --output_path={tmp_path}/foreign.md": "a file of another kind stands there",
        "loader --items=2": f"must be at least {loader.FEWEST}",
        f"loader --corpus={tmp_path}": "no annotation/ in it",
        f"scale --output_path={tmp_path}": "it is a folder",
        "scale --lines=0,5": "numbers above 0",
        "scale --lines=many": "a whole number expected",
        "scale --lines=999999999999": "GB are needed",
        "features --clip_seconds=nan": "a number expected",
    }
    for arguments, wanted in said.items():
        assert wanted in refusal(monkeypatch, *arguments.split()), arguments


def test_of_files_elsewhere_the_page_has_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = {
        "--models=/home/me/a/1.pdparams,/home/me/b/2.pdparams": "--models=1.pdparams,2.pdparams",
        "--models=a/1.pdparams,/home/me/2.pdparams": "--models=a/1.pdparams,2.pdparams",
        "/home/me/a,/home/you/b": "a,b",
        "/home/my own/noise/": "noise",
        "-C=/home/me/x.json5": "-C=x.json5",
        "--test_snrs=-5,0": "--test_snrs=-5,0",
    }
    monkeypatch.setattr(sys, "argv", ["run.py", "noise", *typed])
    assert shlex.split(run._typed())[2:] == ["noise", *typed.values()]


def test_a_file_of_somebody_elses_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Notes\n", encoding="utf-8")
    assert "another kind" in refusal(monkeypatch, "scale", f"--output_path={path}")
    assert path.read_text(encoding="utf-8") == "# Notes\n"


def test_a_corpus_of_a_few_utterances_is_refused(
    monkeypatch: pytest.MonkeyPatch, spoken: Path
) -> None:
    (spoken / "annotation" / "train.txt").write_text("0.wav\t一二三四\n", encoding="utf-8")
    said = refusal(monkeypatch, "loader", f"--corpus={spoken}", f"--output_path={spoken}/t.md")
    assert said == f"--corpus: 1 utterances to train on; give {loader.FEWEST} or more"
    assert not (spoken / "t.md").exists()


def test_typed_in_a_shell(tmp_path: Path) -> None:
    def typed(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, HOME / "benchmarks" / "run.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    listed = typed()
    assert listed.returncode == 0 and all(f"  {name} " in listed.stdout for name in run.TABLES)
    refused = typed("scale", "--lines=0")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith("error: --lines")


@pytest.mark.parametrize("table", run.TABLES)
def test_every_table_is_a_file_that_the_page_names(table: str) -> None:
    module = importlib.import_module(f"benchmarks.{table}")
    assert callable(module.measure) and module.SETTINGS
    page = (HOME / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert f"python benchmarks/run.py {table}" in page and f"| `{table}` |" in page


@pytest.mark.parametrize("table", run.TABLES)
def test_help_loads_nothing_heavy(table: str) -> None:
    code = (
        "import json, sys, benchmarks.run as run\n"
        f"sys.argv = ['run.py', '{table}', '--help']\n"
        "try:\n    run.main()\nexcept SystemExit:\n    pass\n"
        "names = ('numpy', 'paddle', 'soundfile', 'tqdm')\n"
        "print(json.dumps([name for name in names if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, check=True
    )
    assert "--output_path" in done.stdout
    assert ("--rounds" in done.stdout) == (table not in ("enhancement", "noise"))
    assert json.loads(done.stdout.splitlines()[-1]) == []
