"""What is said of a run before it begins and when it ends."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from regression import DEVICE, train

from model_utils import notices
from model_utils.options import parse, parse_task
from model_utils.settings import TASKS, TRAINING, ScheduleSettings
from model_utils.trainer import checkpoint


def corpus(items: int, shares: int, score_sets: Sequence[str] = ("dev",)) -> Any:
    """As much of a task as counts here."""
    training = SimpleNamespace(durations=range(items))
    return SimpleNamespace(score_sets=list(score_sets), training=training, shares=shares)


@pytest.mark.parametrize(
    ("items", "shares", "expected"),
    [
        (16, 1, ""),
        (15, 1, "warning: 15 items are fewer than batch_size 16: every epoch is one short"),
        (64, 4, ""),
        (63, 4, "63 items are fewer than batch_size 16 x 4 (--accumulate, devices): every"),
    ],
)
def test_fewer_items_than_all_shares_of_a_batch_hold(
    items: int, shares: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    notices.of_corpus(corpus(items, shares), parse("train.py", TRAINING, ["--batch_size=16"]))
    said = capsys.readouterr().err
    assert expected in said and bool(said) == bool(expected)


@pytest.mark.parametrize(
    ("task", "score_sets", "expected"),
    [
        ("recognition", ["test"], "flatters; --dev_manifest=FILE lets other data decide"),
        ("enhancement", ["test"], "flatters; --dev_clean=LIST --dev_noise=LIST lets other data"),
        ("enhancement", ["dev", "test"], ""),
        ("separation", [], ""),
    ],
)
def test_a_test_set_that_decides_is_pointed_out(
    task: str, score_sets: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = parse_task("train.py", TASKS, [f"--task={task}"])
    notices.of_corpus(corpus(100, 1, score_sets), options)
    said = capsys.readouterr().err
    assert expected in said and bool(said) == bool(expected)


@pytest.mark.parametrize(("limit", "is_reached"), [(5, True), (1000, False)])
def test_a_limit_of_steps_that_was_not_reached_still_holds(
    limit: int,
    is_reached: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", f"--max_steps={limit}"])
    trainer = train(tmp_path, num_epoch=1)  # of five steps
    trainer.run = replace(trainer.run, max_steps=limit)
    capsys.readouterr()
    notices.of_end(trainer, parse("train.py", TRAINING, []), "stopped as asked")
    model = tmp_path / "param" / "1.pdparams"
    options = f"--resume_model={model} --max_steps=None"
    if not is_reached:
        options = f"--max_steps={limit} --resume_model={model}"
    line = capsys.readouterr().out.splitlines()[0]
    assert line == f"stopped as asked; to go on: python train.py {options}"


@pytest.mark.parametrize("warmup", [0, 1000])
def test_a_rate_that_still_rises_is_not_a_faint_one(
    warmup: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--lr_schedule=step", "--lr_step_epochs=1", "--lr_decay=1e-3"]
    options = parse("train.py", TRAINING, [*flags, f"--warmup_steps={warmup}"])
    trainer = train(tmp_path, num_epoch=1)
    trainer.schedule = options[ScheduleSettings]
    capsys.readouterr()
    saved = checkpoint.load(tmp_path / "param" / "1")
    notices.of_resumed(replace(saved, info=None), [], options, DEVICE, trainer)
    assert ("next to nothing is learned" in capsys.readouterr().err) == (not warmup)
