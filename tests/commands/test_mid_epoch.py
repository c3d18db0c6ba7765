"""Checkpoints inside an epoch: their names, and a run that goes on from one as if never stopped."""

import json
import re

import numpy as np
import pytest
from workspace import Workspace

from model_utils.trainer import checkpoint

BATCHES = 6
"""In an epoch of the session's trained model, which saves and logs every second one."""


def test_sets_inside_an_epoch_have_names_of_their_own(trained: Workspace) -> None:
    names = {path.name for path in (trained / "models" / "param").iterdir()}
    inside = {f"{epoch}_batch_{batch}" for epoch in (1, 2) for batch in (2, 4)}
    # After the last batch the finished epoch is saved, under the name that only it has.
    sets = {"1", "2", "best"} | inside
    assert names == {f"{name}.{kind}" for name in sets for kind in ("pdparams", "pdopt", "json")}


@pytest.mark.parametrize(
    ("name", "epoch", "batch"), [("1_batch_2", 1, 2), ("2_batch_4", 2, 4), ("2", 3, 0)]
)
def test_a_set_knows_its_place(trained: Workspace, name: str, epoch: int, batch: int) -> None:
    info = json.loads((trained / "models" / "param" / f"{name}.json").read_text(encoding="utf-8"))
    assert info["progress"]["epoch"] == epoch and info["progress"]["batch"] == batch
    assert info["progress"]["step"] == (epoch - 1) * BATCHES + batch
    assert info["epoch"] == int(name.partition("_")[0])


def test_a_set_inside_an_epoch_is_not_its_end(trained: Workspace) -> None:
    folder = trained / "models" / "param"
    inside, end = (checkpoint.load(folder / f"{name}.pdparams") for name in ("1_batch_4", "1"))
    assert any(not np.array_equal(inside.weights[name], end.weights[name]) for name in end.weights)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_goes_on_at_the_exact_batch(copied: Workspace, workers: int) -> None:
    folder = copied / "models" / "param"
    uninterrupted = {name: (folder / name).read_bytes() for name in ("2.pdparams", "2.pdopt")}
    before = {path: path.read_bytes() for path in folder.glob("1_batch_2.*")}
    runs = set((copied / "log").iterdir())
    for path in folder.iterdir():
        if path not in before:
            path.unlink()
    ran = copied.train(
        "--resume_model=models/param/1_batch_2.pdparams",
        "--num_epoch=2",
        f"--num_workers={workers}",
    )
    resumed = "resumed: models/param/1_batch_2.pdparams, going on with epoch 1, batch 2, "
    assert sum(line.startswith(resumed) for line in ran.out) == 1
    trained = [re.search(r"epoch: \[(\d)/2\], batch: \[(\d)/6\]", line) for line in ran.out]
    lines = [tuple(map(int, found.groups())) for found in trained if found]
    assert lines == [(1, 2), (1, 4), (2, 0), (2, 2), (2, 4)]
    assert {name: (folder / name).read_bytes() for name in uninterrupted} == uninterrupted
    assert {path: path.read_bytes() for path in before} == before
    assert (folder / "1.json").is_file() and (folder / "1_batch_4.json").is_file()
    # The same losses too; the resumed run writes them into a folder of its own.
    [resumed] = set((copied / "log").iterdir()) - runs
    losses = [
        {
            row["step"]: row["value"]
            for row in map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
            if row["tag"] == "Train loss"
        }
        for run in (*runs, resumed)
    ]
    assert list(losses[0]) == [1, 3, 5, 7, 9, 11] and list(losses[1]) == [3, 5, 7, 9, 11]
    # A line is the mean since the line before; to the resumed run step 2 was before its time.
    assert all(losses[1][step] == losses[0][step] for step in (5, 7, 9, 11))
