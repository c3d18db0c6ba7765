"""Every option of the Spleeter users' table: its default, and that it reaches what it names.

Momentum and dampening of sgd, the decay of the rate and the store have tests of their own where
they are computed; here it is seen that the words of the table lead there.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from songs import write_song

from data_utils.separation.dataset import SongChunks
from data_utils.separation.songs import SongFiles, prepare_songs
from model_utils import launch
from model_utils.options import Options
from model_utils.settings import DeviceSettings, ScheduleSettings
from model_utils.setup.job import Job, open_job
from model_utils.trainer.schedules import Place, learning_rate
from run_scripts.run_spleeter import read_options

pytestmark = pytest.mark.usefixtures("prepared")

SMALL = (
    *("--sample_rate=8000", "--frame_length=256", "--frame_step=64", "--T=64", "--F=64"),
    *("--chunk_duration=1", "--n_chunks_per_song=2", "--margin=0.25", "--batch_size=2"),
    *("--use_gpu=False", "--num_threads=1", "--num_workers=0"),
)

TABLE: dict[str, Any] = {
    "mode": "train",
    "nproc_per_node": 1,
    "margin": 0.5,
    "chunk_duration": 20.0,
    "sample_rate": 44100,
    "frame_length": 4096,
    "frame_step": 1024,
    "T": 512,
    "F": 1024,
    "n_chunks_per_song": 15,
    "train_manifest": "manifest.csv",
    "train_dataset": "dataset",
    "num_epoch": 10,
    "batch_size": 20,
    "optimizer": "adam",
    "loss": "l1",
    "momentum": 0.9,
    "dampening": 0.0,
    "learning_rate": 1e-5,
    "lr_decay": 0.0,
    "weight_decay": 1e-5,
    "output_model_dir": "model",
    "load_optimizer": True,
    "start_epoch": 0,
    "load_model": True,
    "seed": 37,
    "keep_ckpt": 1,
    "trainer": "",
    "clean_logs": True,
    "amp": "off",
}
"""The defaults as the table has them, under the trainer's names."""


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two songs of 4 s in `dataset`, one of them in `other` too, with a manifest of its own."""
    folder = tmp_path_factory.mktemp("songs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, path in enumerate(("dataset/a", "dataset/b", "other/a")):
            write_song(folder / path, 4.0, number)
        prepare_songs(SongFiles())
        prepare_songs(SongFiles("other.csv", "other"))
        yield folder


def options(*arguments: str) -> Options:
    return read_options([*SMALL, *arguments])


def opened(*arguments: str) -> Job:
    return open_job(options(*arguments))


def chunks(*arguments: str) -> SongChunks:
    with opened(*arguments).task as task:
        assert isinstance(task.training, SongChunks)
        return task.training


def test_defaults_are_those_of_the_table() -> None:
    found = read_options([]).as_dict()
    assert {name: found[name] for name in TABLE} == TABLE


@pytest.mark.parametrize(
    ("typed", "name", "value"),
    [
        ("-m fast_train", "mode", "fast_train"),
        ("-npn 2", "nproc_per_node", 2),
        ("-bs 7", "batch_size", 7),
        ("--epochs=3", "num_epoch", 3),
        ("--lr=0.5", "learning_rate", 0.5),
        ("-lr 0.5", "learning_rate", 0.5),
        ("--wd=0.25", "weight_decay", 0.25),
        ("-wd 0.25", "weight_decay", 0.25),
        ("--model_dir=here", "output_model_dir", "here"),
        ("--start=4", "start_epoch", 4),
    ],
)
def test_the_names_of_the_table_are_the_trainers(typed: str, name: str, value: Any) -> None:
    assert read_options(typed.split()).as_dict()[name] == value


def test_where_parts_begin_and_end(songs: Path) -> None:
    for margin, seconds, count in ((0.25, 1.0, 2), (0.5, 1.0, 2), (0.25, 1.5, 2), (0.25, 1.0, 4)):
        found = chunks(
            f"--margin={margin}", f"--chunk_duration={seconds}", f"--n_chunks_per_song={count}"
        )
        step = (4.0 - seconds - 2 * margin) / (count - 1)
        starts = [
            chunk.start for chunk in found.chunks if chunk.song.mix == "dataset/a/mixture.wav"
        ]
        assert starts == pytest.approx([margin + k * step for k in range(count)])
        assert [chunk.end - chunk.start for chunk in found.chunks] == pytest.approx(
            [seconds] * 2 * count
        )


def test_what_the_network_hears(songs: Path) -> None:
    for rate, length, step, bins in (
        (8000, 256, 64, 64),
        (16000, 256, 64, 64),
        (8000, 512, 64, 64),
        (8000, 256, 128, 64),
        (8000, 256, 64, 128),
    ):
        found = chunks(
            f"--sample_rate={rate}", f"--frame_length={length}", f"--frame_step={step}",
            f"--F={bins}",
        )  # fmt: skip
        assert found.waves(0).shape == (3, rate)
        mixture = found.arrays(0)["mixture"]
        assert mixture.shape[1] == bins
        assert len(mixture) == 1 + (rate - length) // step, "frames that fit whole"
    for frames in (64, 128):
        with opened(f"--T={frames}").task as task:
            [batch] = next(task.train_batches(1))
            assert batch.mixture.shape[1] % frames == 0
            assert task.network.block == frames


def test_which_songs(songs: Path) -> None:
    def mixes(*arguments: str) -> set[str]:
        return {chunk.song.mix for chunk in chunks(*arguments).chunks}

    assert mixes() == {"dataset/a/mixture.wav", "dataset/b/mixture.wav"}
    assert mixes("--train_manifest=other.csv") == {"dataset/a/mixture.wav"}
    assert mixes("--train_manifest=other.csv", "--train_dataset=other") == {"other/a/mixture.wav"}


def test_batches_loss_seed_and_trainer(songs: Path) -> None:
    with opened("--batch_size=3", "--trainer=somebody").task as task:
        [batch] = next(task.train_batches(1))
        assert len(batch) == 3
        assert task.describe()["trainer"] == "somebody"
        weights = next(iter(task.network.parameters())).numpy()
        task.network.eval()
        l1 = task.losses(batch).numpy()
    with opened("--batch_size=3", "--loss=mse").task as task:
        task.network.eval()
        assert (weights == next(iter(task.network.parameters())).numpy()).all()
        mse = task.losses(batch).numpy()
    # By Cauchy and Schwarz the mean of squares is at least the square of the mean.
    assert (mse >= l1**2 - 1e-7).all() and not (abs(mse - l1) < 1e-6).any()
    with opened("--seed=38").task as task:
        assert (weights != next(iter(task.network.parameters())).numpy()).any()


def test_rate_by_the_formula_of_the_table() -> None:
    schedule = options("--lr=0.5", "--lr_decay=0.25")[ScheduleSettings]
    for epoch, batch in ((1, 0), (1, 3), (4, 2)):
        place = Place(epoch, batch, num_batches=5, num_epoch=10)
        step = (epoch - 1) * 5 + batch
        assert learning_rate(schedule, place) == pytest.approx(0.5 / (1 + 0.25 * step))


def test_devices() -> None:
    assert launch.processes(options("-npn", "2")[DeviceSettings]) == 2
    assert launch.processes(options()[DeviceSettings]) == 1
