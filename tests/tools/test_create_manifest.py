import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.errors import InputError
from data_utils.manifest import Manifest
from data_utils.preparation.manifests import create_manifests, manifest_prefix
from data_utils.settings import ManifestSettings

TOOL = Path(__file__).parents[2] / "tools" / "create_manifest.py"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dataset/annotation").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(name: str, seconds: float = 0.1, level: float = 0.1, **how: object) -> str:
    """A recording below dataset/audio; returns the path as annotations write it."""
    path = Path("dataset/audio", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).standard_normal(round(seconds * 16000)) * level
    soundfile.write(path, samples, 16000, **how)
    return path.as_posix()


def annotate(name: str, lines: Mapping[str, str], encoding: str = "utf-8") -> None:
    text = "".join(f"{audio}\t{rest}\n" for audio, rest in lines.items())
    Path("dataset/annotation", name).write_bytes(text.encode(encoding))


def names(split: str) -> set[str]:
    return {Path(u.audio).stem for u in Manifest.open(f"dataset/manifest.{split}")}


def test_given_splits_are_kept_and_others_never_train() -> None:
    for split in ("train", "dev", "test", "other"):
        annotate(f"{split}.txt", {record(f"{split}{i}.wav"): "你好" for i in range(3)})
    create_manifests(ManifestSettings())
    for split in ("train", "dev", "test", "other"):
        assert names(split) == {f"{split}{i}" for i in range(3)}


def test_without_given_splits_speakers_stay_together(capsys: pytest.CaptureFixture[str]) -> None:
    annotate("a.txt", {record(f"{i}.wav"): f"你好\ts{i % 6}" for i in range(24)})
    create_manifests(ManifestSettings())
    speakers = {
        split: {u.speaker for u in Manifest.open(f"dataset/manifest.{split}")}
        for split in ("train", "dev", "test")
    }
    assert set.union(*speakers.values()) == {f"s{i}" for i in range(6)}
    assert sum(map(len, speakers.values())) == 6
    assert "divided by speaker (6)" in capsys.readouterr().out


def test_without_speakers_more_files_move_none(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ManifestSettings(test_share=0.3, dev_share=0.3)
    lines = {record(f"{i}.wav"): "你好" for i in range(20)}
    annotate("a.txt", lines)
    create_manifests(settings)
    before = {split: names(split) for split in ("train", "dev", "test")}
    annotate("b.txt", {record(f"b{i}.wav"): "你好" for i in range(20)})
    create_manifests(settings)
    assert all(before[split] <= names(split) for split in before)
    assert "divided by a hash of the file name (40)" in capsys.readouterr().out


def test_a_test_set_is_held_out_of_train_if_nothing_else_is_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotate("train.txt", {record(f"{i}.wav"): "你好" for i in range(10)})
    create_manifests(ManifestSettings(test_share=0.3))
    assert names("train").isdisjoint(names("test"))
    assert len(names("train") | names("test")) == 10
    assert not Path("dataset/manifest.dev").exists()
    assert "test held out of train" in capsys.readouterr().out


def test_a_missing_train_file_is_said_and_nothing_becomes_training_data(
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotate("test.txt", {record("a.wav"): "你好"})
    annotate("mine.txt", {record("b.wav"): "你好"})
    create_manifests(ManifestSettings())
    assert names("mine") == {"b"} and names("test") == {"a"}
    assert not Path("dataset/manifest.train").exists()
    assert "no train file" in capsys.readouterr().out


def test_problems_are_listed_and_the_rest_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    good = record("good.wav", 0.5)
    whole = Path(good).read_bytes()
    Path("dataset/audio/short.wav").write_bytes(whole[: len(whole) // 2])
    Path("dataset/audio/zero.wav").write_bytes(b"")
    Path("dataset/audio/text.wav").write_text("no audio")
    record("silent.wav", level=0)
    lines = [
        f"{good}\t你好，World！",
        "dataset/audio/short.wav\t短",
        "audio/zero.wav\t零",
        "audio/text.wav\t文",
        "audio/silent.wav\t静",
        "audio/missing.wav\t无",
        f"{good}\t",
        f"{good}\t！",
        "no tab",
        f"{good}\t再",
        f"{record('😀 甲.mp3')}\tEmoji",
        f"{record('8k.wav', subtype='PCM_U8')}\t八",
    ]
    Path("dataset/annotation/train.txt").write_text("\n".join(lines), "utf-8")
    prepared = create_manifests(ManifestSettings(test_share=0))
    manifest = Manifest.open("dataset/manifest.train")
    assert [(u.audio, u.text) for u in manifest] == [
        ("dataset/audio/good.wav", "你好world"),
        ("dataset/audio/😀 甲.mp3", "emoji"),
        ("dataset/audio/8k.wav", "八"),
    ]
    assert manifest[0].duration == pytest.approx(0.5)
    listed = Path("dataset/manifest.skipped.txt").read_text("utf-8").splitlines()
    where = "dataset/annotation/train.txt"
    reasons = {
        2: "dataset/audio/short.wav: truncated",
        3: "audio/zero.wav: empty file",
        4: "audio/text.wav: not audio",
        5: "audio/silent.wav: silent",
        6: "audio/missing.wav: file not found (searched in ., dataset/annotation, dataset)",
        7: f"{good}: empty transcript",
        8: f"{good}: nothing to be heard in '！'",
        9: "path<TAB>text[<TAB>speaker] expected, found no tab",
        10: f"{good}: the same recording as {where}:1, which is used",
    }
    assert len(listed) == len(reasons)
    for number, reason in reasons.items():
        assert any(line.startswith(f"{where}:{number}: {reason}") for line in listed)
    assert prepared.dropped == {",": 1, "!": 1}
    printed = capsys.readouterr().out
    assert all(line in printed for line in listed)
    assert "dropped 2 characters" in printed


def test_only_the_first_problems_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    annotate("train.txt", {record("a.wav"): "你", **{f"{i}.wav": "无" for i in range(30)}})
    create_manifests(ManifestSettings())
    printed = capsys.readouterr().out
    assert printed.count("file not found") == 20
    assert "skipped 30 (10 more than shown), listed in dataset/manifest.skipped.txt" in printed
    assert len(Path("dataset/manifest.skipped.txt").read_text("utf-8").splitlines()) == 30
    annotate("train.txt", {record("a.wav"): "你"})
    create_manifests(ManifestSettings())
    assert not Path("dataset/manifest.skipped.txt").exists()


def test_noises_come_from_their_folder() -> None:
    annotate("train.txt", {record("a.wav"): "你"})
    record("noise/sub/n.wav", 0.2)
    record("noise/silent.wav", level=0)
    Path("dataset/audio/noise/LICENSE").write_text("")
    prepared = create_manifests(ManifestSettings())
    assert [(u.audio, u.text) for u in Manifest.open("dataset/manifest.noise")] == [
        ("dataset/audio/noise/sub/n.wav", "")
    ]
    assert [problem.audio for problem in prepared.problems] == ["dataset/audio/noise/silent.wav"]


@pytest.mark.parametrize("name", ["noise.txt", "Noise.csv", "impulse.txt"])
def test_speech_never_becomes_a_manifest_of_sounds(name: str) -> None:
    annotate("train.txt", {record("a.wav"): "你"})
    annotate(name, {record("b.wav"): "好"})
    with pytest.raises(InputError, match=rf"annotation/{name}: .*another name"):
        create_manifests(ManifestSettings(noise_path=None))
    assert not list(Path("dataset").glob("manifest.*"))
    # Without given splits no file makes a manifest of its own.
    Path("dataset/annotation/train.txt").rename("dataset/annotation/mine.txt")
    create_manifests(ManifestSettings(noise_path=None, test_share=0, dev_share=0))
    assert names("train") == {"a", "b"}


def test_the_same_recording_in_train_and_test_is_pointed_out() -> None:
    for split in ("train", "test"):
        annotate(f"{split}.txt", {record("a.wav"): "你"})
    prepared = create_manifests(ManifestSettings())
    assert any("1 recordings stand in both train and test" in note for note in prepared.notes)


def test_gbk_and_traditional_text() -> None:
    annotate("train.txt", {record("a.wav"): "後來", record("b.wav"): "漢字"}, encoding="gbk")
    prepared = create_manifests(ManifestSettings(to_simplified=True, test_share=0))
    assert [u.text for u in Manifest.open("dataset/manifest.train")] == ["后来", "汉字"]
    assert "dataset/annotation/train.txt: GB18030" in prepared.notes


def test_user_files_are_never_touched() -> None:
    annotate("train.txt", {record("a.wav"): "你"}, encoding="utf-8-sig")
    mine = [Path("dataset/audio/a.wav"), Path("dataset/annotation/train.txt")]
    before = [(path.read_bytes(), path.stat().st_mtime_ns) for path in mine]
    create_manifests(ManifestSettings())
    assert [(path.read_bytes(), path.stat().st_mtime_ns) for path in mine] == before


def test_nothing_left_is_an_error_and_keeps_older_manifests() -> None:
    annotate("train.txt", {record("a.wav"): "你"})
    create_manifests(ManifestSettings())
    before = Path("dataset/manifest.train").read_bytes()
    annotate("train.txt", {"missing.wav": "你"})
    with pytest.raises(InputError, match=r"no line in it can be used \(first: .*train.txt:1: "):
        create_manifests(ManifestSettings())
    assert Path("dataset/manifest.train").read_bytes() == before


def test_an_empty_file_is_an_error_and_nothing_else_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    annotate("train.txt", {})
    with pytest.raises(InputError, match=r"no line in it can be used \(there is none\)$"):
        create_manifests(ManifestSettings())
    assert capsys.readouterr().out == ""
    annotate("more.txt", {record("a.wav"): "你"})
    prepared = create_manifests(ManifestSettings())
    assert names("more") == {"a"}
    assert not any("held out" in note for note in prepared.notes), "of nothing"


def test_a_file_that_is_no_manifest_is_not_replaced() -> None:
    annotate("train.txt", {record("a.wav"): "你"})
    Path("dataset/manifest.train").write_text("my notes")
    with pytest.raises(InputError, match=r"manifest.train: .*another kind stands there"):
        create_manifests(ManifestSettings())
    assert Path("dataset/manifest.train").read_text() == "my notes"
    Path("dataset/manifest.train").write_text('\ufeff{"text": "你"}\n')
    create_manifests(ManifestSettings())
    assert names("train") == {"a"}


def test_a_folder_in_the_place_of_a_recording_is_called_one() -> None:
    annotate("train.txt", {record("a.wav"): "你", "audio": "好"})
    prepared = create_manifests(ManifestSettings())
    assert [str(problem) for problem in prepared.problems] == [
        "dataset/annotation/train.txt:2: audio: is a folder, not a recording"
    ]


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("./dataset/manifest.", "dataset/manifest."),
        ("dataset/manifest", "dataset/manifest."),
        ("./dataset/", "dataset/manifest."),
        ("dataset", "dataset/manifest."),
        ("new/", "new/manifest."),
    ],
)
def test_the_prefix_may_be_a_folder(given: str, prefix: str) -> None:
    assert manifest_prefix(given) == prefix


def test_the_command_and_its_exit_code() -> None:
    run = [sys.executable, str(TOOL)]
    failed = subprocess.run(run, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: dataset/annotation: no file in it")
    assert len(failed.stderr.splitlines()) == 1
    annotate("train.txt", {record(f"{i}.wav"): "你" for i in range(4)})
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "written: dataset/manifest.train dataset/manifest.test" in done.stdout


def test_what_else_is_known_of_a_recording_comes_along() -> None:
    for split in ("train", "dev", "test"):
        said = ("s1\tlanguage=zh\tnoise=street", "language=en", "s2")
        annotate(
            f"{split}.txt", {record(f"{split}{i}.wav"): f"你好\t{s}" for i, s in enumerate(said)}
        )
    create_manifests(ManifestSettings())
    for split in ("train", "dev", "test"):
        rows = {Path(u.audio).stem: u for u in Manifest.open(f"dataset/manifest.{split}")}
        assert [(rows[f"{split}{i}"].speaker, rows[f"{split}{i}"].fields) for i in range(3)] == [
            ("s1", {"language": "zh", "noise": "street"}),
            (None, {"language": "en"}),
            ("s2", {}),
        ]
