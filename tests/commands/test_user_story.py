"""The commands users know, with all defaults but --num_epoch, and what they print line by line."""

import json
import re
import shutil
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from workspace import Ran, Workspace, annotation_lines

# As users quote it (CONTRACT.md), without the greetings of Paddle's C++ side.
QUOTED_TABLE = """\
-----------  Configuration Arguments -----------
augment_conf_path: ./conf/augmentation.json
batch_size: 32
learning_rate: 0.0001
max_duration: 20.0
mean_std_path: ./dataset/mean_std.npz
min_duration: 0.0
num_conv_layers: 2
num_epoch: 50
num_rnn_layers: 3
output_model_dir: ./models/param
pretrained_model: None
resume_model: None
rnn_layer_size: 1024
shuffle_method: batch_shuffle_clipped
test_manifest: ./dataset/manifest.test
test_off: False
train_manifest: ./dataset/manifest.train
use_gpu: True
vocab_path: ./dataset/zh_vocab.txt
------------------------------------------------""".splitlines()
QUOTED_NOISE = "dataset/manifest.noise不存在，已经忽略噪声增强操作！"
QUOTED_COUNT = "[2021-08-31 22:40:36.473431] 训练数据数量：102394"
QUOTED_TRAIN = (
    "Train [2021-08-31 22:40:41.633553] epoch: [1/50], batch: [0/1599], "
    "learning rate: 0.00020000, train loss: 2053.378662, eta: 3 days, 8:51:04"
)
QUOTED_INFERENCE = "消耗时间：132ms, 识别结果: 近几年不但我用书给女儿压岁, 得分: 94"
# And as this package adds to them.
QUOTED_SCORE = "cer: 0.03125 (errors 20 / 640: sub 12, del 5, ins 3)"
QUOTED_TEST = f"Test [2021-08-31 22:40:41.633553] epoch: [1/50], {QUOTED_SCORE}"


FREE = (
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}",
    r"(?:\d+ days?, )?\d{1,2}:\d\d:\d\d",
    r"\d+\.\d+",
    r"\d+",
    r"近几年不但我用书给女儿压岁",
)
"""What differs from line to line: time, time left, fraction, number, what was recognised."""


def form_of(quoted: str, given: Mapping[str, str] | None = None) -> str:
    """A quoted line as a regular expression: `given` pieces exactly so, what is FREE free."""
    given = given or {}
    form, end = "", 0
    for piece in re.finditer("|".join([*map(re.escape, given), *FREE]), quoted):
        form += re.escape(quoted[end : piece.start()]) + _form_of_piece(piece[0], given)
        end = piece.end()
    return form + re.escape(quoted[end:])


def _form_of_piece(piece: str, given: Mapping[str, str]) -> str:
    if piece in given:
        return re.escape(given[piece])
    stamp, left, fraction, number, _ = FREE
    if re.fullmatch(fraction, piece):
        return rf"\d+\.\d{{{len(piece.partition('.')[2])}}}"  # as many digits as users know
    return next((free for free in (stamp, left, number) if re.fullmatch(free, piece)), ".*")


def test_the_forms_fit_what_they_were_made_of_and_nothing_else() -> None:
    for line in (QUOTED_COUNT, QUOTED_TRAIN, QUOTED_TEST, QUOTED_INFERENCE, QUOTED_SCORE):
        assert re.fullmatch(form_of(line), line), form_of(line)
        assert not re.fullmatch(form_of(line), line[:-1] + "x")
    later = QUOTED_TRAIN.replace("3 days, 8:51:04", "12:59:38").replace("2053.37", "86.37")
    assert re.fullmatch(form_of(QUOTED_TRAIN), later)
    assert re.fullmatch(form_of(QUOTED_TRAIN, {"0/1599": "0/1599"}), later)
    assert not re.fullmatch(form_of(QUOTED_TRAIN, {"0/1599": "0/6"}), later)
    assert not re.fullmatch(form_of(QUOTED_TRAIN), later.replace("86.37", "86.7"))


@dataclass(frozen=True)
class Story:
    """What each command said."""

    work: Workspace
    preparation: list[Ran]
    first: Ran
    resumed: Ran
    evaluation: Ran
    inference: Ran


@pytest.fixture(scope="module")
def story(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """All of it once: the network of the defaults is large, so six batches must do."""
    work = Workspace(tmp_path_factory.mktemp("story") / "work")
    (work / "dataset").mkdir()
    (work / "dataset" / "annotation").symlink_to(corpus / "annotation")
    (work / "dataset" / "audio").mkdir()
    for split in ("train", "dev", "test"):  # and no noise
        (work / "dataset" / "audio" / split).symlink_to(corpus / "audio" / split)
    tools = ("create_manifest", "build_vocab", "compute_mean_std")
    preparation = [work.run(f"tools/{tool}.py") for tool in tools]
    first = work.run("train.py", "--num_epoch=1")
    resumed = work.run("train.py", "--resume_model=models/param/1.pdparams", "--num_epoch=2")
    model = "--resume_model=models/param/2.pdparams"
    clip = next(iter(annotation_lines(corpus / "annotation" / "test.txt", Path("dataset"), 1)))
    evaluation = work.run("eval.py", model, "--test_manifest=dataset/manifest.test")
    inference = work.run("infer.py", model, "--audio_path", clip)
    yield Story(work, preparation, first, resumed, evaluation, inference)
    shutil.rmtree(work / "models")  # gigabytes


def test_preparation_writes_what_training_reads(story: Story) -> None:
    for name in ("manifest.train", "manifest.dev", "manifest.test", "zh_vocab.txt", "mean_std.npz"):
        assert (story.work / "dataset" / name).stat().st_size > 0
    line = (story.work / "dataset" / "manifest.train").read_text(encoding="utf-8").splitlines()[0]
    record = json.loads(line)
    assert list(record) == ["audio_filepath", "duration", "text", "speaker"]
    assert record["audio_filepath"].startswith("dataset/audio/train/")
    assert "written: dataset/manifest.dev dataset/manifest.test dataset/manifest.train" in (
        story.preparation[0].out
    )
    assert (
        (story.work / "dataset" / "zh_vocab.txt")
        .read_text(encoding="utf-8")
        .startswith("<blank>\t-1\n")
    )


@pytest.mark.parametrize("epoch", [1, 2])
def test_the_table_is_the_one_users_know(story: Story, epoch: int) -> None:
    out = (story.first if epoch == 1 else story.resumed).out
    table = out[: out.index(QUOTED_TABLE[-1]) + 1]
    assert (table[0], table[-1]) == (QUOTED_TABLE[0], QUOTED_TABLE[-1])
    names = [line.partition(": ")[0] for line in table[1:-1]]
    assert names == sorted(names) and len(set(names)) == len(names)
    changed = {"num_epoch": str(epoch), "resume_model": "models/param/1.pdparams"}
    for line in QUOTED_TABLE[1:-1]:
        name = line.partition(": ")[0]
        given = name in ("num_epoch",) or (name == "resume_model" and epoch == 2)
        assert (f"{name}: {changed[name]}" if given else line) in table


def log_behind_the_table(ran: Ran) -> list[str]:
    return ran.out[ran.out.index(QUOTED_TABLE[-1]) + 1 :]


def match(lines: list[str], forms: list[str]) -> None:
    for line, form in zip(lines, forms, strict=True):
        assert re.fullmatch(form, line), (line, form)


def test_the_log_is_the_one_users_know_line_by_line(story: Story) -> None:
    # One device prints the learning rate itself; 104 clips are 3 whole batches of 32.
    first_batch = {"1/50": "1/1", "0/1599": "0/3", "0.00020000": "0.00010000"}
    match(
        log_behind_the_table(story.first),
        [
            re.escape(QUOTED_NOISE),
            form_of(QUOTED_COUNT, {"102394": "104"}),
            "",
            form_of(QUOTED_TRAIN, first_batch),
            form_of(QUOTED_TEST, {"1/50": "1/1"}),
            r"model: models/param/1\.pdparams",
            r"best: epoch 1, test cer \d+\.\d{5}, kept as models/param/best\.pdparams",
            r"curves: visualdl --logdir=\./log",
        ],
    )


def test_a_resumed_log_goes_on_with_the_next_epoch(story: Story) -> None:
    # The rate is 0.83 of the first epoch's.
    first_batch = {"1/50": "2/2", "0/1599": "0/3", "0.00020000": "0.00008300"}
    match(
        log_behind_the_table(story.resumed),
        [
            re.escape(QUOTED_NOISE),
            form_of(QUOTED_COUNT, {"102394": "104"}),
            "",
            r"resumed: models/param/1\.pdparams, going on with epoch 2, batch 0, "
            r"learning rate 8\.3e-05",
            form_of(QUOTED_TRAIN, first_batch),
            form_of(QUOTED_TEST, {"1/50": "2/2"}),
            r"model: models/param/2\.pdparams",
            r"best: epoch [12], test cer \d+\.\d{5}, kept as models/param/best\.pdparams",
            r"curves: visualdl --logdir=\./log",
        ],
    )


def test_training_says_nothing_else_but_advice(story: Story) -> None:
    for ran in (story.first, story.resumed):
        said = [line.partition(":")[0] for line in ran.err]
        assert said == ["use_gpu", "warning", "padding", "heaviest batch"], ran.err
        assert "going on with the CPU" in ran.err[0] and "--dev_manifest" in ran.err[1]


def test_models_are_kept_by_epoch_as_sets(story: Story) -> None:
    names = {path.name for path in (story.work / "models" / "param").iterdir()}
    assert names == {
        f"{name}.{suffix}"
        for name in ("1", "2", "best")
        for suffix in ("pdparams", "pdopt", "json")
    }


def test_evaluation_ends_with_the_error_rate(story: Story) -> None:
    assert re.fullmatch(form_of(QUOTED_SCORE), story.evaluation.out[-1])
    # The trainer scored the same weights on the same clips, through the same code.
    scored = next(line for line in story.resumed.out if line.startswith("Test "))
    assert scored.endswith(story.evaluation.out[-1])
    results = (story.work / "results" / "eval.txt").read_text(encoding="utf-8").splitlines()
    assert len(results) == 4 * 48


def test_inference_answers_in_the_form_users_know(story: Story) -> None:
    match(story.inference.out, [form_of(QUOTED_INFERENCE)])


def test_visualdl_shows_both_runs(story: Story, visualdl: Callable[[Path], str]) -> None:
    address = visualdl(story.work / "log")
    with urllib.request.urlopen(f"{address}/app/api/tags") as answer:
        tags = json.load(answer)["data"]
    runs = sorted(path.name for path in (story.work / "log").iterdir())
    assert len(runs) == 2
    for run in runs:
        for tag in ("Train loss", "Learning rate", "Test cer"):
            assert tags[f"log/{run}/{tag}"] == "scalar"
    query = urllib.parse.urlencode({"run": f"log/{runs[1]}", "tag": "Learning rate"})
    with urllib.request.urlopen(f"{address}/app/api/scalar/list?{query}") as answer:
        [(_, step, rate)] = json.load(answer)["data"]
    assert step == 4 and rate == pytest.approx(0.83e-4)
