"""How runs end before their last epoch, what they keep, and how they go on."""

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paddle import Tensor
from regression import BATCHES, SETTINGS, Points, Regression, metrics, same, train

from data_utils.errors import InputError
from model_utils import distributed
from model_utils.settings import OptimisationSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

AVERAGED = dataclasses.replace(SETTINGS, ema_decay=0.9)


def last(folder: Path, name: str = "3") -> Checkpoint:
    return checkpoint.load(folder / "param" / name)


def names(folder: Path) -> set[str]:
    files = list((folder / "param").iterdir())
    whole = {path.stem for path in files}
    assert len(files) == 3 * len(whole), "sets of three"
    return whole


class Interrupted(Regression):
    """Asks its own process to stop, at its so-and-so-many-th batch."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def losses(self, batch: Points) -> Tensor:
        if self.batch == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        self.batch -= 1
        return super().losses(batch)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("settings", [SETTINGS, AVERAGED], ids=["plain", "averaged"])
@pytest.mark.parametrize("batch", [0, 3, BATCHES - 1, BATCHES, 2 * BATCHES + 1])
def test_a_run_that_was_asked_to_stop_goes_on_as_if_it_never_had(
    tmp_path: Path, batch: int, settings: OptimisationSettings
) -> None:
    train(tmp_path / "whole", settings=settings)
    train(tmp_path / "cut", Interrupted(batch), settings=settings)
    saved = checkpoint.latest(tmp_path / "cut" / "param")
    epoch, inside = divmod(batch + 1, BATCHES)
    assert saved is not None
    assert saved.stem == (f"{epoch + 1}_batch_{inside}" if inside else str(epoch))
    train(tmp_path / "cut", resume=saved, settings=settings)
    assert same(last(tmp_path / "cut"), last(tmp_path / "whole"))
    best = [(last(tmp_path / run, "best").info or {})["progress"] for run in ("cut", "whole")]
    assert best[0]["best"] == best[1]["best"] and best[0]["stale"] == best[1]["stale"]


def test_stopped_between_an_epoch_and_its_score_the_score_is_made_up_for(tmp_path: Path) -> None:
    class Stopped(Regression):
        def score(self, name: str, batch_done: Callable[[], None]) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return super().score(name, batch_done)

    train(tmp_path / "whole")
    train(tmp_path / "cut", Stopped())
    info = last(tmp_path / "cut", "1").info or {}
    assert info["progress"]["is_to_score"] and info["progress"]["best"] is None
    train(tmp_path / "cut", resume=tmp_path / "cut" / "param" / "1")
    assert names(tmp_path / "cut") == names(tmp_path / "whole")
    for name in ("1", "3", "best"):
        mine, whole = (last(tmp_path / run, name) for run in ("cut", "whole"))
        assert same(mine, whole)
        fields = [{**(c.info or {})["progress"], "run": ""} for c in (mine, whole)]
        assert fields[0] == fields[1]


def test_so_many_steps_and_no_more(tmp_path: Path) -> None:
    trainer = train(tmp_path, max_steps=BATCHES + 2)
    assert trainer.progress.step == BATCHES + 2
    assert checkpoint.latest(tmp_path / "param") == tmp_path / "param" / "2_batch_2.pdparams"
    train(tmp_path, resume=tmp_path / "param" / "2_batch_2")
    train(tmp_path / "whole")
    assert same(last(tmp_path), last(tmp_path / "whole"))


def test_early_stopping_waits_for_its_patience(tmp_path: Path) -> None:
    task = Regression(("dev",))
    task.scores = {"dev": [0.5, 0.6, 0.4, 0.5, 0.5, 0.5, 0.1]}
    trainer = train(tmp_path, task, num_epoch=9, early_stopping=2)
    assert trainer.progress.epoch == 7 and task.scores == {"dev": [0.1]}
    assert trainer.progress.best is not None and trainer.progress.best["epoch"] == 3


def test_the_newest_are_kept_and_the_best_and_those_asked_for(tmp_path: Path) -> None:
    (tmp_path / "param").mkdir()
    other = train(tmp_path / "other", num_epoch=1)
    for suffix in (".pdparams", ".pdopt", ".json"):  # of another run, in the same folder
        source = (tmp_path / "other" / "param" / "1").with_suffix(suffix)
        (tmp_path / "param" / f"40{suffix}").write_bytes(source.read_bytes())
    assert other.progress.run
    task = Regression(("dev",))
    task.scores = {"dev": [0.3, 0.2, 0.5, 0.6, 0.7]}
    train(tmp_path, task, num_epoch=5, keep_ckpt=2, keep_epochs=(1, 4))
    assert names(tmp_path) == {"1", "4", "5", "5_batch_4", "best", "40"}
    assert (last(tmp_path, "best").info or {})["epoch"] == 2
    # A resumed run knows what it left before.
    again = Regression(("dev",))
    again.scores = {"dev": [0.9]}
    train(tmp_path, again, resume=tmp_path / "param" / "5", num_epoch=6, keep_ckpt=1)
    assert names(tmp_path) == {"6", "best", "40"}


def test_an_average_is_what_is_saved_and_scored(tmp_path: Path) -> None:
    train(tmp_path / "plain", num_epoch=1, max_steps=2)
    train(tmp_path / "averaged", num_epoch=1, max_steps=2, settings=AVERAGED)
    plain, averaged = (last(tmp_path / run, "1_batch_2") for run in ("plain", "averaged"))
    assert plain.optimizer is not None and averaged.optimizer is not None
    for name, value in plain.weights.items():
        assert np.array_equal(averaged.optimizer[f"weights::{name}"], value)
        assert not np.array_equal(averaged.weights[name], value)
    tags = {row["tag"] for row in metrics(tmp_path / "averaged")}
    assert "Dev error" not in tags


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    class Breaking(Regression):
        def losses(self, batch: Points) -> Tensor:
            losses = super().losses(batch)
            if batch.number == 3:
                self.network[0].weight.set_value(np.full([3, 8], np.inf, "float32"))
            return losses

    with pytest.raises(InputError, match=r"0.weight is not finite.*--resume_model=.*1_batch_2"):
        train(tmp_path, Breaking())
    assert checkpoint.latest(tmp_path / "param") == tmp_path / "param" / "1_batch_2.pdparams"


def test_many_skipped_steps_end_the_run_with_its_last_good_weights(tmp_path: Path) -> None:
    task = Regression()
    task.poisoned = set(range(BATCHES + 1, 100))
    with pytest.raises(InputError, match=r"20 steps in a row were skipped.*--resume_model="):
        train(tmp_path, task, num_epoch=30)
    newest = checkpoint.latest(tmp_path / "param")
    assert newest is not None
    weights = checkpoint.load(newest).weights
    at = checkpoint.load(tmp_path / "param" / "2").weights
    assert all(np.array_equal(weights[name], at[name]) for name in at)


def test_processes_that_begin_at_different_places_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "gathered", lambda place: [place, (7, 3, BATCHES)])
    with pytest.raises(InputError, match=r"epoch 1, batch 0 of 5, process 1 with epoch 7, batch 3"):
        train(tmp_path)
    assert not (tmp_path / "param").exists() and not (tmp_path / "log").exists()
