"""Separation on tones over noise: its loss by hand, and that it learns."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from songs import SMALL, write_song

from data_utils.errors import InputError
from data_utils.separation.dataset import SongChunks
from data_utils.separation.songs import SongFiles, prepare_songs, read_songs
from data_utils.settings import BatchSettings
from model_utils.options import parse_task
from model_utils.separator import Separator, resolve
from model_utils.settings import TASKS, StemLossSettings
from model_utils.tasks.separation import SeparationTask
from model_utils.trainer.checkpoint import Checkpoint


@pytest.fixture
def chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SongChunks:
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        write_song(tmp_path / "dataset" / f"song{number}", 4.0, number)
    prepare_songs(SongFiles())
    return SongChunks(read_songs("manifest.csv", "dataset"), SMALL)


def make_task(chunks: SongChunks, loss: str = "l1") -> SeparationTask:
    batching = BatchSettings(batch_size=2, num_workers=0, sortagrad=False)
    return SeparationTask(Separator(SMALL), chunks, batching, 1, loss=StemLossSettings(loss=loss))


@pytest.mark.parametrize("loss", ["l1", "mse"])
def test_the_loss_is_the_mean_over_stems_and_valid_frames(loss: str, chunks: SongChunks) -> None:
    with make_task(chunks, loss) as task:
        task.network.eval()
        [batch] = next(task.train_batches(1))
        found = task.losses(batch).numpy()
        for row, frames in enumerate(batch.frames):
            mixture = batch.mixture[row : row + 1]
            import paddle

            masks = task.network(
                paddle.to_tensor(mixture), paddle.to_tensor(batch.frames[row : row + 1])
            ).numpy()[0]
            error = np.abs(masks * mixture - batch.stems[row])[:, :frames]
            expected = (error if loss == "l1" else error**2).mean()
            assert np.isclose(found[row], expected, rtol=1e-4)
        empty = dataclasses.replace(batch, frames=batch.frames[:0], items=[])
        assert task.losses(empty).shape == [0]


def test_a_description_makes_an_equal_separator(chunks: SongChunks) -> None:
    separator = Separator(SMALL, "somebody")
    assert Separator.of(separator.describe(), "here") == separator
    for change, message in (
        ({"songs": {"T": 63}}, "multiple of 64|between|at least"),
        ({"task": "enhancement"}, "a model for enhancement, not for separation"),
        ({"songs": 3}, "an object expected"),
    ):
        with pytest.raises(InputError, match=message):
            Separator.of({**separator.describe(), **change}, "here")


def test_options_may_say_other_songs_but_no_other_spectra() -> None:
    def options(*argv: str):
        return parse_task("train.py", TASKS, ["--task=separation", *argv])

    saved = Checkpoint(
        Path("a.pdparams"), {}, None, {"epoch": 1, **Separator(SMALL, "a").describe()}
    )
    found = resolve(options("--train_manifest=other.csv"), saved)
    assert found.songs.train_manifest == "other.csv" and found.trainer == "a"
    assert found.songs.frame_length == SMALL.frame_length
    # Too few bins for the default of F, which is not in force.
    assert resolve(options("--frame_length=256"), saved).songs.F == SMALL.F
    with pytest.raises(InputError, match=r"--chunk_duration 0\.1: a single frame lasts"):
        slow = Separator(dataclasses.replace(SMALL, frame_length=1024))
        info = {"epoch": 1, **slow.describe()}
        resolve(options("--chunk_duration=0.1"), dataclasses.replace(saved, info=info))
    with pytest.raises(InputError, match=r"--frame_step=128: a.pdparams was trained with 64"):
        resolve(options("--frame_step=128"), saved)
    with pytest.raises(InputError, match="multiple of 64"):
        resolve(options("--T=100"), None)
