"""A folder as bad as folders get goes through every command: each file is used or named."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from workspace import Ran, Workspace, annotation_lines

GOOD = 24


def clip(seconds: float, rate: int = 16000, level: float = 0.05) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(round(seconds * rate)) * level


@dataclass(frozen=True)
class Journey:
    """What each command said."""

    work: Workspace
    preparation: list[Ran]
    training: Ran
    evaluation: Ran
    inference: Ran

    def manifest(self, split: str) -> str:
        return (self.work / "dataset" / f"manifest.{split}").read_text(encoding="utf-8")

    def skipped(self) -> str:
        return (self.work / "dataset" / "manifest.skipped.txt").read_text(encoding="utf-8")


def lay_out(work: Workspace, corpus: Path) -> None:
    audio = work / "dataset" / "audio"
    audio.mkdir(parents=True)
    odd = {}

    def add(name: str, transcript: str = "一二") -> Path:
        odd[f"audio/{name}"] = transcript
        return audio / name

    add("zero.wav").touch()
    whole = add("cut.wav")
    soundfile.write(whole, clip(2.0), 16000)
    whole.write_bytes(whole.read_bytes()[:32044])
    add("text.wav").write_text("这不是录音。\n", encoding="utf-8")
    soundfile.write(add("silent.wav"), np.zeros(16000), 16000)
    stereo = np.stack([clip(1.0, 44100), clip(1.0, 44100)], axis=1)
    soundfile.write(add("stereo.mp3"), stereo, 44100, format="MP3")
    soundfile.write(add("telephone.wav"), clip(1.0, 8000), 8000, subtype="PCM_U8")
    soundfile.write(add("说得好😀👍.wav"), clip(1.0), 16000)
    soundfile.write(add("no_text.wav", ""), clip(1.0), 16000)
    soundfile.write(add("too_much_text.wav", "一" * 40), clip(0.5), 16000)
    soundfile.write(add("minute.wav"), clip(60.0), 16000)
    odd["audio/nowhere.wav"] = "三四"
    soundfile.write(add("soon_gone.wav"), clip(1.0), 16000)
    good = annotation_lines(corpus / "annotation" / "train.txt", corpus, GOOD)
    test = annotation_lines(corpus / "annotation" / "test.txt", corpus, 8)
    soundfile.write(audio / "minute_of_test.wav", clip(60.0), 16000)
    work.annotate(train={**odd, **good}, test={**test, "audio/minute_of_test.wav": "一二"})


@pytest.fixture(scope="module")
def journey(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    work = Workspace(tmp_path_factory.mktemp("bad") / "work")
    lay_out(work, corpus)
    preparation = [work.run("tools/create_manifest.py"), work.run("tools/build_vocab.py")]
    # Between two commands, days may pass.
    (work / "dataset" / "audio" / "soon_gone.wav").unlink()
    preparation.append(work.run("tools/compute_mean_std.py", "--config=conf/small.json5"))
    training = work.train("--num_epoch=1", "--shuffle_method=batch_shuffle", "--num_workers=1")
    model = ("--resume_model=models/param/1.pdparams", "--use_gpu=False")
    evaluation = work.run("eval.py", *model)
    usable = ("stereo.mp3", "telephone.wav", "说得好😀👍.wav", "minute.wav")
    files = [f"dataset/audio/{name}" for name in usable]
    inference = work.run("infer.py", *model, "--audio_path", *files)
    return Journey(work, preparation, training, evaluation, inference)


@pytest.mark.parametrize(
    ("name", "line", "reason"),
    [
        ("zero.wav", 1, "empty file"),
        ("cut.wav", 2, r"truncated: 1\.00 s of 2\.00 s"),
        ("text.wav", 3, "not audio that libsndfile can read"),
        ("silent.wav", 4, r"silent \(-inf dBFS, speech lies above -80\)"),
        ("no_text.wav", 8, "empty transcript"),
        ("nowhere.wav", 11, r"file not found \(searched in .*dataset/annotation, dataset\)"),
    ],
)
def test_what_cannot_be_used_is_listed_with_its_line_and_reason(
    journey: Journey, name: str, line: int, reason: str
) -> None:
    listed = [problem for problem in journey.skipped().splitlines() if f"/{name}: " in problem]
    assert len(listed) == 1, journey.skipped()
    expected = rf"dataset/annotation/train\.txt:{line}: audio/{re.escape(name)}: {reason}"
    assert re.fullmatch(expected, listed[0]), listed
    assert listed[0] in "\n".join(journey.preparation[0].out)  # and shown
    assert f"/{name}" not in journey.manifest("train")


def test_nothing_else_is_skipped(journey: Journey) -> None:
    assert len(journey.skipped().splitlines()) == 6
    assert len(journey.manifest("train").splitlines()) == GOOD + 6
    assert len(journey.manifest("test").splitlines()) == 9


@pytest.mark.parametrize(
    ("name", "duration"), [("stereo.mp3", 1.0), ("telephone.wav", 1.0), ("说得好😀👍.wav", 1.0)]
)
def test_what_can_be_used_is_used(journey: Journey, name: str, duration: float) -> None:
    [line] = [line for line in journey.manifest("train").splitlines() if name in line]
    found = re.search(r'"duration": ([\d.]+)', line)
    assert found and abs(float(found[1]) - duration) < 0.06  # an mp3 is padded to whole frames
    everything = [*journey.training.err, *journey.preparation[2].err]
    assert not any(name in said for said in everything)


def test_what_a_loss_cannot_be_computed_for_is_named_before_training(journey: Journey) -> None:
    named = [line for line in journey.training.err if line.startswith("left out: ")]
    assert len(named) == 2, journey.training.err
    [minute] = [line for line in named if "minute.wav" in line]
    assert "dataset/manifest.train:" in minute and "lasts 60.00 s" in minute
    assert "--max_duration" in minute
    [too_much] = [line for line in named if "too_much_text.wav" in line]
    # 40 equal labels need a blank between each two: 79; of 0.5 s every 10 ms one frame, 49 or 50.
    assert "dataset/manifest.train:" in too_much
    assert re.search(r"40 labels need 79 output frames .* 0\.50 s give 17", too_much)


def test_what_vanished_meanwhile_is_named_and_survived(journey: Journey) -> None:
    [measured] = journey.preparation[2].err
    assert re.fullmatch(r"skipped: \S+manifest\.train:\d+: .*soon_gone.*not found", measured)
    warned = [line for line in journey.training.err if "soon_gone" in line]
    assert len(warned) == 1 and warned[0].startswith("warning: ") and "not found" in warned[0]
    assert "dataset/manifest.train:" in warned[0]


def test_training_runs(journey: Journey) -> None:
    # Good ones, and mp3, telephone, emoji and the one that will be missed: 28.
    assert any(line.endswith(f"训练数据数量：{GOOD + 4}") for line in journey.training.out)
    losses = [re.search(r"train loss: ([\d.]+)", line) for line in journey.training.out]
    values = [float(found[1]) for found in losses if found]
    assert len(values) == 2 and np.isfinite(values).all()
    assert "model: models/param/1.pdparams" in journey.training.out


def test_evaluation_uses_all_of_the_test_set(journey: Journey) -> None:
    assert journey.evaluation.err == []
    results = (journey.work / "results" / "eval.txt").read_text(encoding="utf-8").splitlines()
    assert len(results[::4]) == 9 and any("minute_of_test" in name for name in results[::4])
    assert re.fullmatch(r"cer: .* / 18: .*", journey.evaluation.out[-1])


def test_inference_answers_for_each_file(journey: Journey) -> None:
    assert journey.inference.err == []
    for line, name in zip(
        journey.inference.out,
        ("stereo.mp3", "telephone.wav", "说得好😀👍.wav", "minute.wav"),
        strict=True,
    ):
        assert re.fullmatch(
            rf"dataset/audio/{name}: 消耗时间：\d+ms, 识别结果: .*, 得分: \d+", line
        )
