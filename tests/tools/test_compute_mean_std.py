import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.errors import InputError
from data_utils.features import extract
from data_utils.manifest import Manifest, Utterance, write_manifests
from data_utils.normalizer import Normalizer
from data_utils.preparation import statistics
from data_utils.preparation.statistics import CHUNK, draw, measure
from data_utils.settings import FeatureSettings
from tools import compute_mean_std

LINEAR = FeatureSettings()
NUM_CLIPS = 2 * CHUNK + 5  # more than two chunks, so that two workers share them


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The samples of the clips of `dataset/manifest.train`, in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("dataset").mkdir()
    rng = np.random.default_rng(0)
    clips, utterances = [], []
    for i in range(NUM_CLIPS):
        samples = rng.normal(0, 0.1, rng.integers(1600, 4800)).astype("f4")
        soundfile.write(f"dataset/{i}.wav", samples, 16000, subtype="FLOAT")
        clips.append(samples)
        utterances.append(Utterance(f"dataset/{i}.wav", len(samples) / 16000, "一"))
    write_manifests({Path("dataset/manifest.train"): utterances})
    return clips


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def command(*argv: str) -> None:
        monkeypatch.setattr(sys, "argv", ["compute_mean_std.py", *argv])
        compute_mean_std.main()

    return command


def append_lines(*lines: str) -> None:
    with Path("dataset/manifest.train").open("a", encoding="utf-8") as stream:
        stream.writelines(
            f'{{"audio_filepath": "{line}", "duration": 1, "text": ""}}\n' for line in lines
        )


def test_the_statistics_are_those_of_all_frames(
    corpus: list[np.ndarray], run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--num_workers=1")
    frames = np.concatenate([extract(samples, LINEAR) for samples in corpus]).astype("f8")
    result = Normalizer.load("dataset/mean_std.npz", LINEAR)
    assert np.allclose(result.mean, frames.mean(axis=0), rtol=1e-12)
    assert np.allclose(result.std, frames.std(axis=0), rtol=1e-12)
    assert capsys.readouterr().out == (
        "./dataset/mean_std.npz: mean and std of 161 bins (linear), "
        f"{len(frames)} frames of {NUM_CLIPS} utterances\n"
    )


def test_any_number_of_workers_gives_the_same_bytes(
    corpus: list[np.ndarray], run: Callable[..., None]
) -> None:
    append_lines("missing.wav")
    for workers in (1, 2, 3):
        run(f"--num_workers={workers}", f"--output_path={workers}.npz", "--feature_type=mfcc")
    assert Path("1.npz").read_bytes() == Path("2.npz").read_bytes() == Path("3.npz").read_bytes()


def test_what_cannot_be_read_is_listed_and_left_out(
    corpus: list[np.ndarray], run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--num_workers=1", "--output_path=clean.npz")
    Path("empty.wav").touch()
    soundfile.write("silent.wav", np.zeros(16000), 16000)
    soundfile.write("short.wav", np.ones(100) * 0.1, 16000)
    append_lines("empty.wav", "silent.wav", "short.wav", "missing.wav")
    capsys.readouterr()
    run("--num_workers=1")
    output = capsys.readouterr()
    where = [f"skipped: ./dataset/manifest.train:{NUM_CLIPS + i}: " for i in (1, 2, 3, 4)]
    listed = [line for line in output.err.splitlines() if line.startswith("skipped")]
    assert listed == [
        where[0] + "empty.wav: empty file",
        where[1] + "silent.wav: silent (-inf dBFS, speech lies above -80)",
        where[2] + "short.wav: too short: 0.006 s, one frame takes 0.020 s",
        where[3] + "missing.wav: file not found",
    ]
    assert output.out.endswith(f"of {NUM_CLIPS} utterances, 4 skipped\n")
    assert Path("clean.npz").read_bytes() == Path("dataset/mean_std.npz").read_bytes()


def test_nothing_left_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., None]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_manifests({Path("manifest.train"): [Utterance("a.wav", 1.0, "一")]})
    with pytest.raises(InputError, match=r"none of the 1 .* manifest.train:1: a.wav: file not fou"):
        run("--manifest_path=manifest.train")
    assert [item.name for item in tmp_path.iterdir()] == ["manifest.train"]


def test_a_file_that_is_none_of_statistics_is_not_replaced(
    corpus: list[np.ndarray], run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("README.md").write_text("# About")
    with monkeypatch.context() as patch:
        patch.setattr(statistics, "measure", None)  # refused before the work
        with pytest.raises(InputError, match=r"README.md: .*another kind stands there"):
            run("--output_path=README.md", "--num_workers=1")
    assert Path("README.md").read_text() == "# About"
    for _ in range(2):
        run("--output_path=own.npz", "--num_workers=1")
    np.savez("old.npz", std=np.ones((161, 1)), mean=np.zeros((161, 1)))
    run("--output_path=old.npz", "--num_workers=1")
    Path("own.npz").write_bytes(Path("own.npz").read_bytes()[:100])
    run("--output_path=own.npz", "--num_workers=1")


def test_a_part_of_a_file_counts_as_that_part(corpus: list[np.ndarray]) -> None:
    whole = np.concatenate(corpus)
    soundfile.write("long.wav", whole, 16000, subtype="FLOAT")
    write_manifests({Path("m"): [Utterance("long.wav", 0.5, "一", start=1.0, end=1.5)]})
    result = measure(Manifest.open("m"), LINEAR, num_workers=1).statistics
    frames = extract(whole[16000:24000], LINEAR)
    assert result.count == len(frames)
    assert np.allclose(result.mean, frames.mean(axis=0, dtype="f8"), rtol=1e-12)


def test_samples_are_drawn_the_same_way_each_time(corpus: list[np.ndarray]) -> None:
    manifest = Manifest.open("dataset/manifest.train")
    drawn = [utterance.key for utterance in draw(manifest, 20)]
    assert drawn == [utterance.key for utterance in draw(manifest, 20)]
    assert len(set(drawn)) == 20
    keys = [utterance.key for utterance in manifest]
    assert drawn == sorted(drawn, key=keys.index) != keys[:20]
    for everything in (None, -1, NUM_CLIPS, 10**6):
        assert len(draw(manifest, everything)) == NUM_CLIPS


def test_no_sample_at_all_is_refused(corpus: list[np.ndarray], run: Callable[..., None]) -> None:
    with pytest.raises(InputError, match=r"--num_samples: must be at least 1 .*found 0"):
        run("--num_samples=0")


def test_options_reach_what_they_name(corpus: list[np.ndarray], run: Callable[..., None]) -> None:
    run(
        "--num_workers=1",
        "--num_samples=3",
        "--feature_type=fbank",
        "--num_mel_bins=40",
        "--window_ms=25",
        "--hop_ms=20",
        "--target_db=-25",
        "--use_db_normalization=True",
    )
    settings = FeatureSettings("fbank", 25.0, 20.0, True, -25.0, 40)
    loaded = Normalizer.load("dataset/mean_std.npz", settings)
    assert loaded.settings == settings and loaded.num_bins == 40


def test_several_manifests_count_together(
    corpus: list[np.ndarray], run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    run("--num_workers=1", "--manifest_path=dataset/manifest.train,dataset/manifest.train")
    assert f"of {2 * NUM_CLIPS} utterances" in capsys.readouterr().out


def die(chunk: range) -> None:
    os._exit(1)


def test_a_dead_process_is_said_in_one_line_and_leaves_no_file(
    corpus: list[np.ndarray], run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "_measure_in_worker", die)
    with pytest.raises(InputError, match=r"worker process died.*nothing was written"):
        run("--num_workers=2")
    assert not Path("dataset/mean_std.npz").exists()


def test_progress_reaches_the_end(corpus: list[np.ndarray]) -> None:
    done: list[int] = []
    measure(Manifest.open("dataset/manifest.train"), LINEAR, num_workers=1, progress=done.append)
    assert sum(done) == NUM_CLIPS
