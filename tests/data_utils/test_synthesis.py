"""Who says what, what it sounds like by measure, and that the same settings give the same bytes."""

import dataclasses
import os
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils import synthesis
from data_utils.errors import InputError
from data_utils.sentences import spoken
from data_utils.settings import GenerationSettings
from data_utils.synthesis import SPLITS, VOICES, generate_corpus, plan, recorded

pytest.importorskip("espeakng_loader")
RATE = 16000
SMALL = GenerationSettings(num_train=5, num_dev=2, num_test=2, unseen_share=0.5, num_workers=2)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def db(samples):
    return 10 * np.log10(np.mean(np.square(samples)))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    generate_corpus(dataclasses.replace(SMALL, output_dir=str(folder)))
    return folder


@given(
    num_train=st.integers(1, 300),
    num_dev=st.integers(0, 40),
    num_test=st.integers(0, 40),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=25, deadline=None)
def test_the_plan_keeps_voices_and_sentences_apart(num_train, num_dev, num_test, share, seed):
    wanted = GenerationSettings(
        num_train=num_train, num_dev=num_dev, num_test=num_test, unseen_share=share, seed=seed
    )
    clips = plan(wanted)
    assert clips == plan(wanted)
    assert len({clip.path for clip in clips}) == len(clips)

    voices, texts = defaultdict(set), defaultdict(list)
    for clip in clips:
        voices[clip.split].add(clip.voice)
        texts[clip.split].append(spoken(clip.text))
    assert [len(texts[split]) for split in SPLITS] == [num_train, num_dev, num_test]
    for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
        assert not voices[one] & voices[other]
    trained = set(texts["train"])
    for split in ("dev", "test"):
        unseen = [text for text in texts[split] if text not in trained]
        assert len(unseen) == round(share * len(texts[split]))
    assert not (set(texts["dev"]) - trained) & (set(texts["test"]) - trained)


def test_the_usual_plan_lets_all_voices_speak_equally_often():
    clips = plan(GenerationSettings())
    counts = defaultdict(int)
    for clip in clips:
        counts[clip.split, clip.voice] += 1
    assert {voice for _, voice in counts} == set(VOICES)
    for split in SPLITS:
        numbers = [count for (of, _), count in counts.items() if of == split]
        assert max(numbers) - min(numbers) <= 1
    assert plan(GenerationSettings(seed=1)) != clips


def test_a_file_of_sentences_is_shared_out_and_a_tenth_of_it_kept_from_training(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(f"第{i}句。" for i in range(50)), encoding="utf-8")
    clips = plan(GenerationSettings(text=str(path), num_train=90, num_dev=40, num_test=40))
    texts = defaultdict(list)
    for clip in clips:
        texts[clip.split].append(clip.text)
    trained = set(texts["train"])
    assert len(trained) == 40
    for split in ("dev", "test"):
        unseen = [text for text in texts[split] if text not in trained]
        assert len(unseen) == 12 and len(set(unseen)) == 5


def test_too_few_sentences_to_keep_some_from_training_is_said(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("你好\n再见\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"text.txt: too few sentences.*--unseen_share=0"):
        plan(GenerationSettings(text=str(path)))
    assert plan(GenerationSettings(text=str(path), unseen_share=0))


def test_speakers_can_be_folders_anywhere():
    folders = [clip.speaker for clip in plan(GenerationSettings(num_dev=8, num_test=8))]
    assert len({name.casefold() for name in folders}) == len(VOICES)
    assert all(name.isascii() and " " not in name for name in folders)


def test_all_voices_are_in_the_wheel():
    import espeakng_loader

    variants = Path(espeakng_loader.get_data_path(), "voices", "!v")
    assert set(VOICES) <= {path.name for path in variants.iterdir()}


def test_annotation_is_what_a_user_would_have(corpus):
    wanted = dataclasses.replace(SMALL, output_dir=str(corpus))
    expected = [(clip.split, clip.path, clip.text, clip.speaker) for clip in plan(wanted)]
    found = [
        (split, *line.split("\t"))
        for split in SPLITS
        for line in (corpus / "annotation" / f"{split}.txt").read_text("utf-8").splitlines()
    ]
    assert found == expected
    on_disk = {path.relative_to(corpus).as_posix() for path in corpus.glob("audio/t*/*/*.wav")}
    on_disk |= {path.relative_to(corpus).as_posix() for path in corpus.glob("audio/dev/*/*.wav")}
    assert on_disk == {path for _, path, _, _ in expected}


def test_clips_sound_like_recorded_speech(corpus):
    for clip in plan(SMALL):
        path = corpus / clip.path
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 1, "PCM_16")
        samples, _ = soundfile.read(path)
        assert np.abs(samples).max() < 0.95
        assert -32 < db(samples) < -17
        assert 0.06 < len(samples) / RATE / len(spoken(clip.text)) < 0.9
        frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        levels = 10 * np.log10(np.mean(frames**2, axis=1))
        assert -68 < levels.min() < -43  # a noise floor, never digital silence
        # Speech lies mostly below 4 kHz; noise alone would put half of its power above.
        power = np.abs(np.fft.rfft(samples)) ** 2
        assert power[: len(power) // 2].sum() > 0.6 * power.sum()


def test_the_same_bytes_for_any_number_of_workers(corpus, tmp_path):
    generate_corpus(dataclasses.replace(SMALL, output_dir=str(tmp_path), num_workers=1))
    assert contents(tmp_path) == contents(corpus)


def test_two_cores_speak_3000_clips_in_a_minute(tmp_path):
    """One voice's share of them, its process included, in CPU seconds: other load counts less."""
    clips = [clip for clip in plan(GenerationSettings()) if clip.voice == VOICES[0]]
    assert len(clips) == pytest.approx(3000 / len(VOICES), abs=20)
    before = os.times()
    synthesis._speak_apart(clips, tmp_path, 0)
    after = os.times()
    seconds = after.children_user - before.children_user
    seconds += after.children_system - before.children_system
    assert 2 * len(clips) / seconds > 3000 / 60
    assert len(list(tmp_path.rglob("*.wav"))) == len(clips)


def test_an_interrupted_run_goes_on_and_keeps_what_exists(tmp_path):
    # One voice speaks several clips here: those after the missing one depend on it having spoken.
    voice = VOICES[0]
    clips = [
        synthesis.Clip("train", voice, i, text)
        for i, text in enumerate(["一二三", "打开灯", "四五"])
    ]
    for folder in ("whole", "resumed"):
        synthesis._speak_apart(clips, tmp_path / folder, 0)
    whole = contents(tmp_path / "whole")
    kept = tmp_path / "resumed" / clips[0].path
    before = kept.stat().st_mtime_ns
    (tmp_path / "resumed" / clips[1].path).unlink()
    (tmp_path / "resumed" / clips[2].path).unlink()
    synthesis._speak_apart(clips, tmp_path / "resumed", 0)
    assert contents(tmp_path / "resumed") == whole
    assert kept.stat().st_mtime_ns == before


def test_a_complete_corpus_is_left_alone(corpus, monkeypatch):
    monkeypatch.setattr(synthesis, "_speak_apart", lambda *_: pytest.fail("spoke again"))
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*.wav")}
    generate_corpus(dataclasses.replace(SMALL, output_dir=str(corpus), num_workers=1))
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*.wav")} == before


def die(*_, **__):
    os._exit(1)


def test_a_dead_process_is_said_in_one_line_and_leaves_no_annotation(tmp_path, monkeypatch):
    monkeypatch.setattr(synthesis, "_speak", die)
    with pytest.raises(InputError, match=r"worker process died.*clips are kept"):
        generate_corpus(dataclasses.replace(SMALL, output_dir=str(tmp_path)))
    assert list(contents(tmp_path)) == ["generated.json"]


def test_other_settings_in_the_same_folder_are_refused(corpus, tmp_path):
    before = contents(corpus)
    text = tmp_path / "text.txt"
    text.write_text("你好\n再见\n早\n", encoding="utf-8")
    changes = [{"seed": 3}, {"num_train": 6}, {"unseen_share": 0.4}, {"text": str(text)}]
    for change in changes:
        wanted = dataclasses.replace(SMALL, output_dir=str(corpus), **change)
        with pytest.raises(InputError, match=f"the corpus there has {next(iter(change))}"):
            generate_corpus(wanted)
    assert contents(corpus) == before


@pytest.mark.parametrize("name", ["train.txt", "mine.txt", "mine"])
def test_a_users_own_annotation_is_neither_overwritten_nor_pushed_aside(tmp_path, name):
    own = tmp_path / "annotation" / name
    own.parent.mkdir()
    own.write_text("a.wav\t你好\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"{name}: .*choose another --output_dir"):
        generate_corpus(dataclasses.replace(SMALL, output_dir=str(tmp_path)))
    assert list(contents(tmp_path)) == [str(Path("annotation", name))]


def test_an_interrupted_run_does_not_overwrite_what_was_put_there_since(corpus, tmp_path):
    shutil.copytree(corpus, tmp_path, dirs_exist_ok=True)
    wanted = dataclasses.replace(SMALL, output_dir=str(tmp_path))
    train = tmp_path / "annotation" / "train.txt"
    (tmp_path / "annotation" / "more.txt").write_text("a.wav\t你好\n", encoding="utf-8")
    generate_corpus(wanted)  # a set of the user's beside a finished corpus
    train.write_text("a.wav\t你好\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"(more|train).txt: not of the corpus"):
        generate_corpus(wanted)
    assert train.read_text(encoding="utf-8") == "a.wav\t你好\n"


def test_without_the_engine_the_install_line_is_given(tmp_path, monkeypatch):
    def missing(_):
        raise synthesis.PackageNotFoundError

    monkeypatch.setattr(synthesis, "version", missing)
    with pytest.raises(InputError, match=r"pip install .*\[quickstart\]"):
        generate_corpus(dataclasses.replace(SMALL, output_dir=str(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_what_the_engine_cannot_say_is_named(tmp_path):
    clips = [synthesis.Clip("train", "f1", 0, "\u200b")]
    with pytest.raises(InputError, match="says nothing for"):
        synthesis._speak_apart(clips, tmp_path, 0)


@given(seed=st.integers(0, 2**32), gain=st.floats(0.001, 1.0), dead=st.integers(0, 3000))
@settings(max_examples=25, deadline=None)
def test_recorded_cuts_dead_silence_and_adds_a_quiet_room(seed, gain, dead):
    tone = gain * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE + 0.5)
    silence = np.zeros(dead)
    speech = np.concatenate([silence, tone, silence]).astype(np.float32)
    samples = recorded(speech, np.random.default_rng(seed))
    assert samples.dtype == np.float32
    extra = (len(samples) - RATE) / RATE
    assert 2 * 0.05 - 0.001 <= extra <= 2 * 0.3 + 0.001
    assert -67 < db(samples[:800]) < -43 and -67 < db(samples[-800:]) < -43
    middle = samples[len(samples) // 2 - 2000 : len(samples) // 2 + 2000]
    assert -28.3 < db(middle) < -17.7


@pytest.mark.parametrize(("slope", "decibels_per_octave"), [(0, 0.0), (1, -3.01), (2, -6.02)])
def test_colored_noise_falls_by_its_slope(slope, decibels_per_octave):
    noise = synthesis._colored(RATE * 20, slope, np.random.default_rng(0))
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies = np.fft.rfftfreq(len(noise), 1 / RATE)
    octaves = [
        10 * np.log10(power[(frequencies >= low) & (frequencies < 2 * low)].mean())
        for low in (62.5, 125, 250, 500, 1000, 2000)
    ]
    assert np.diff(octaves) == pytest.approx([decibels_per_octave] * 5, abs=0.7)


def test_hum_is_made_of_multiples_of_the_mains(corpus):
    samples, _ = soundfile.read(corpus / "audio" / "noise" / "hum_5.wav")
    power = np.abs(np.fft.rfft(samples)) ** 2
    tones = power[:: 50 * len(samples) // RATE][1:13]
    assert tones.sum() > 0.95 * power.sum()


def test_noises_are_ready_for_augmentation(corpus):
    names = sorted(path.name for path in (corpus / "audio" / "noise").iterdir())
    kinds = [name.split("_")[0] for name in names]
    assert kinds == ["babble"] * 2 + ["brown"] * 2 + ["hum"] + ["pink"] * 2 + ["white"]
    for name in names:
        samples, rate = soundfile.read(corpus / "audio" / "noise" / name)
        assert (rate, len(samples)) == (RATE, 10 * RATE)
        assert db(samples) == pytest.approx(-26, abs=0.1)
        assert np.abs(samples).max() < 0.99


def test_rate_and_pitch_do_what_they_say(tmp_path):
    """Measured in a process of its own, as the engine moves to the folder of its voices."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        slow, fast, low, high = process.submit(measure_engine).result()
    assert fast < 0.7 * slow
    assert high > 1.3 * low


def measure_engine():
    engine = synthesis.Engine()

    def say(**parameters):
        return engine.speak("妈妈妈妈", voice="cmn+m3", **parameters)

    def pitch(samples):
        """Hz, by the highest peak of the autocorrelation between 50 and 400 Hz."""
        middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
        products = np.correlate(middle, middle, "full")[len(middle) - 1 :]
        shortest, longest = engine.rate // 400, engine.rate // 50
        return engine.rate / (shortest + np.argmax(products[shortest:longest]))

    durations = [len(say(rate=rate)) for rate in (120, 240)]
    return *durations, *(pitch(say(pitch=value)) for value in (20, 80))
