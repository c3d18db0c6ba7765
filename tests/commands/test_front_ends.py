"""Front ends as users have them: songs to stems, noise out of speech, in front of a recogniser."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from songs import write_song
from workspace import Workspace

SMALL_SONGS = (
    *("--sample_rate=8000", "--frame_length=256", "--frame_step=64", "--T=64", "--F=64"),
    *("--chunk_duration=1", "--n_chunks_per_song=2", "--margin=0.25", "-bs", "2", "--lr=1e-3"),
)
OWN = ("--use_gpu=False", "--num_threads=1", "--num_workers=0", "--log_interval=1")
NETWORK = ("--network=lstm", "--d_model=16", "--n_level=1")


@pytest.fixture
def songs(work: Workspace) -> Workspace:
    for number in range(2):
        write_song(work / f"dataset/song{number}", 3.0, number)
    ran = work.run("run_scripts/preprocess.py")
    assert ran.out[0] == "songs 2, hours 0.00, skipped 0"
    return work


def spleeter(work: Workspace, *options: str, code: int = 0) -> list[str]:
    ran = work.run("run_scripts/run_spleeter.py", *SMALL_SONGS, *OWN, *options, code=code)
    return [*ran.out, *ran.err]


def test_songs_are_taken_apart(songs: Workspace) -> None:
    said = spleeter(songs, "--epochs=1", "--trainer=somebody")
    assert "trainer: somebody" in said and "num_epoch: 1" in said
    said = spleeter(songs, "--epochs=2")
    assert any(line.startswith("resumed: model/1.pdparams, going on with epoch 2") for line in said)
    assert "trainer: somebody" in said, "its checkpoint remembers"
    said = spleeter(songs, "--epochs=3", "--start=2", "--load_optimizer=False")
    assert any(line.startswith("resumed: ") and "with epoch 2, batch 0" in line for line in said)
    assert sorted(path.name for path in (songs / "model").glob("*.pdparams")) == ["3.pdparams"]
    said = spleeter(songs, "--epochs=1", "--load_model=False", "--model_dir=other")
    assert not any(line.startswith("resumed: ") for line in said)

    ran = songs.run("tools/separate.py", "dataset/song0/mixture.wav", "--use_gpu=False")
    assert ran.out[-1].startswith("dataset/song0/mixture.wav: separated/mixture/vocals.wav, ")
    stems = [
        soundfile.read(songs / f"separated/mixture/{name}.wav")[0]
        for name in ("vocals", "accompaniment")
    ]
    mixture, _ = soundfile.read(songs / "dataset/song0/mixture.wav")
    assert np.abs(sum(stems) - mixture).max() < 1e-4
    ran = songs.run("eval.py", "--task=separation", "--use_gpu=False")
    assert ran.out[0].startswith("4 parts of 2 songs")
    assert [line.split()[0] for line in ran.out[2:]] == ["vocals", "accompaniment"]


def test_songs_in_all_three_modes(songs: Workspace) -> None:
    losses = []
    for mode in ("train", "process_data", "fast_train"):
        options = ("-m", mode, "--store_dir=store", f"--model_dir={mode}", "--epochs=1")
        said = spleeter(songs, *options, "--store_dtype=float32")
        losses += [[line.split("loss: ")[1] for line in said if line.startswith("Train [")]]
    assert losses[1] == [] and losses[0]
    plain, stored = ([float(line.split(",")[0]) for line in losses[mode]] for mode in (0, 2))
    assert np.allclose(plain, stored, rtol=1e-3)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--mode=both", "--mode: 'both' is not one of train, process_data, fast_train"),
        ("--T=100", "--T 100: the network halves it 6 times"),
        ("--F=192", "--F 192: frames of 256 samples have 129 bins"),
        ("--margin=-1", "--margin: must be at least 0, found -1.0"),
        ("--load_model=perhaps", "--load_model: True or False expected, found 'perhaps'"),
        ("--amp=True", "amp"),
        ("--momentum=0.5 --optimizer=adam", "momentum"),
        ("--loss=huber", "--loss: 'huber' is not one of mse, l1"),
        ("--n_chunks_per_song=0", "--n_chunks_per_song: must be at least 1, found 0"),
        ("--mode=process_data --nproc_per_node=2", "--nproc_per_node=2"),
        ("--lr=-1", "--learning_rate: must be at least 0, found -1.0"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(
    option: str, message: str, songs: Workspace
) -> None:
    said = spleeter(songs, *option.split(), code=2)
    [error] = [line for line in said if line.startswith("error: ")]
    assert message in error
    assert not (songs / "model").exists()


def test_noise_is_taken_out_of_speech(trained: Workspace, tmp_path: Path) -> None:
    work = trained.copy(tmp_path / "work")
    lists = [f"--train_clean={work / 'dataset/manifest.dev'}"]
    lists += [f"--train_noise={work / 'dataset/audio/noise'}"]
    lists += [f"--dev_clean={work / 'dataset/manifest.dev'}", "--dev_snrs=0"]
    lists += [f"--dev_noise={work / 'dataset/audio/noise'}"]
    options = ("--task=enhancement", *lists, *NETWORK, *OWN, "--batch_size=4")
    ran = work.run("train.py", *options, "--num_epoch=1")
    assert any(line.startswith("Dev [") and "si-sdr" in line for line in ran.out)
    ran = work.run("train.py", *options, "--num_epoch=2", "--resume_model=latest")
    assert any("resumed: models/enhancement/1.pdparams" in line for line in ran.out)

    shutil.copy(next((work / "dataset/audio/noise").iterdir()), work / "noisy.wav")
    ran = work.run("tools/enhance.py", "noisy.wav", "missing.wav", "--use_gpu=False", code=2)
    assert ran.out[-1] == "noisy.wav: enhanced/noisy.wav"
    assert any("missing.wav: file not found" in line for line in ran.err)
    before, rate = soundfile.read(work / "noisy.wav")
    after, new_rate = soundfile.read(work / "enhanced/noisy.wav")
    assert abs(len(after) / new_rate - len(before) / rate) < 0.001

    tests = (f"--test_clean={work / 'dataset/manifest.dev'}", "--test_snrs=0,5")
    tests += (f"--test_noise={work / 'dataset/audio/noise'}",)
    ran = work.run("eval.py", "--task=enhancement", *tests, "--use_gpu=False")
    assert [line.split()[0] for line in ran.out[-2:]] == ["0", "5"]

    # In front of the recogniser: the whole signal kept, nothing changes.
    model = ("--resume_model=models/param/2.pdparams", "--use_gpu=False")
    front = "--frontend=models/enhancement"
    plain = work.run("eval.py", *model).out[-1]
    assert work.run("eval.py", *model, front, "--observation=1").out[-1] == plain
    audio = next(iter((work / "dataset").glob("manifest.dev"))).read_text().split('"')[3]
    ran = work.run("infer.py", *model, front, "--observation=0.1", f"--audio_path={audio}")
    assert "识别结果" in ran.out[-1]
    message = work.run("eval.py", *model, "--frontend=models/param/2", code=2).err[-1]
    assert "a model for recognition, not for enhancement" in message


def test_a_recogniser_is_trained_behind_a_front_end(trained: Workspace, tmp_path: Path) -> None:
    """The front end; the recogniser behind it, frozen; both together; and what all that is for."""
    work = trained.copy(tmp_path / "work")
    lists = [f"--{part}_clean={work / 'dataset/manifest.dev'}" for part in ("train", "dev")]
    lists += [f"--{part}_noise={work / 'dataset/audio/noise'}" for part in ("train", "dev")]
    work.run("train.py", "--task=enhancement", *lists, *NETWORK, *OWN, "--num_epoch=1")
    data = ("--dev_manifest=dataset/manifest.dev", "--test_manifest=None", "--num_epoch=1")
    front = "--frontend=models/enhancement"
    behind = ("--pretrained_model=models/param/2", front, "--output_model_dir=models/behind")
    ran = work.train(*data, *behind)
    assert (
        "front end: models/enhancement, frozen; 0 to 1 of the unprocessed signal is kept, 0.5 in "
        "scoring"
    ) in ran.out
    joint = ("--pretrained_model=models/behind/1", "--output_model_dir=models/joint")
    ran = work.train(*data, *joint, "--frontend_training=joint", "--observation=0.1,0.5")
    [scored] = [line for line in ran.out if line.startswith("Dev [")]

    # At the middle of the bounds eval.py counts what training counted.
    model = ("--resume_model=models/joint/1", "--use_gpu=False")
    dev = ("--test_manifest=dataset/manifest.dev", "--observation=0.3")
    ran = work.run("eval.py", *model, *dev)
    assert ran.out[-1].startswith("cer: ") and scored.endswith(ran.out[-1])
    audio = (work / "results" / "eval.txt").read_text("utf-8").splitlines()[0]
    ran = work.run("infer.py", *model, "--json", f"--audio_path={audio}")
    assert json.loads(ran.out[-1])["audio"] == audio
    for options, message in (
        ((*model, front), "models/joint/1 carries the front end that it was trained behind; leave"),
        (
            ("--resume_model=models/param/2", "--observation=0.1"),
            "without a front end all of the signal is heard",
        ),
    ):
        said = work.run("eval.py", *options, code=2).err
        assert len(said) == 1 and message in said[0]
