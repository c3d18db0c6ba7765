"""tools/quickstart.py from a small folder of recordings to a picture of the curves."""

import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib.image
import pytest
from workspace import Ran, Workspace, digest

from data_utils.workers import available_cores

QUICK = "quickstart/corpus"


@dataclass(frozen=True)
class Quickstart:
    """Its folder, and what it said."""

    work: Workspace
    ran: Ran

    def __truediv__(self, name: str) -> Path:
        return self.work / QUICK / name


@pytest.fixture(scope="module")
def quickstart(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    work = Workspace(tmp_path_factory.mktemp("quickstart") / "work")
    counts = {"train": 48, "dev": 8, "test": 8}
    annotation = work / "corpus" / "annotation"
    annotation.mkdir(parents=True)
    (work / "corpus" / "audio").symlink_to(corpus / "audio")
    for split, count in counts.items():
        lines = (corpus / "annotation" / f"{split}.txt").read_text(encoding="utf-8").splitlines()
        (annotation / f"{split}.txt").write_text("\n".join(lines[:count]), encoding="utf-8")
    # As a user in that folder, who names it by two dots.
    ran = work.run("tools/quickstart.py", "--data=corpus/annotation/..", "--num_epoch=1")
    return Quickstart(work, ran)


def test_it_shows_the_commands_that_a_user_would_type(quickstart: Quickstart) -> None:
    shown = [line.split()[2] for line in quickstart.ran.out if line.startswith("$ python ")]
    tools = ["create_manifest", "build_vocab", "compute_mean_std"]
    assert shown == [
        *(f"tools/{tool}.py" for tool in tools),
        *("train.py", "eval.py", "infer.py", "train.py", "tools/plot_curves.py"),
    ]


def test_it_says_where_the_commands_are_run(quickstart: Quickstart) -> None:
    assert quickstart.ran.out[:2] == [f"in {QUICK}:", ""]


def test_everything_it_names_is_there(quickstart: Quickstart) -> None:
    summary = quickstart.ran.out[quickstart.ran.out.index("") :]
    named = re.findall(
        rf"^(?:.*): (?:source \S+; visualdl --logdir=)?({QUICK}/\S+)$", "\n".join(summary), re.M
    )
    assert {path.removeprefix(f"{QUICK}/") for path in named} == {
        *("models/param/best.pdparams", "models/resumed/2.pdparams"),
        *("results/eval.txt", "curves.png", "dataset", "log"),
    }
    assert all((quickstart.work / path).exists() for path in named)
    models = {path.name for path in (quickstart / "models/param").glob("*.pdparams")}
    assert models == {"1.pdparams", "best.pdparams"}
    assert len(list((quickstart / "log").iterdir())) == 2


def test_it_ends_with_the_test_error_rate(quickstart: Quickstart) -> None:
    [score] = [line for line in quickstart.ran.out if line.startswith("test cer: ")]
    found = re.fullmatch(r"test cer: \d\.\d{5} \(errors \d+ / (\d+): .*\)", score)
    assert found and found[1] == "16", score  # 8 clips of two digits
    assert score.removeprefix("test ") in quickstart.ran.out  # as eval.py said it
    took = [line for line in quickstart.ran.out if line.startswith("took ")]
    [cores] = re.findall(r"^took \d+ s, \d+ CPU seconds on (\d+) cores$", "\n".join(took), re.M)
    assert int(cores) == available_cores(), "which may be fewer than the machine has"
    heard = [line for line in quickstart.ran.out if "识别结果" in line]
    assert len(heard) == 3


def test_the_model_it_names_is_the_one_that_was_scored(quickstart: Quickstart) -> None:
    # Whether the resumed epoch is better or not: it has a folder of its own.
    assert f"model, of epoch 1: {QUICK}/models/param/best.pdparams" in quickstart.ran.out
    assert digest(quickstart / "models/param/best.pdparams") == digest(
        quickstart / "models/param/1.pdparams"
    )


def test_the_curves_are_a_picture(quickstart: Quickstart) -> None:
    picture = matplotlib.image.imread(quickstart / "curves.png")
    assert picture.shape[:2] == (340, 1200) and picture.std() > 0.05
    runs = list((quickstart / "log").glob("*/metrics.jsonl"))
    assert runs and all(run.with_name("curves.png").is_file() for run in runs), "each has its own"


def test_the_data_are_left_as_they_were(quickstart: Quickstart) -> None:
    data = quickstart.work / "corpus"
    assert {path.name for path in data.iterdir()} == {"annotation", "audio"}
    assert {path.name for path in (data / "annotation").iterdir()} == {
        *("train.txt", "dev.txt", "test.txt")
    }


def test_a_folder_without_annotation_is_refused_and_nothing_made(tmp_path: Path) -> None:
    work = Workspace(tmp_path / "work")
    (work / "mine" / "annotation").mkdir(parents=True)
    for data, reason in {
        "conf/": "no annotation/ in it; give a folder laid out so",
        "nowhere": "no such folder; give the one that holds annotation/",
        "mine/annotation": (
            f"this is the annotation itself; give the folder above, {work / 'mine'}"
        ),
    }.items():
        ran = work.run("tools/quickstart.py", f"--data={data}", code=2)
        assert ran.err == [f"error: {data}: {reason}"]
    assert not (work / "quickstart").exists()
