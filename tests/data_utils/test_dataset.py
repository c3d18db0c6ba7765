"""Utterances to batches: padding, labels that fit, and the one way through to features."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from tones import RATE, Corpus

from data_utils.audio import AudioError
from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.augmentation.specaug import SpecAugment
from data_utils.augmentation.speed import Speed
from data_utils.dataset import Example, SpeechDataset, collate, required_frames
from data_utils.features import num_bins, num_frames, read_features
from data_utils.manifest import Manifest, Utterance, write_manifests
from data_utils.normalizer import Normalizer, Statistics
from data_utils.preparation import statistics
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings

MakeCorpus = Callable[..., Corpus]


def dataset(corpus: Corpus, augmentation: AugmentationPipeline | None = None) -> SpeechDataset:
    return recogniser(corpus).dataset(Manifest.open(corpus.manifest), augmentation, seed=3)


def recogniser(corpus: Corpus) -> Recogniser:
    return Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std, corpus.features),
        NetworkSettings(),
    )


# Labels and frames


def shortest_alignment(labels: list[int]) -> int:
    """Fewest frames of which CTC's collapse is `labels`, by trying all."""
    for frames in itertools.count(0):
        for path in itertools.product(range(3), repeat=frames):
            collapsed = [label for label, _ in itertools.groupby(path)]
            if [label for label in collapsed if label] == labels:
                return frames
    raise AssertionError


@given(st.lists(st.integers(1, 2), max_size=4))
def test_required_frames_by_trying_all_alignments(labels: list[int]) -> None:
    assert required_frames(labels) == shortest_alignment(labels)


def test_fits_counts_output_frames_rounded_up(make_corpus: MakeCorpus) -> None:
    data = dataset(make_corpus(["一"]))
    assert data.time_reduction == 3
    assert [data.fits([1, 2], frames) for frames in (3, 4, 6)] == [False, True, True]
    assert [data.fits([1, 1], frames) for frames in (6, 7)] == [False, True]


def test_what_no_loss_can_be_computed_for_is_named_with_both_numbers(
    make_corpus: MakeCorpus,
) -> None:
    corpus = make_corpus(["一二三", "四", "一", "二"])
    good, long, empty, foreign = Manifest.open(corpus.manifest)
    rows = [
        good,
        dataclasses.replace(long, text="四四四"),
        dataclasses.replace(empty, text="！？"),
        dataclasses.replace(foreign, text="五"),
    ]
    write_manifests({corpus.manifest: rows})
    frames = num_frames(int(0.15 * RATE), corpus.features)
    output = -(-frames // 3)
    assert output < 5
    data = dataset(corpus)
    assert list(map(data.problem, rows)) == [
        "",
        f"3 labels need 5 output frames (a repeat needs a blank between), its 0.15 s give {output}",
        "no label: nothing of its text is in the vocabulary",
        "",  # 五 is <unk>, which is a label
    ]
    dropping = dataclasses.replace(recogniser(corpus), unknown="drop").dataset(data.manifest)
    assert [bool(dropping.problem(row)) for row in rows] == [False, True, True, True]


# Padding


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4)), max_size=4))
def test_collate_pads_with_zeros(shapes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(0)
    examples = [
        Example(rng.normal(5, 1, (frames, 3)).astype("float32"), list(range(1, labels + 1)))
        for frames, labels in shapes
    ]
    batch = collate(examples, range(10, 10 + len(shapes)), ["t"] * len(shapes), ["p"])
    assert len(batch) == len(shapes)
    assert batch.features.dtype == np.float32 and batch.labels.dtype == np.int32
    assert batch.frames.tolist() == [frames for frames, _ in shapes]
    assert batch.label_lengths.tolist() == [labels for _, labels in shapes]
    assert (batch.problems, batch.texts) == (["p"], ["t"] * len(shapes))
    assert batch.items == list(range(10, 10 + len(shapes)))
    if shapes:
        assert batch.features.shape[1] == max(batch.frames)
        assert batch.labels.shape[1] == max(batch.label_lengths)
    for row, (frames, labels) in enumerate(shapes):
        assert np.array_equal(batch.features[row, :frames], examples[row].features)
        assert batch.labels[row, :labels].tolist() == examples[row].labels
        assert not batch.features[row, frames:].any() and not batch.labels[row, labels:].any()


def test_a_batch_and_its_utterances(make_corpus: MakeCorpus) -> None:
    data = dataset(make_corpus(["一二", "三", "四四四", "二一"]))
    batch = data.batch(np.array([2, 1]))
    assert batch.items == [2, 1] and batch.texts == ["四四四", "三"]
    assert not batch.problems
    for row, index in enumerate((2, 1)):
        example = data.example(index)
        assert np.array_equal(batch.features[row, : batch.frames[row]], example.features)
        assert (
            data.vocabulary.decode(batch.labels[row, : batch.label_lengths[row]])
            == (batch.texts[row])
        )


def test_recordings_that_cannot_be_read_are_left_out_and_named(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一二", "三", "四", "二一"])
    (corpus.folder / "1.wav").write_bytes(b"")
    (corpus.folder / "2.wav").unlink()
    soundfile.write(corpus.folder / "3.wav", 0.1 * np.ones(100), RATE)
    batch = dataset(corpus).batch([0, 1, 2, 3])
    assert batch.items == [0] and len(batch) == 1
    assert len(batch.problems) == 3
    for line, problem in enumerate(batch.problems, start=2):
        assert problem.startswith(f"{corpus.manifest}:{line}: {corpus.folder / f'{line - 1}.wav'}")
    empty = dataset(corpus).batch([1, 2, 3])
    assert len(empty) == 0 and empty.features.shape[:2] == (0, 0) and len(empty.problems) == 3


def test_a_manifest_that_promises_too_much_does_not_stop_training(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一二三四", "二"])
    rows = list(Manifest.open(corpus.manifest))
    wave, _ = soundfile.read(rows[0].audio)
    soundfile.write(rows[0].audio, wave[: RATE // 10], RATE)  # 0.6 s in the manifest
    training = dataset(corpus, AugmentationPipeline())
    assert not any(map(training.problem, rows)), "by the manifest alone it fits"
    batch = training.batch([0, 1])
    assert batch.items == [1]
    [problem] = batch.problems
    assert problem.startswith(f"{corpus.manifest}:1: {rows[0].audio}: 4 labels need 4 output frame")
    assert "the manifest says 0.60 s" in problem
    assert dataset(corpus).batch([0, 1]).items == [0, 1], "it can be recognised nevertheless"


# Augmentation


def test_augmentation_is_a_function_of_seed_epoch_and_utterance(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一二三四", "二四", "三三"])
    effects = [Speed(min_speed_rate=0.9, max_speed_rate=1.1, num_rates=5), SpecAugment(F=3, T=4)]
    pipeline = AugmentationPipeline.of(effects)
    data, plain = dataset(corpus, pipeline), dataset(corpus)
    first = data.example(0, epoch=1).features
    data.example(1, epoch=1)
    assert np.array_equal(first, data.example(0, epoch=1).features)
    epochs = {data.example(0, epoch).features.tobytes() for epoch in range(1, 9)}
    assert len(epochs) > 5 and plain.example(0).features.tobytes() not in epochs
    other = dataset(corpus, pipeline)
    other.seed = 4
    assert any(
        other.example(0, e).features.tobytes() != data.example(0, e).features.tobytes()
        for e in range(1, 4)
    )
    # The order of the manifest does not matter.
    reversed_data = dataset(corpus, pipeline)
    reversed_data.manifest = data.manifest.select([2, 1, 0])
    assert np.array_equal(first, reversed_data.example(2, epoch=1).features)


def test_speed_that_leaves_too_few_frames_is_not_applied(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一二三"])
    [row] = Manifest.open(corpus.manifest)
    wave, _ = soundfile.read(row.audio)
    # 9 frames give 3 outputs, just enough for three labels; sped up they would be too few.
    samples = int((8 * corpus.features.hop_ms + corpus.features.window_ms) * RATE / 1000)
    soundfile.write(row.audio, wave[:samples], RATE)
    write_manifests({corpus.manifest: [dataclasses.replace(row, duration=samples / RATE)]})
    faster = AugmentationPipeline.of([Speed(min_speed_rate=1.5, max_speed_rate=1.5, prob=1.0)])
    example = dataset(corpus, faster).example(0, epoch=1)
    assert np.array_equal(example.features, dataset(corpus).example(0).features)


# One way through

FORMS = {
    "16 kHz": (RATE, 1, "PCM_16", "wav", None, None),
    "44.1 kHz stereo float": (44100, 2, "FLOAT", "wav", None, None),
    "8 kHz of 8 bits": (8000, 1, "PCM_U8", "wav", None, None),
    "a part of a file": (RATE, 1, "PCM_16", "flac", 0.1, 0.5),
}


@pytest.mark.parametrize("feature_type", ["linear", "mfcc", "fbank"])
@pytest.mark.parametrize("form", FORMS)
def test_training_statistics_evaluation_inference_and_files_agree_bit_by_bit(
    form: str,
    feature_type: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rate, channels, subtype, suffix, start, end = FORMS[form]
    audio = tmp_path / f"a.{suffix}"
    time = np.arange(int(0.7 * rate)) / rate
    rng = np.random.default_rng(1)
    wave = 0.1 * np.sin(2 * np.pi * 440 * time) + 0.02 * rng.standard_normal(len(time))
    wave = np.stack([wave * (0.5 + c) for c in range(channels)], axis=1)
    soundfile.write(audio, wave, rate, subtype=subtype)
    manifest = tmp_path / "manifest.train"
    seconds = 0.7 if end is None else end - start
    write_manifests({manifest: [Utterance(str(audio), seconds, "一", None, start, end)]})

    settings = FeatureSettings(feature_type)
    bins = num_bins(settings)
    normalizer = Normalizer(rng.normal(-10, 3, bins), rng.uniform(1, 4, bins), settings)
    own = Recogniser(Vocabulary.build({"一": 1}), settings, normalizer, NetworkSettings())

    read = read_features(audio, settings, start=start, end=end)
    expected = normalizer(read)
    assert expected.dtype == np.float32 and expected.shape[1] == bins and len(expected) > 30

    opened = Manifest.open(manifest)
    training = own.dataset(opened, AugmentationPipeline.load(None), seed=1)
    assert np.array_equal(training.example(0, epoch=1).features, expected), "training"
    evaluation = own.dataset(opened).batch([0])
    assert np.array_equal(evaluation.features[0], expected), "evaluation"

    measured = []
    monkeypatch.setattr(
        Statistics, "of", classmethod(lambda cls, f: measured.append(f) or "statistics")
    )
    statistics.measure(opened, settings, num_workers=1)
    assert np.array_equal(measured[0], read), "statistics"

    heard = transcribed_features(own, audio, start, end, monkeypatch)
    assert all(np.array_equal(features, expected) for features in heard), "inference"


def transcribed_features(
    own: Recogniser,
    audio: Path,
    start: float | None,
    end: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> list[np.ndarray]:
    """What a Predictor gives its engine for the file, its bytes and its samples."""
    from data_utils.audio import read_speech
    from inference import predictor
    from model_utils.outputs import Outputs
    from model_utils.trainer.checkpoint import Checkpoint

    heard = []

    def engine(features: np.ndarray, frames: np.ndarray) -> Outputs:
        assert frames.tolist() == [features.shape[1]] and len(features) == 1
        heard.append(features[0])
        return Outputs(np.zeros((1, 1, 4), dtype=np.float32), np.array([1]))

    monkeypatch.setattr(predictor, "engine_of", lambda *arguments: engine)
    transcriber = predictor.Predictor(Checkpoint(audio, {}, None, None), recogniser=own)
    transcriber.transcribe(read_speech(audio, start=start, end=end).samples)
    if start is None:
        transcriber.transcribe(audio)
        transcriber.transcribe(str(audio))
        transcriber.transcribe(audio.read_bytes())
    return heard


def test_an_example_of_a_broken_recording_says_which(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一"])
    soundfile.write(corpus.folder / "0.wav", 0.1 * np.ones(100), RATE)
    with pytest.raises(AudioError, match=r"0\.wav: .*short"):
        dataset(corpus).example(0)
