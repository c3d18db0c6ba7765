"""The mean of finished checkpoints: by hand, in any order, of one model only."""

from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from regression import Regression, train

from data_utils.errors import InputError
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint_means import (
    average_checkpoints,
    best_epochs,
    newest_epochs,
    write_average,
)


def save(folder: Path, name: str, *weight: float, step: int = 0, **info: Any) -> Path:
    state = {"weight": paddle.to_tensor(weight)}
    described = {"epoch": 1, "progress": {"step": step, "run": "a"}, **info}
    return checkpoint.save(folder, name, state, {"moment": state["weight"]}, described)


def stems(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


def test_it_is_the_mean_in_any_order(tmp_path: Path) -> None:
    one = save(tmp_path, "1", 1.0, -2.0, step=5)
    two = save(tmp_path, "2", 4.0, 0.0, step=9, vocabulary=None)
    three = save(tmp_path, "3", 7.0, 8.0, step=7)
    for paths in ([one, two, three], [three, one, two]):
        mean = average_checkpoints(paths)
        assert mean.weights["weight"].tolist() == [4.0, 2.0]
        assert mean.weights["weight"].dtype == np.float32
        assert mean.info is not None and mean.info["progress"]["step"] == 9, "that of the latest"
        assert mean.info["averaged"] == ["1", "2", "3"]


def test_it_is_a_checkpoint_without_an_optimizer_and_of_no_run(tmp_path: Path) -> None:
    paths = [save(tmp_path, str(epoch), float(epoch), step=epoch) for epoch in (1, 2, 3)]
    for chosen, expected in ((paths[:2], 1.5), (paths[1:], 2.5)):
        write_average(chosen, tmp_path / "average.pdparams")
        saved = checkpoint.load(tmp_path / "average")
        assert saved.weights["weight"].tolist() == [expected]
        assert saved.optimizer is None and saved.info is not None
        assert set(saved.info["files"]) == {".pdparams"}
    assert checkpoint.latest(tmp_path) == paths[-1], "resume_model=latest goes on with the run"
    checkpoint.prune(tmp_path, "a", keep=1)
    assert sorted(p.stem for p in tmp_path.glob("*.json")) == ["3", "average"]


def test_an_optimizer_of_an_earlier_set_of_that_name_goes(tmp_path: Path) -> None:
    save(tmp_path, "mean", 1.0)
    state = {"weight": paddle.to_tensor([2.0])}
    checkpoint.save(tmp_path, "mean", state, None, {"epoch": 1})
    assert checkpoint.load(tmp_path / "mean").optimizer is None


def test_a_checkpoint_of_a_run_is_not_replaced(tmp_path: Path) -> None:
    paths = [save(tmp_path, str(epoch), float(epoch)) for epoch in (1, 2)]
    with pytest.raises(InputError, match=r"2\.pdparams: a checkpoint of a run stands there"):
        write_average(paths, paths[1])
    assert checkpoint.load(paths[1]).weights["weight"].tolist() == [2.0]


def test_lone_weights_are_not_replaced(tmp_path: Path) -> None:
    paths = [save(tmp_path, str(epoch), float(epoch)) for epoch in (1, 2)]
    mine = tmp_path / "mine.pdparams"
    mine.write_bytes(b"weights of somebody")
    with pytest.raises(InputError, match=r"mine\.pdparams: .* or weights of others; choose"):
        write_average(paths, mine)
    assert mine.read_bytes() == b"weights of somebody"


def test_none_counts_twice(tmp_path: Path) -> None:
    one, two = (save(tmp_path, str(epoch), float(epoch)) for epoch in (1, 2))
    with pytest.raises(InputError, match="named twice"):
        average_checkpoints([one, two, one.with_suffix("")])


def test_other_models_are_refused(tmp_path: Path) -> None:
    own = save(tmp_path, "1", 1.0, vocabulary=["<blank>", "a"])
    wide = save(tmp_path, "2", 1.0, 2.0, vocabulary=["<blank>", "a"])
    with pytest.raises(InputError, match=r"2.pdparams: weight is \(2,\), in .*1.pdparams \(1,\)"):
        average_checkpoints([own, wide])
    words = save(tmp_path, "3", 1.0, vocabulary=["<blank>", "b"])
    with pytest.raises(InputError, match=r"3\.pdparams: another vocabulary than .*1.pdparams"):
        average_checkpoints([own, words])
    words.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=r"3\.pdparams: no 3\.json beside it"):
        average_checkpoints([own, words])
    with pytest.raises(InputError, match="1 checkpoint to average"):
        average_checkpoints([own])


def test_epochs_trained_behind_one_front_end_in_other_ways_are_of_one_model(tmp_path: Path) -> None:
    def behind(name: str, bins: int, **settings: Any) -> Path:
        front_end = {"model": {"bins": bins}, "settings": settings}
        return save(tmp_path, name, float(name), front_end=front_end)

    one = behind("1", 161, observation=[0, 1], frontend_training="frozen")
    two = behind("2", 161, observation=[0, 0.3], frontend_training="joint")
    assert average_checkpoints([one, two]).weights["weight"].tolist() == [1.5]
    for other in (behind("3", 257, observation=[0, 1]), save(tmp_path, "4", 1.0)):
        with pytest.raises(InputError, match=rf"{other.name}: another front_end than .*1.pdparams"):
            average_checkpoints([one, other])


def test_epochs_are_chosen_by_age_or_by_their_own_score(tmp_path: Path) -> None:
    task = Regression()
    task.scores = {"dev": [0.2, 0.5, 0.1, float("nan"), 0.3], "test": [0.5, 0.4, 0.3, 0.2, 0.1]}
    train(tmp_path, task, num_epoch=5)
    folder = tmp_path / "param"
    assert stems(newest_epochs(folder, 2)) == ["4", "5"]
    assert stems(best_epochs(folder, 3)) == ["3", "1", "5"]
    with pytest.raises(InputError, match="4 epochs with a score in their JSON, 5 are wanted"):
        best_epochs(folder, 5)
    with pytest.raises(InputError, match="5 complete epochs of the newest run in it, 6 are wanted"):
        newest_epochs(folder, 6)


def test_epochs_without_a_score_are_not_the_best(tmp_path: Path) -> None:
    train(tmp_path, num_epoch=2, test_off=True)
    with pytest.raises(InputError, match=r"0 epochs with a score .* --last=2"):
        best_epochs(tmp_path / "param", 2)


def test_only_epochs_of_the_newest_run_count(tmp_path: Path) -> None:
    folder = tmp_path / "param"
    for epoch in (1, 2, 3, 4):
        save(folder, str(epoch), 1.0, step=10 * epoch, progress={"step": 1, "run": "old"})
    for epoch in (1, 2):
        save(folder, str(epoch), 1.0, progress={"step": epoch, "run": "new"})
    assert stems(newest_epochs(folder, 2)) == ["1", "2"]
    with pytest.raises(InputError, match="2 complete epochs"):
        newest_epochs(folder, 3)
    with pytest.raises(InputError, match="no checkpoint in it; --model_dir"):
        newest_epochs(tmp_path, 2)
