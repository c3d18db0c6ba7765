"""Enhancement of tones in noise: its loss by hand, its score, and that it learns."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest
import soundfile

from data_utils.enhancement.dataset import NoisyPairs, NoisySpeech
from data_utils.enhancement.lists import read_list
from data_utils.enhancement.settings import SpectrumSettings
from data_utils.errors import InputError
from data_utils.settings import BatchSettings
from model_utils.enhancer import Enhancer, resolve
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.options import Options, parse_task
from model_utils.settings import TASKS, MaskLossSettings
from model_utils.tasks import enhancement
from model_utils.tasks.enhancement import EnhancementTask
from model_utils.trainer.checkpoint import Checkpoint

RATE = 16_000
SPECTRUM = SpectrumSettings(sample_rate=RATE)
NETWORK = MaskNetworkSettings(network="lstm", d_model=24, n_level=1, dropout=0.0, emb_dropout=0.0)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """`clean` and `noise`: gliding tones, and white noise."""
    rng = np.random.default_rng(0)
    for number in range(6):
        time = np.arange(int(RATE * (1.0 + 0.1 * number))) / RATE
        glide = np.sin(2 * np.pi * (200 + 60 * number + 100 * time) * time) * (
            0.6 + 0.4 * np.sin(9 * time)
        )
        (tmp_path / "clean").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "clean" / f"{number}.wav", 0.3 * glide, RATE)
    (tmp_path / "noise").mkdir()
    soundfile.write(tmp_path / "noise" / "white.wav", 0.1 * rng.standard_normal(3 * RATE), RATE)
    return tmp_path


Make = Callable[..., EnhancementTask]


@pytest.fixture
def make_task(lists: Path) -> Make:
    def make(loss: MaskLossSettings | None = None) -> EnhancementTask:
        clean, noise = read_list(lists / "clean"), read_list(lists / "noise")
        return EnhancementTask(
            Enhancer(SPECTRUM, complete(NETWORK, SPECTRUM)),
            NoisySpeech(clean, noise, (0.0,), SPECTRUM, seed=1),
            {"dev": NoisyPairs(clean, noise, (0.0,), RATE)},
            BatchSettings(batch_size=3, num_workers=0, sortagrad=False),
            seed=1,
            loss=loss,
        )

    return make


@pytest.mark.parametrize("loss", ["mse", "l1"])
@pytest.mark.parametrize("loss_on", ["mask", "magnitude", "masked"])
def test_the_loss_is_the_mean_over_valid_frames(loss: str, loss_on: str, make_task: Make) -> None:
    with make_task(MaskLossSettings(loss, loss_on)) as task:
        task.network.eval()
        [batch] = next(task.train_batches(1))
        assert len(set(batch.frames)) > 1, "some of it is padding"
        found = task.losses(batch).numpy()
        for row, frames in enumerate(batch.frames):
            alone = paddle.to_tensor(batch.noisy[row : row + 1, :frames])
            mask = task.network(alone, paddle.to_tensor(batch.frames[row : row + 1])).numpy()[0]
            noisy, clean = batch.noisy[row, :frames], batch.clean[row, :frames]
            ideal = batch.mask[row, :frames]
            errors = {
                "mask": mask - ideal,
                "magnitude": mask * noisy - clean,
                "masked": mask * noisy - ideal * noisy,
            }
            error = errors[loss_on]
            expected = (error**2 if loss == "mse" else np.abs(error)).mean()
            assert np.isclose(found[row], expected, rtol=1e-4)
        empty = dataclasses.replace(batch, frames=batch.frames[:0], items=[])
        assert task.losses(empty).shape == [0]


def test_it_learns_and_the_score_hears_it(make_task: Make) -> None:
    with make_task() as task:
        optimizer = paddle.optimizer.Adam(5e-3, parameters=task.network.parameters())
        task.network.eval()
        before = task.score("dev")
        task.network.train()
        for epoch in range(1, 26):
            for [batch] in task.train_batches(epoch):
                task.losses(batch).mean().backward()
                optimizer.step()
                optimizer.clear_grad()
        task.network.eval()
        after = task.score("dev")
    assert after.higher_is_better and after.name in ("stoi", "stoi+pesq")
    gain = [float(score.detail.split("si-sdr ")[1].split()[0]) for score in (before, after)]
    assert gain[1] > 5 > gain[0], "the mixtures are at 0 dB"
    assert set(after.sounds) == {"dev: noisy", "dev: enhanced", "dev: clean"}
    [picture] = after.pictures.values()
    assert picture.dtype == np.uint8 and picture.shape[0] == 3 * 161 + 2 * 4


def test_without_pesq_the_score_is_stoi(make_task: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enhancement, "has_pesq", lambda: False)
    monkeypatch.setattr("scoring.speech_quality.has_pesq", lambda: False)
    with make_task() as task:
        task.network.eval()
        score = task.score("dev")
    assert score.name == "stoi" and f"stoi {score.value:.3f}" in score.detail
    assert "pesq" not in score.detail


def test_what_cannot_be_scored_is_told_once(
    make_task: Make, lists: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with make_task() as task:
        (lists / "clean" / "2.wav").unlink()
        task.network.eval()
        for _ in range(2):
            task.score("dev")
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("left out of the score: ") and "2.wav: file not found" in line


def options(*argv: str) -> Options:
    return parse_task("train.py", TASKS, ["--task=enhancement", *argv])


def test_a_description_makes_an_equal_enhancer() -> None:
    enhancer = Enhancer(SPECTRUM, complete(NETWORK, SPECTRUM))
    assert Enhancer.of(enhancer.describe(), "here") == enhancer
    for change, message in (
        ({"spectrum": {"n_fft": 300, "win_length": 320}}, "win_length"),
        ({"network": {"h": 7}}, "heads do not divide"),
        ({"task": "recognition"}, "a model for recognition, not for enhancement"),
    ):
        with pytest.raises(InputError, match=message):
            Enhancer.of({**enhancer.describe(), **change}, "here")


def test_options_must_agree_with_the_checkpoint_dropout_may_change() -> None:
    enhancer = Enhancer(SPECTRUM, complete(NETWORK, SPECTRUM))
    saved = Checkpoint(Path("a.pdparams"), {}, None, {"epoch": 1, **enhancer.describe()})
    assert resolve(options(), saved) == enhancer
    assert resolve(options("--dropout=0.5"), saved).network.dropout == 0.5
    for flag, message in (
        ("--network=rt", "--network=rt: a.pdparams was trained with lstm"),
        ("--n_fft=512", "--n_fft=512: a.pdparams was trained with 320"),
    ):
        with pytest.raises(InputError, match=message):
            resolve(options(flag), saved)


def test_what_the_checkpoint_has_may_be_said_again_alone() -> None:
    """None of these fits the defaults of the others, which are not in force."""
    spectrum = SpectrumSettings(RATE, 1024, 512, 1024)
    enhancer = Enhancer(spectrum, complete(dataclasses.replace(NETWORK, d_model=25), spectrum))
    saved = Checkpoint(Path("a.pdparams"), {}, None, {"epoch": 1, **enhancer.describe()})
    for flag in ("--input_size=513", "--win_length=1024", "--hop_length=512", "--d_model=25"):
        assert resolve(options(flag), saved) == enhancer
        if flag != "--d_model=25":
            with pytest.raises(InputError):
                resolve(options(flag), None)
    for flag in ("--output_size=None", "--ksize=None"):
        assert resolve(options(flag), saved) == enhancer
    with pytest.raises(InputError, match=r"--input_size=161: a\.pdparams was trained with 513"):
        resolve(options("--input_size=161"), saved)
