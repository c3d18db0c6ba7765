"""What is said of a run before it begins and when it ends."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from regression import DEVICE, train

from model_utils import notices
from model_utils.options import parse
from model_utils.settings import TRAINING, ScheduleSettings
from model_utils.trainer import checkpoint


def corpus(utterances: int, shares: int) -> Any:
    """As much of a task as counts here."""
    training = SimpleNamespace(durations=range(utterances))
    return SimpleNamespace(score_sets=["dev"], training=training, shares=shares)


@pytest.mark.parametrize(
    ("utterances", "shares", "expected"),
    [
        (16, 1, ""),
        (15, 1, "warning: 15 utterances are fewer than batch_size 16: every epoch is one short"),
        (64, 4, ""),
        (63, 4, "63 utterances are fewer than batch_size 16 x 4 (--accumulate, devices): every"),
    ],
)
def test_fewer_utterances_than_all_shares_of_a_batch_hold(
    utterances: int, shares: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    notices.of_corpus(corpus(utterances, shares), parse("train.py", TRAINING, ["--batch_size=16"]))
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
    notices.of_end(trainer, "stopped as asked")
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
