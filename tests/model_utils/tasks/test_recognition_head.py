"""Recognition with a head: it learns classes beside the text, and only those that are said."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from tones import Corpus

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.manifest import Manifest, write_manifests
from data_utils.normalizer import Normalizer
from data_utils.settings import BatchSettings, CorpusSettings
from data_utils.text import Vocabulary
from model_utils.corpus import open_corpus, with_classes
from model_utils.recogniser import Recogniser
from model_utils.runtime import Device
from model_utils.settings import (
    HeadSettings,
    NetworkSettings,
    OptimisationSettings,
    RunSettings,
    ScheduleSettings,
)
from model_utils.tasks.recognition import RecognitionTask
from model_utils.trainer import checkpoint
from model_utils.trainer.loop import Trainer

MakeCorpus = Callable[..., Corpus]

TEXTS = ["一", "一二", "二", "二一", "二二", "三", "三四", "四", "四三", "三三"]
LOW, HIGH = "low", "high"
PITCH = [LOW if text[0] in "一二" else HIGH for text in TEXTS]
NETWORK = NetworkSettings(num_conv_layers=1, conv_channels=2, num_rnn_layers=1, rnn_layer_size=8)


def say(corpus: Corpus, classes: Sequence[str | None]) -> Corpus:
    """Write what each utterance is into the corpus' manifest, as the field `pitch`."""
    rows = [
        dataclasses.replace(row, fields={} if value is None else {"pitch": value})
        for row, value in zip(Manifest.open(corpus.manifest), classes, strict=True)
    ]
    write_manifests({corpus.manifest: rows})
    return corpus


def make_task(corpus: Corpus, head: HeadSettings | None, **batching: Any) -> RecognitionTask:
    recogniser = Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std, corpus.features),
        NETWORK,
    )
    files = CorpusSettings(
        train_manifest=(str(corpus.manifest),), test_manifest=str(corpus.manifest)
    )
    opened = open_corpus(recogniser, files, AugmentationPipeline(), 1)
    if head is not None:
        classes, opened = with_classes(opened, "pitch", None)
        recogniser = dataclasses.replace(recogniser, head=classes)
    batches = BatchSettings(**{"batch_size": 5, "num_workers": 0, "sortagrad": False, **batching})
    return RecognitionTask(recogniser, opened, batches, 1, False, head=head)


def train(folder: Path, task: RecognitionTask, num_epoch: int) -> Trainer:
    run = RunSettings(
        num_epoch=num_epoch,
        output_model_dir=str(folder / "param"),
        log_dir=str(folder / "log"),
        test_off=True,
    )
    schedule = ScheduleSettings(learning_rate=0.02, lr_schedule="constant")
    device, optimisation = Device("cpu", "plain", 1), OptimisationSettings(grad_clip=5.0)
    with task:
        trainer = Trainer(task, optimisation, schedule, run, device, {})
        trainer.train()
    return trainer


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "multi_margin"])
def test_it_learns_two_classes(make_corpus: MakeCorpus, tmp_path: Path, loss: str) -> None:
    corpus = say(make_corpus(TEXTS), PITCH)
    task = make_task(corpus, HeadSettings(head_loss=loss))
    task.network.eval()
    assert task.score("test").beside["pitch accuracy"] < 1
    train(tmp_path, task, 12)
    task.network.eval()
    score = task.score("test")
    assert score.beside == {"pitch accuracy": 1.0}
    assert score.detail.endswith("; pitch: 1.00000 (right 10 / 10)")
    info = checkpoint.load(tmp_path / "param" / "12").info
    assert info is not None and info["head"] == {"field": "pitch", "names": [HIGH, LOW]}


def test_what_is_right_is_counted_among_those_that_say_it(make_corpus: MakeCorpus) -> None:
    said = [LOW, None, LOW, HIGH, None, HIGH, HIGH, "none of these", HIGH, HIGH]
    task = make_task(say(make_corpus(TEXTS), [*PITCH[:9], HIGH]), HeadSettings())
    numbers = task.recogniser.head.numbers(said)
    task._corpus = dataclasses.replace(task._corpus, classes={"test": numbers})
    task.network.eval()
    head = task.network.head.linear
    head.weight.set_value(paddle.zeros_like(head.weight))
    for bias, right in (([1.0, 0.0], 5), ([0.0, 1.0], 2)):  # high, low
        head.bias.set_value(paddle.to_tensor(bias))
        score = task.score("test")
        assert score.beside == {"pitch accuracy": right / 8}, "a class that it has not is an error"
        assert f"(right {right} / 8)" in score.detail


def test_without_a_class_an_utterance_has_ctcs_loss_alone(make_corpus: MakeCorpus) -> None:
    said = [LOW, None, None, HIGH, None, HIGH, None, None, LOW, HIGH]
    corpus = say(make_corpus(TEXTS), said)
    batch = make_task(corpus, None).training.batch(range(10))
    losses = {}
    for weight in (None, 1.0, 3.0):
        head = None if weight is None else HeadSettings(head_weight=weight)
        task = make_task(corpus, head)
        task.network.eval()
        losses[weight] = task.losses(batch).numpy()
    added = losses[1.0] - losses[None]
    assert np.array_equal(added != 0, [value is not None for value in said])
    assert np.allclose(losses[3.0] - losses[None], 3 * added, rtol=1e-4, atol=1e-4)


def test_the_rest_is_trained_as_without_where_nobody_says_a_class(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    corpus = say(make_corpus(TEXTS), PITCH)
    weights = {}
    for name, head in (("plain", None), ("head", HeadSettings())):
        task = make_task(corpus, head)
        if head is not None:
            nobody = {"train": np.full(len(TEXTS), -1, np.int32)}
            task._corpus = dataclasses.replace(task._corpus, classes=nobody)
        train(tmp_path / name, task, 2)
        weights[name] = checkpoint.load(tmp_path / name / "param" / "2").weights
    assert weights["head"].keys() > weights["plain"].keys()
    for name, value in weights["plain"].items():
        assert value.tobytes() == weights["head"][name].tobytes(), name


def test_the_head_takes_part_where_a_process_has_no_utterance(make_corpus: MakeCorpus) -> None:
    task = make_task(say(make_corpus(TEXTS), PITCH), HeadSettings())
    assert task.losses(task.training.batch([])).shape == [0], "alone it waits for nobody"
    (task.nothing() * 0.0).sum().reshape([1]).sum().backward()  # as `no_losses`
    for name, parameter in task.network.named_parameters():
        assert parameter.grad is not None and not parameter.grad.numpy().any(), name
