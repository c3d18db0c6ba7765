"""Real words by speakers who are strangers to each other: prepared whole, trained a little."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from workspace import HOME, Ran, Workspace

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.features import read_features
from data_utils.manifest import Manifest
from inference import Predictor
from model_utils.outputs import Outputs
from model_utils.settings import DeviceSettings

pytestmark = pytest.mark.real

COUNTS = {"train": 2308, "dev": 240, "test": 240}
SPEAKERS = {"train": 21, "dev": 4, "test": 4}
STEPS = 60
BATCH = 16


@dataclass(frozen=True)
class Words:
    """What each command said."""

    work: Workspace
    preparation: list[Ran]
    training: Ran
    evaluation: Ran

    def manifest(self, split: str) -> list[dict[str, str]]:
        path = self.work / "dataset" / f"manifest.{split}"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    corpus = Path(os.environ["SPEECH_DATA"]).resolve() / "zh_quickstart"
    work = Workspace(tmp_path_factory.mktemp("words") / "work")
    config = f"--config={HOME / 'conf' / 'quickstart.json5'}"
    preparation = [
        work.run("tools/create_manifest.py", f"--annotation_path={corpus / 'annotation'}"),
        work.run("tools/build_vocab.py"),
        work.run("tools/compute_mean_std.py", config, "--num_samples=300"),
    ]
    lines = (work / "dataset" / "manifest.train").read_text(encoding="utf-8").splitlines()
    chosen = np.random.default_rng(0).permutation(len(lines))[: STEPS * BATCH]
    short = "".join(f"{lines[i]}\n" for i in chosen)
    (work / "dataset" / "manifest.short").write_text(short, encoding="utf-8")
    training = work.run(
        "train.py",
        config,
        "--train_manifest=dataset/manifest.short",
        "--augment_conf_path=None",
        *(f"--batch_size={BATCH}", "--num_epoch=1", "--log_interval=10", "--use_gpu=False"),
        "--test_off=True",
    )
    model = ("--resume_model=models/param/1.pdparams", "--use_gpu=False")
    return Words(work, preparation, training, work.run("eval.py", *model))


def test_every_recording_is_used(words: Words) -> None:
    assert {split: len(words.manifest(split)) for split in COUNTS} == COUNTS
    assert not (words.work / "dataset" / "manifest.skipped.txt").exists()
    assert "0 of " in words.preparation[1].out[1]  # nothing out of the vocabulary in dev


def test_speakers_are_disjoint(words: Words) -> None:
    speakers = {split: {row["speaker"] for row in words.manifest(split)} for split in SPEAKERS}
    assert {split: len(names) for split, names in speakers.items()} == SPEAKERS
    assert len(set.union(*speakers.values())) == sum(SPEAKERS.values())


def test_twenty_words_are_said(words: Words) -> None:
    for split in COUNTS:
        texts = {row["text"] for row in words.manifest(split)}
        assert len(texts) == 20 and {"北京", "背景", "speech", "project"} <= texts
    vocabulary = (words.work / "dataset" / "zh_vocab.txt").read_text(encoding="utf-8")
    tokens = [line.partition("\t")[0] for line in vocabulary.splitlines()]
    heard = {character for row in words.manifest("train") for character in row["text"]}
    assert tokens[:2] == ["<blank>", "<unk>"] and set(tokens[2:]) == heard


def test_sixty_steps_bring_the_loss_down(words: Words) -> None:
    found = [re.search(r"train loss: ([\d.]+)", line) for line in words.training.out]
    losses = [float(match[1]) for match in found if match]
    assert len(losses) == STEPS // 10
    assert losses[-1] < 0.5 * losses[0], losses


def test_the_error_rate_is_that_of_the_results_file(words: Words) -> None:
    results = list(read_results(words.work / "results" / "eval.txt"))
    assert {audio for audio, _, _ in results} == {
        row["audio_filepath"] for row in words.manifest("test")
    }
    errors = sum(distance(reference, hypothesis) for _, reference, hypothesis in results)
    characters = sum(len(reference) for _, reference, _ in results)
    said = re.fullmatch(r"cer: ([\d.]+) \(errors (\d+) / (\d+): sub (\d+), del (\d+), ins (\d+)\)",
                        words.evaluation.out[-1])  # fmt: skip
    assert said
    assert (int(said[2]), int(said[3])) == (errors, characters)
    assert float(said[1]) == pytest.approx(errors / characters, abs=6e-6)
    assert sum(map(int, said.groups()[3:])) == errors


def read_results(path: Path) -> Iterator[tuple[str, str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    for audio, reference, hypothesis, _ in zip(*[iter(lines)] * 4, strict=True):
        yield audio, reference.removeprefix("ref: "), hypothesis.removeprefix("hyp: ")


def distance(a: str, b: str) -> int:
    """Edits from `a` to `b` (Wagner and Fischer 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def test_five_paths_give_the_same_features(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(words.work.folder)
    device = DeviceSettings(use_gpu=False, num_threads=1)
    predictor = Predictor("models/param/1.pdparams", device)
    recogniser = predictor.recogniser
    manifest = Manifest.open("dataset/manifest.test")
    path = Path(manifest[7].audio)
    assert path.suffix == ".ogg"

    asked = []

    def listen(features: np.ndarray, frames: np.ndarray) -> Outputs:
        asked.append(features[0, : frames[0]])
        return Outputs(np.zeros((1, 1, len(recogniser.vocabulary)), np.float32), np.array([1]))

    predictor.outputs = listen
    predictor.transcribe(path)
    predictor.transcribe(path.read_bytes())  # as a server gets it
    training = recogniser.dataset(manifest, AugmentationPipeline(), seed=1).example(7, epoch=3)
    evaluation = recogniser.dataset(manifest).batch([7])
    statistics = recogniser.normalizer(read_features(str(path), recogniser.features))
    frames = int(evaluation.frames[0])
    for features in (*asked, training.features, evaluation.features[0, :frames]):
        assert features.dtype == np.float32 and features.shape == (frames, 80)
        assert features.tobytes() == statistics.tobytes()
