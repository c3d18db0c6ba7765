"""Each kind of finding on recordings made to have it, and nothing on good ones."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.manifest import Manifest, Utterance, write_manifests
from data_utils.preparation import checks
from data_utils.preparation.checks import (
    CLIPPED,
    DURATION,
    FAINT,
    KINDS,
    MISSING,
    NO_FIT,
    NO_LABEL,
    OUTSIDE,
    RATE,
    SENTENCE,
    SHARED,
    SILENT,
    SPEAKER,
    SPEED,
    TWICE,
    UNKNOWN_CHARACTERS,
    UNREADABLE,
    Finding,
    Kind,
    SplitCheck,
    Standard,
    check_corpus,
    clipped_share,
)
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary

VOCABULARY = Vocabulary.build(dict.fromkeys("一二三四五ab", 1))
STANDARD = Standard(VOCABULARY, FeatureSettings(), 3, max_duration=20.0)
Line = tuple[str, str] | Utterance


def noise(seconds: float, rate: int = 16000, level: float = 0.05) -> np.ndarray:
    """Another one each time."""
    noise.seed += 1  # type: ignore[attr-defined]
    rng = np.random.default_rng(noise.seed)  # type: ignore[attr-defined]
    return rng.standard_normal(round(seconds * rate)) * level


noise.seed = 0  # type: ignore[attr-defined]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def clip(name: str, samples: np.ndarray | None = None, rate: int = 16000) -> str:
    soundfile.write(name, noise(1.0) if samples is None else samples, rate)
    return name


def checked(
    workers: int = 0, standard: Standard = STANDARD, **splits: list[Line]
) -> dict[str, SplitCheck]:
    """What is found in splits of (recording, transcript), each of 1 s, or of utterances."""
    for name, lines in splits.items():
        rows = [x if isinstance(x, Utterance) else Utterance(x[0], 1.0, x[1]) for x in lines]
        write_manifests({Path(f"manifest.{name}"): rows})
    opened = {name: Manifest.open(f"manifest.{name}") for name in splits}
    found = check_corpus(opened, standard, num_workers=workers)
    return {check.name: check for check in found}


def kinds(check: SplitCheck) -> dict[Kind, int]:
    return {kind: count for kind, count in check.counts.items() if count}


def test_in_good_data_nothing_is_found(folder: Path) -> None:
    train: list[Line] = [(clip(f"{n}.wav"), text) for n, text in enumerate(("一二", "三", "四"))]
    found = checked(train=train, dev=[(clip("dev.wav"), "五一")])
    assert kinds(found["train"]) == kinds(found["dev"]) == {}
    assert found["train"].characters == 4
    assert found["train"].seconds == pytest.approx([1.0] * 3)
    assert found["train"].levels == pytest.approx([-26.0] * 3, abs=0.3), "0.05 is -26 dB"


def test_what_cannot_be_read_is_named_with_its_line(folder: Path) -> None:
    clip("cut.wav", noise(2.0))
    content = Path("cut.wav").read_bytes()
    Path("cut.wav").write_bytes(content[: 44 + 32000])
    Path("empty.wav").touch()
    Path("text.wav").write_text("no recording")
    names = ("cut.wav", "empty.wav", "gone.wav", "text.wav")
    found = checked(train=[(name, text) for name, text in zip(names, "一二三四", strict=True)])
    assert kinds(found["train"]) == {UNREADABLE: 3, MISSING: 1}
    assert found["train"].findings[MISSING] == [
        Finding("manifest.train:3", "gone.wav", "file not found")
    ]
    assert found["train"].findings[UNREADABLE] == [
        Finding("manifest.train:1", "cut.wav", "truncated: 1.00 s of 2.00 s"),
        Finding("manifest.train:2", "empty.wav", "empty file"),
        Finding("manifest.train:4", "text.wav", "not audio that libsndfile can read"),
    ]


def test_a_defect_of_a_codec_costs_one_recording(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: str, **_: object) -> None:
        raise MemoryError(f"a decoder of {source}")

    monkeypatch.setattr(checks, "read_audio", broken)
    found = checked(train=[("a.wav", "一")])
    [finding] = found["train"].findings[UNREADABLE]
    assert finding.detail == "MemoryError: a decoder of a.wav"


def test_levels(folder: Path) -> None:
    # 16 bits end at 3e-5: float keeps what is fainter than that.
    soundfile.write("faint.wav", noise(1.0, level=2e-4), 16000, subtype="FLOAT")
    loud = np.clip(noise(1.0, level=0.3), -0.25, 0.25) * 4
    lines: list[Line] = [
        (clip("silent.wav", np.zeros(16000)), "一"),
        ("faint.wav", "二"),
        (clip("loud.wav", loud), "三"),
        (clip("one_peak.wav", np.append(noise(1.0), [1.0, 1.0])), "四"),
    ]
    found = checked(train=lines)["train"]
    assert kinds(found) == {SILENT: 1, FAINT: 1, CLIPPED: 1}
    assert found.findings[FAINT][0].detail == "-74 dBFS"
    assert found.findings[CLIPPED][0].audio == "loud.wav"


def test_the_share_that_is_clipped_counts_runs_alone() -> None:
    samples = np.zeros(100, dtype=np.float32)
    samples[[3, 10, 11, 40, 41, 42, 96, 97, 98, 99]] = [1, 1, -1, 1, 1, 1, -1, 1, -1, -1]
    assert clipped_share(samples) == pytest.approx(0.07)
    assert clipped_share(-np.abs(samples)) == pytest.approx(0.07)
    assert clipped_share(np.ones(2, dtype=np.float32)) == 0
    assert clipped_share(np.zeros(0, dtype=np.float32)) == 0


def test_labels(folder: Path) -> None:
    # A frame of 20 ms every 10 ms: 99 frames of 1 s, and a third as many outputs.
    lines: list[Line] = [
        (clip("full.wav"), "一二三" * 11),
        (clip("over.wav"), "一二三" * 11 + "一"),
        (clip("repeats.wav"), "一" * 18),
        (clip("unknown.wav"), "一龘龘龙"),
        (clip("nothing.wav"), "！？"),
    ]
    found = checked(train=lines)["train"]
    assert kinds(found) == {NO_FIT: 2, UNKNOWN_CHARACTERS: 1, NO_LABEL: 1}
    assert [f.detail for f in found.findings[NO_FIT]] == [
        "34 labels need 34 output frames, its 1.00 s give 33",
        "18 labels need 35 output frames, its 1.00 s give 33",
    ]
    assert found.needs[:3] == pytest.approx([1.0, 34 / 33, 35 / 33])
    assert found.unknown == {"龘": 2, "龙": 1}
    assert found.findings[UNKNOWN_CHARACTERS][0].detail == "龘 2, 龙 1"
    assert found.findings[NO_LABEL][0].where == "manifest.train:5"


def test_durations(folder: Path) -> None:
    lines: list[Line] = [
        Utterance(clip("short.wav"), 1.5, "一"),
        Utterance(clip("long.wav", noise(20.5)), 20.5, "二"),
        Utterance(clip("part.wav", noise(3.0)), 1.0, "三", start=1.0, end=2.0),
    ]
    found = checked(train=lines, test=[Utterance(clip("test.wav", noise(21.0)), 21.0, "四")])
    assert kinds(found["train"]) == {DURATION: 1, OUTSIDE: 1}
    assert kinds(found["test"]) == {}, "what is scored has no bounds"
    assert found["train"].findings[DURATION][0].detail == "1.00 s, 1.50 s in the manifest"
    assert found["train"].findings[OUTSIDE][0].detail == "lasts 20.50 s"


def test_sample_rates(folder: Path) -> None:
    lines: list[Line] = [(clip(f"{n}.wav", noise(1.0, 44100), 44100), "一") for n in range(3)]
    lines.append((clip("phone.wav", noise(1.0, 8000), 8000), "二"))
    found = checked(train=lines)["train"]
    assert [(f.audio, f.detail) for f in found.findings[RATE]] == [
        ("phone.wav", "8000 Hz, most have 44100")
    ]
    assert found.rates == [44100, 44100, 44100, 8000]


def test_pace_is_held_against_its_own_script(folder: Path) -> None:
    # 2 Chinese characters a second and 8 letters: each usual, and far from the other.
    lines: list[Line] = [(clip(f"c{n}.wav"), "一二") for n in range(20)]
    lines += [(clip(f"l{n}.wav"), "abababab") for n in range(20)]
    lines += [(clip("fast.wav"), "一二三四五一二"), (clip("slow.wav"), "ab")]
    found = checked(train=lines)["train"]
    assert [(f.audio, f.detail) for f in found.findings[SPEED]] == [
        ("fast.wav", "7.0 characters a second, the median is 2.0"),
        ("slow.wav", "2.0 characters a second, the median is 8.0"),
    ]


def test_of_few_nobody_can_tell_the_pace(folder: Path) -> None:
    found = checked(train=[(clip("a.wav"), "一"), (clip("b.wav"), "一二三四五")])["train"]
    assert kinds(found) == {}


def test_what_is_there_twice(folder: Path) -> None:
    clip("a.wav")
    sound, _ = soundfile.read("a.wav", dtype="int16")
    soundfile.write("same.flac", sound, 16000)
    soundfile.write("other_rate.wav", sound, 8000)
    lines: list[Line] = [("a.wav", "一"), ("a.wav", "一"), ("same.flac", "二"), ("b.wav", "三")]
    clip("b.wav")
    train = checked(train=[*lines, ("other_rate.wav", "四")])["train"]
    assert [(f.where, f.detail) for f in train.findings[TWICE]] == [
        ("manifest.train:2", "the same file as manifest.train:1"),
        ("manifest.train:3", "the same sound as manifest.train:1, with another transcript"),
    ]
    found = checked(train=[("a.wav", "一")], dev=[("b.wav", "二")], test=[("same.flac", "一")])
    assert kinds(found["dev"]) == {}
    assert found["test"].findings[SHARED] == [
        Finding("manifest.test:1", "same.flac", "the same sound as manifest.train:1")
    ]


def test_parts_of_one_file_are_not_the_same(folder: Path) -> None:
    clip("long.wav", noise(4.0))
    parts: list[Line] = [
        Utterance("long.wav", 1.0, text, start=start, end=start + 1)
        for text, start in (("一", 0.0), ("二", 1.0), ("三", 2.0), ("四", 1.0))
    ]
    found = checked(train=parts)["train"]
    assert [f.where for f in found.findings[TWICE]] == ["manifest.train:4"]


def test_silent_and_broken_recordings_are_no_copies_of_each_other(folder: Path) -> None:
    lines: list[Line] = [(clip(f"{n}.wav", np.zeros(16000)), "一") for n in range(2)]
    lines += [("gone.wav", "二"), ("gone_too.wav", "三")]
    assert kinds(checked(train=lines)["train"]) == {SILENT: 2, MISSING: 2}


def test_speakers_and_sentences_of_train(folder: Path) -> None:
    def said(name: str, text: str, speaker: str | None) -> Utterance:
        return Utterance(clip(name), 1.0, text, speaker)

    train: list[Line] = [said("1.wav", "一二", "ann"), said("2.wav", "一二", "bob")]
    train += [said("7.wav", "四三", ""), said("8.wav", "四四", None)]
    dev: list[Line] = [said("3.wav", "一 二！", "ann"), said("4.wav", "三", "ann")]
    dev.append(said("9.wav", "四四", ""))
    test: list[Line] = [said("5.wav", "三", "cid"), said("6.wav", "四", None)]
    found = checked(train=train, dev=dev, test=test)
    assert kinds(found["train"]) == kinds(found["test"]) == {}, "dev and test may be alike"
    assert found["dev"].findings[SENTENCE] == [
        Finding("manifest.dev:1", "3.wav", "2 times in train"),
        Finding("manifest.dev:3", "9.wav", "once in train"),
    ]
    assert found["dev"].findings[SPEAKER] == [
        Finding("manifest.dev:1", "3.wav", "ann: 2 utterances here, 1 in train")
    ]
    assert not found["dev"].speakers[""], "who has no name is not known to be the same one"


def test_any_number_of_workers_finds_the_same(folder: Path) -> None:
    lines: list[Line] = [(clip(f"{n}.wav"), "一二三四五"[: n % 6]) for n in range(70)]
    lines[40] = ("gone.wav", "一")
    shown = []
    for workers in (1, 3):
        found = checked(workers, train=lines, dev=lines[:5])
        shown.append(
            [(c.findings, c.counts, c.seconds, c.unknown, c.characters) for c in found.values()]
        )
    assert shown[0] == shown[1]
    assert shown[0][0][1][NO_LABEL] == 12 and shown[0][1][1][SHARED] == 5


def test_only_the_first_of_many_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "KEPT_FINDINGS", 3)
    found = checked(train=[(f"{n}.wav", "一") for n in range(10)])["train"]
    assert found.counts[MISSING] == 10 and len(found.findings[MISSING]) == 3


def test_a_name_that_is_not_utf8_is_survived(folder: Path) -> None:
    soundfile.write("a.wav", noise(1.0), 16000)
    os.rename(b"a.wav", b"\xff.wav")  # noqa: PTH104
    line = b'{"audio_filepath": "\\udcff.wav", "duration": 1, "text": "\xe4\xb8\x80"}\n'
    Path("manifest.train").write_bytes(line)
    [found] = check_corpus({"train": Manifest.open("manifest.train")}, STANDARD, num_workers=0)
    assert kinds(found) == {UNREADABLE: 1}


def test_every_kind_is_in_the_reports() -> None:
    assert {kind for kind in vars(checks).values() if isinstance(kind, Kind)} == set(KINDS)
