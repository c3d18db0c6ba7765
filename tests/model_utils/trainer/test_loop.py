"""The training loop, on a task that has nothing to do with speech."""

import ast
import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import Tensor
from regression import (
    BATCHES,
    DEVICE,
    PACE,
    SCHEDULE,
    SETTINGS,
    Points,
    Regression,
    metrics,
    run_settings,
    same,
    train,
)

from data_utils.errors import InputError
from model_utils.trainer import checkpoint, schedules
from model_utils.trainer.loop import Trainer
from model_utils.trainer.progress import Progress
from model_utils.trainer.task import Task


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs that was never interrupted."""
    folder = tmp_path_factory.mktemp("finished")
    train(folder)
    return folder


def test_the_trainer_knows_nothing_of_speech() -> None:
    folder = Path(checkpoint.__file__).parent
    allowed = {"data_utils.atomic", "data_utils.errors", "model_utils.runtime"}
    allowed |= {"model_utils", "model_utils.distributed", "model_utils.settings"}
    allowed |= {"model_utils.fast.adamw"}  # of tensors alone
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                ours = node.module.split(".")[0] in ("data_utils", "decoders", "scoring")
                ours |= node.module.startswith("model_utils")
                ours &= not node.module.startswith("model_utils.trainer")
                assert not ours or node.module in allowed, (path.name, node.module)


def test_a_task_is_what_the_trainer_asks_for() -> None:
    task: Task[Points] = Regression()
    assert task.num_batches() == BATCHES


def test_it_learns(tmp_path: Path) -> None:
    trainer = train(tmp_path, num_epoch=40, save_interval=1000)
    errors = [row["value"] for row in metrics(tmp_path) if row["tag"] == "Dev error"]
    assert len(errors) == 40 and errors[-1] < 0.5 * errors[0]
    assert set(trainer.task.modes) == {True}, "training is in training mode, after scoring too"


# What is left behind


def test_checkpoints_after_each_epoch_and_inside(finished: Path) -> None:
    names = {path.stem for path in (finished / "param").glob("*.pdparams")}
    inside = {f"{epoch}_batch_{batch}" for epoch in (1, 2, 3) for batch in (2, 4)}
    assert names == {"1", "2", "3", "best"} | inside
    for name in names:
        saved = checkpoint.load(finished / "param" / name)
        assert saved.info is not None and saved.optimizer
        assert saved.info["task"] == "regression" and saved.info["options"] == {"an": "option"}
        assert saved.info["device"] == dataclasses.asdict(DEVICE)
        if name == "best":
            continue
        epoch, _, batch = name.partition("_batch_")
        done = (int(epoch) - 1) * BATCHES + (int(batch) if batch else BATCHES)
        place = saved.info["progress"]
        assert saved.epoch == int(epoch) and place["step"] == done
        at = (int(epoch), int(batch)) if batch else (int(epoch) + 1, 0)
        assert (place["epoch"], place["batch"]) == at


def test_no_save_inside_at_the_very_end_of_an_epoch(tmp_path: Path) -> None:
    train(tmp_path, num_epoch=1, save_interval=BATCHES)
    assert sorted(p.stem for p in (tmp_path / "param").glob("*.json")) == ["1", "best"]


def test_lines_of_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path, num_epoch=2)
    printed, complaints = capsys.readouterr()
    lines = printed.splitlines()
    assert complaints == ""
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\]"
    expected = []
    for epoch, rate in ((1, "0.02000000"), (2, "0.01800000")):
        expected += [
            rf"Train {stamp} epoch: \[{epoch}/2\], batch: \[{batch}/5\], "
            rf"learning rate: {rate}, train loss: \d+\.\d{{6}}, eta: \d+:\d\d:\d\d"
            for batch in (0, 2, 4)
        ]
        expected += [
            rf"{name} {stamp} epoch: \[{epoch}/2\], error: \d\.\d{{5}} \(a detail\)"
            for name in ("Dev", "Test")
        ]
    assert len(lines) == len(expected)
    for line, pattern in zip(lines, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_the_printed_loss_is_the_mean_since_the_line_before(tmp_path: Path) -> None:
    train(tmp_path / "each", num_epoch=1, log_interval=1)
    train(tmp_path / "some", num_epoch=1, log_interval=3)
    each = [row["value"] for row in metrics(tmp_path / "each") if row["tag"] == "Train loss"]
    some = [row for row in metrics(tmp_path / "some") if row["tag"] == "Train loss"]
    assert [row["step"] for row in some] == [1, 4] and len(each) == BATCHES
    assert np.allclose([row["value"] for row in some], [each[0], np.mean(each[1:4])])


def test_curves_are_kept_of_every_run(finished: Path, tmp_path: Path) -> None:
    tags = {row["tag"] for row in metrics(finished)}
    assert tags == {"Train loss", "Learning rate", "Dev error", "Test error", *PACE}
    train(tmp_path, num_epoch=1)
    (run,) = (tmp_path / "log").iterdir()
    first = [path.read_bytes() for path in sorted(run.iterdir())]
    train(tmp_path, num_epoch=2, resume=tmp_path / "param" / "1")
    assert len(list((tmp_path / "log").iterdir())) == 2
    assert first == [path.read_bytes() for path in sorted(run.iterdir())]


# Interrupted and resumed


@pytest.mark.parametrize("name", ["1_batch_2", "1_batch_4", "1", "2_batch_4", "2"])
def test_a_resumed_run_equals_one_that_was_not(name: str, finished: Path, tmp_path: Path) -> None:
    task = Regression()
    for parameter in task.network.parameters():
        parameter.set_value(paddle.full_like(parameter, 9.0))  # all must come from the file
    trainer = train(tmp_path, task, resume=finished / "param" / name)
    epoch, _, batch = name.partition("_batch_")
    assert task.asked[0] == ((int(epoch), int(batch)) if batch else (int(epoch) + 1, 0))
    for last in ("3", "3_batch_4"):
        ours, theirs = (checkpoint.load(f / "param" / last) for f in (tmp_path, finished))
        assert same(ours, theirs), last
        assert ours.info is not None and theirs.info is not None
        assert ours.info["progress"] == theirs.info["progress"]
    assert trainer.progress.step == 3 * BATCHES


def test_every_resumed_point_of_the_curves_is_the_uninterrupted_one(
    finished: Path, tmp_path: Path
) -> None:
    train(tmp_path, resume=finished / "param" / "1_batch_4", log_interval=1)
    whole: dict[tuple[str, int], float] = {}
    train(tmp_path / "whole", log_interval=1)
    for row in metrics(tmp_path / "whole"):
        whole[row["tag"], row["step"]] = row["value"]
    resumed = [row for row in metrics(tmp_path) if row["tag"] not in PACE - {"Gradient norm"}]
    assert min(row["step"] for row in resumed if row["tag"] == "Train loss") == 5
    assert all(whole[row["tag"], row["step"]] == row["value"] for row in resumed)


def test_dropout_differs_from_step_to_step_and_seed_to_seed(tmp_path: Path) -> None:
    finals = []
    for seed in (1, 1, 2):
        folder = tmp_path / str(len(finals))
        train(folder, num_epoch=1, seed=seed)
        finals.append(checkpoint.load(folder / "param" / "1"))
    assert same(finals[0], finals[1]) and not same(finals[0], finals[2])


def test_a_larger_num_epoch_trains_on_without_a_restart(finished: Path, tmp_path: Path) -> None:
    task = Regression()
    train(tmp_path, task, resume=finished / "param" / "3", num_epoch=5)
    assert task.asked == [(4, 0), (5, 0)]
    rates = [row["value"] for row in metrics(tmp_path) if row["tag"] == "Learning rate"]
    assert np.allclose(rates, [0.02 * 0.9**3] * 3 + [0.02 * 0.9**4] * 3)
    train(tmp_path / "whole", num_epoch=5)
    whole = checkpoint.load(tmp_path / "whole" / "param" / "5")
    assert same(whole, checkpoint.load(tmp_path / "param" / "5"))


def test_nothing_is_left_to_do(finished: Path, tmp_path: Path) -> None:
    task = Regression()
    train(tmp_path, task, resume=finished / "param" / "3")
    assert task.asked == [] and not (tmp_path / "param").exists()


def test_one_cycle_keeps_its_place(tmp_path: Path) -> None:
    schedule = dataclasses.replace(SCHEDULE, lr_schedule="onecycle")
    train(tmp_path / "whole", schedule=schedule, log_interval=1)
    train(
        tmp_path,
        schedule=schedule,
        log_interval=1,
        resume=tmp_path / "whole" / "param" / "2_batch_2",
    )
    rates = {
        row["step"]: row["value"] for row in metrics(tmp_path) if row["tag"] == "Learning rate"
    }
    assert list(rates) == list(range(8, 16))
    for step, rate in rates.items():
        epoch, batch = divmod(step - 1, BATCHES)
        place = schedules.Place(epoch + 1, batch, BATCHES, 3)
        assert rate == schedules.learning_rate(schedule, place)


def test_lone_weights_go_on_behind_the_epoch_of_their_name(finished: Path, tmp_path: Path) -> None:
    lone = tmp_path / "2.pdparams"
    lone.write_bytes((finished / "param" / "2.pdparams").read_bytes())
    task = Regression()
    trainer = train(tmp_path, task, resume=lone)
    assert task.asked == [(3, 0)] and trainer.progress.step == 3 * BATCHES


def test_where_the_batches_are_others_the_epoch_begins_again(
    finished: Path, tmp_path: Path
) -> None:
    task = Regression()
    task.points = 7
    trainer = Trainer(task, SETTINGS, SCHEDULE, run_settings(tmp_path), DEVICE, {})
    again = trainer.resume(checkpoint.load(finished / "param" / "2_batch_4"))
    assert again == ["points was 6, is 7"]
    assert (trainer.progress.epoch, trainer.progress.batch) == (2, 0)
    assert trainer.progress.step == BATCHES + 4, "the curves go on"
    trainer.train()
    assert task.asked == [(2, 0), (3, 0)]
    # At the end of an epoch there is no place inside it to lose.
    assert trainer.resume(checkpoint.load(finished / "param" / "2")) == []
    assert trainer.progress.epoch == 3


def test_a_checkpoint_that_does_not_know_its_plan_keeps_its_place(
    finished: Path, tmp_path: Path
) -> None:
    older = checkpoint.load(finished / "param" / "2_batch_4")
    assert older.info is not None and older.info.pop("plan") == {"points": 6, "sorted": True}
    task = Regression()
    task.points = 7
    trainer = Trainer(task, SETTINGS, SCHEDULE, run_settings(tmp_path), DEVICE, {})
    assert trainer.resume(older) == [] and trainer.progress.batch == 4


BEST = {"epoch": 1, "set": "dev", "measure": "cer", "value": 0.5}


@pytest.mark.parametrize(
    "progress",
    [
        None,
        [],
        "1",
        {"epoch": "1"},
        {"epoch": 0},
        {"epoch": 1, "batch": -1},
        {"epoch": 1, "batch": True},
        {"epoch": 1, "step": 1.5},
        {"epoch": 1, "best": [1]},
        {"epoch": 1, "best": {}},
        {"epoch": 1, "best": {**BEST, "value": "0.5"}},
        {"epoch": 1, "unheard_of": 1},
    ],
)
def test_a_place_that_is_none_is_refused(progress: Any) -> None:
    assert Progress.of({"epoch": 2, "best": BEST}, Path("a")).best == BEST
    with pytest.raises(InputError, match=r"^a\.pdparams: no place to go on from") as error:
        Progress.of(progress, Path("a.pdparams"))
    assert "\n" not in str(error.value)


# Scores


def test_the_first_set_alone_decides_what_is_best(tmp_path: Path) -> None:
    task = Regression()
    task.scores = {"dev": [0.5, 0.2, 0.2], "test": [0.9, 0.8, 0.1]}
    trainer = train(tmp_path, task)
    assert trainer.progress.best == {"epoch": 2, "set": "dev", "measure": "error", "value": 0.2}
    assert same(*(checkpoint.load(tmp_path / "param" / name) for name in ("best", "2")))


def test_the_best_is_remembered_over_a_resume(tmp_path: Path) -> None:
    task = Regression(("test",))
    task.scores = {"test": [0.2, 0.3]}
    train(tmp_path, task, num_epoch=2)
    task = Regression(("test",))
    task.scores = {"test": [0.25]}
    trainer = train(tmp_path, task, resume=tmp_path / "param" / "2")
    assert trainer.progress.best is not None and trainer.progress.best["epoch"] == 1
    assert same(*(checkpoint.load(tmp_path / "param" / name) for name in ("best", "1")))


@pytest.fixture(scope="module")
def worsening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose third epoch was the best, and before it the first."""
    folder = tmp_path_factory.mktemp("worsening")
    task = Regression(("dev",))
    task.scores = {"dev": [0.3, 0.4, 0.2]}
    trainer = train(folder, task)
    assert trainer.keeper.best(trainer.progress.best) == folder / "param" / "best.pdparams"
    return folder


def test_the_best_of_an_earlier_place_is_its_epochs_own_file(
    worsening: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "again"
    shutil.copytree(worsening, folder)
    task = Regression(("dev",))
    task.scores = {"dev": [0.5]}
    trainer = train(folder, task, resume=folder / "param" / "1", num_epoch=2)
    assert trainer.progress.best is not None and trainer.progress.best["value"] == 0.3
    # best.* is of an epoch that this run has not come to.
    assert trainer.keeper.best(trainer.progress.best) == folder / "param" / "1.pdparams"
    for path in (folder / "param").glob("1.*"):
        path.unlink()
    assert trainer.keeper.best(trainer.progress.best) is None


def test_the_best_stays_where_it_was_when_a_run_goes_on_elsewhere(
    worsening: Path, tmp_path: Path
) -> None:
    task = Regression(("dev",))
    task.scores = {"dev": [0.5]}
    trainer = train(tmp_path, task, resume=worsening / "param" / "3", num_epoch=4)
    assert trainer.keeper.best(trainer.progress.best) == worsening / "param" / "best.pdparams"
    (tmp_path / "param" / "best.json").write_text("{damaged")
    (tmp_path / "param" / "best.pdparams").write_bytes(b"")
    assert trainer.keeper.best(trainer.progress.best) == worsening / "param" / "best.pdparams"


def test_a_score_that_is_no_number_is_never_the_best(tmp_path: Path) -> None:
    task = Regression()
    task.scores = {"dev": [float("nan"), 0.5, float("nan")]}
    trainer = train(tmp_path, task)
    assert trainer.progress.best is not None and trainer.progress.best["epoch"] == 2


@pytest.mark.parametrize("changes", [{"test_off": True}, {}], ids=["test_off", "no sets"])
def test_without_scores_there_is_no_best(changes: dict[str, Any], tmp_path: Path) -> None:
    trainer = train(tmp_path, Regression(() if not changes else ("test",)), num_epoch=1, **changes)
    assert trainer.progress.best is None
    assert not (tmp_path / "param" / "best.json").exists()
    assert {row["tag"] for row in metrics(tmp_path)} == {"Train loss", "Learning rate", *PACE}


# What goes wrong on the way


def test_a_loss_that_is_no_number_skips_the_step_and_names_the_items(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Regression()
    task.poisoned = {1}
    train(tmp_path, task, num_epoch=1, log_interval=1, save_interval=1)
    complaints = capsys.readouterr().err
    assert complaints.count("\n") == 1
    assert "loss is nan, the step is skipped" in complaints
    assert all(f"points:1:{row}" in complaints for row in range(6))
    before, after = (checkpoint.load(tmp_path / "param" / f"1_batch_{n}") for n in (1, 2))
    assert same(before, after), "neither weights nor moments moved"
    losses = [row for row in metrics(tmp_path) if row["tag"] == "Train loss"]
    assert [row["step"] for row in losses] == [1, 3, 4, 5]
    final = checkpoint.load(tmp_path / "param" / "1")
    assert all(np.isfinite(value).all() for value in final.weights.values())


def test_a_batch_that_lost_all_its_items_is_no_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Regression()
    task.empty = {0, 2}
    train(tmp_path, task, num_epoch=1, save_interval=1)
    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [f"warning: left out: point {place} is lost" for place in (0, 2)]
    assert same(*(checkpoint.load(tmp_path / "param" / f"1_batch_{n}") for n in (2, 3)))


def test_all_that_is_left_out_is_listed_beside_the_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Regression(())
    task.unfit = [f"point -{number} is odd" for number in range(30)]
    task.empty = {1, BATCHES + 1}
    train(tmp_path, task, num_epoch=2)
    [listed] = (tmp_path / "log").glob("*/left_out.txt")
    lost = [f"point {place} is lost" for place in (1, BATCHES + 1)]
    assert listed.read_text("utf-8").splitlines() == task.unfit + lost
    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [
        f"all that is left out: {listed}",
        *(f"warning: left out: {problem}" for problem in lost),
    ]
    train(tmp_path / "whole", Regression(()), num_epoch=1)
    assert not list((tmp_path / "whole" / "log").glob("*/left_out.txt"))


def test_gradients_that_are_no_numbers_skip_the_step_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Steep(Regression):
        """A loss of 0 whose gradient is not finite."""

        def losses(self, batch: Points) -> Tensor:
            losses = super().losses(batch)
            if batch.number == 1:
                return losses + (losses * 0.0).sqrt()
            return losses

    train(tmp_path, Steep(), num_epoch=1, save_interval=1)
    complaints = capsys.readouterr().err
    assert complaints.count("\n") == 1
    assert "a gradient is not finite, the step is skipped; its utterances: points:1:0" in complaints
    assert same(*(checkpoint.load(tmp_path / "param" / f"1_batch_{n}") for n in (1, 2)))
    final = checkpoint.load(tmp_path / "param" / "1")
    assert all(np.isfinite(value).all() for value in final.weights.values())


def test_an_epoch_is_kept_when_scoring_it_fails(tmp_path: Path) -> None:
    train(tmp_path / "whole", Regression(()))
    broken = Regression()
    broken.score = lambda name, done: 1 / 0  # type: ignore[assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        train(tmp_path / "cut", broken, num_epoch=1)
    train(tmp_path / "cut", Regression(()), resume=tmp_path / "cut" / "param" / "1")
    whole, cut = (checkpoint.load(tmp_path / n / "param" / "3").weights for n in ("whole", "cut"))
    assert all((whole[name] == cut[name]).all() for name in whole)


def test_what_was_trained_is_saved_when_no_more_batches_come(
    finished: Path, tmp_path: Path
) -> None:
    task = Regression()
    task.missing = {BATCHES + 3}
    with pytest.raises(InputError) as error:
        train(tmp_path, task, save_interval=1000)
    saved = tmp_path / "param" / "2_batch_3.pdparams"
    assert str(error.value) == f"no batch {BATCHES + 3}; go on with --resume_model={saved}"
    train(tmp_path, resume=saved, save_interval=1000)
    assert same(*(checkpoint.load(folder / "param" / "3") for folder in (finished, tmp_path)))


def test_where_nothing_new_was_trained_the_last_checkpoint_is_named(tmp_path: Path) -> None:
    task = Regression(())
    task.missing = {BATCHES}
    with pytest.raises(InputError) as error:
        train(tmp_path, task, save_interval=1000)
    last = tmp_path / "param" / "1.pdparams"
    assert str(error.value) == f"no batch {BATCHES}; go on with --resume_model={last}"
    with pytest.raises(InputError) as error:
        train(tmp_path, task, resume=last)
    assert str(error.value) == f"no batch {BATCHES}; go on with --resume_model={last}"
    assert [path.name for path in sorted((tmp_path / "param").glob("*.json"))] == ["1.json"]
    task.missing = {0}
    with pytest.raises(InputError) as error:
        train(tmp_path / "new", task)
    assert str(error.value) == "no batch 0" and not (tmp_path / "new" / "param").exists()
