"""Recognition on tones: what is left out, the same weights for any workers, an exact resume."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
import soundfile
from tones import RATE, Corpus

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.errors import InputError
from data_utils.manifest import Manifest, write_manifests
from data_utils.normalizer import Normalizer
from data_utils.settings import BatchSettings, CorpusSettings
from data_utils.text import Vocabulary
from model_utils.corpus import open_corpus
from model_utils.losses import training_loss
from model_utils.recogniser import Recogniser
from model_utils.recognition import recognise, scoring_order
from model_utils.runtime import Device
from model_utils.settings import (
    LossSettings,
    NetworkSettings,
    OptimisationSettings,
    RunSettings,
    ScheduleSettings,
)
from model_utils.tasks.recognition import RecognitionTask, outputs_of
from model_utils.trainer import checkpoint
from model_utils.trainer.loop import Trainer
from scoring.error_rate import character_errors

MakeCorpus = Callable[..., Corpus]

NETWORK = NetworkSettings(
    num_conv_layers=2, conv_channels=2, num_rnn_layers=1, rnn_layer_size=12, dropout=0.1
)
SCHEDULE = ScheduleSettings(learning_rate=3e-3)
TEXTS = ["一", "二三", "四", "一二", "三", "二", "四一", "一一", "三四", "二四", "四四", "三二一"]
AUGMENTATION = [
    {"type": "speed", "params": {"min_speed_rate": 0.9, "max_speed_rate": 1.1}, "prob": 0.5},
    {"type": "volume", "params": {"min_gain_dBFS": -6, "max_gain_dBFS": 6}, "prob": 0.5},
    {"type": "specaug", "params": {"F": 2, "T": 3}, "prob": 1.0},
]


def make_task(
    corpus: Corpus,
    seed: int = 1,
    score: bool = True,
    loss: LossSettings | None = None,
    parts: int = 1,
    **batching: Any,
) -> RecognitionTask:
    path = corpus.folder / "augmentation.json"
    path.write_text(json.dumps(AUGMENTATION), encoding="utf-8")
    augment = batching.pop("augment_conf_path", str(path))
    settings = {"batch_size": 3, "num_workers": 0}
    recogniser = Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std, corpus.features),
        NETWORK,
    )
    batches = BatchSettings(**{**settings, **batching})
    files = CorpusSettings(
        train_manifest=(str(corpus.manifest),),
        test_manifest=str(corpus.manifest),
        vocab_path=str(corpus.vocabulary),
        mean_std_path=str(corpus.mean_std),
    )
    augmentation = AugmentationPipeline.load(augment)
    opened = open_corpus(recogniser, files, augmentation, seed, score)
    return RecognitionTask(recogniser, opened, batches, seed, False, parts, loss)


def train(
    folder: Path,
    task: RecognitionTask,
    resume: Path | None = None,
    schedule: ScheduleSettings = SCHEDULE,
    **run: Any,
) -> None:
    settings = RunSettings(
        num_epoch=2,
        output_model_dir=str(folder / "param"),
        log_dir=str(folder / "log"),
        log_interval=2,
        save_interval=2,
        test_off=True,
    )
    with task:
        trainer = Trainer(
            task,
            OptimisationSettings(grad_clip=5.0),
            schedule,
            dataclasses.replace(settings, **run),
            Device("cpu", "plain", 1),
            {},
        )
        if resume is not None:
            trainer.resume(checkpoint.load(resume))
        trainer.train()


def same(*paths: Path) -> bool:
    """Bit for bit the same weights and optimizer."""
    first, second = map(checkpoint.load, paths)
    assert first.optimizer is not None and second.optimizer is not None
    return all(
        a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)
        for a, b in ((first.weights, second.weights), (first.optimizer, second.optimizer))
    )


# What is left out


def test_labels_that_cannot_fit_are_named_with_both_numbers_and_the_rest_is_trained(
    make_corpus: MakeCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(TEXTS)
    rows = list(Manifest.open(corpus.manifest))
    rows[2] = dataclasses.replace(rows[2], text="四四四四")  # 0.15 s: 7 frames, 3 outputs
    rows[7] = dataclasses.replace(rows[7], text="")
    write_manifests({corpus.manifest: rows})
    task = make_task(corpus, score=False)
    complaints = capsys.readouterr().err.splitlines()
    assert complaints == [
        f"left out: {corpus.manifest}:3: {rows[2].audio}: 4 labels need 7 output frames "
        "(a repeat needs a blank between), its 0.15 s give 3",
        f"left out: {corpus.manifest}:8: {rows[7].audio}: "
        "no label: nothing of its text is in the vocabulary",
    ]
    assert len(task.training.manifest) == 10 and task.num_batches() == 3
    seen = {where for (batch,) in task.train_batches(1) for where in task.names(batch)}
    assert not seen & {f"{corpus.manifest}:3", f"{corpus.manifest}:8"} and len(seen) == 9
    train(tmp_path, task, num_epoch=1)
    assert "not finite" not in capsys.readouterr().err


def test_of_many_the_first_are_shown_and_all_are_listed(
    make_corpus: MakeCorpus, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus([*TEXTS, *TEXTS])
    rows = list(Manifest.open(corpus.manifest))
    rows[:13] = [dataclasses.replace(row, text="") for row in rows[:13]]
    rows[13:15] = [dataclasses.replace(row, duration=60.0) for row in rows[13:15]]
    write_manifests({corpus.manifest: rows})
    task = make_task(corpus, score=False)
    complaints = capsys.readouterr().err.splitlines()
    listed = list(task.left_out())
    assert [line.split(": ")[0] for line in listed] == [
        f"{corpus.manifest}:{line}" for line in (14, 15, *range(1, 14))
    ]
    assert all("lasts 60.00 s, outside --min_duration" in line for line in listed[:2])
    assert complaints == [
        *(f"left out: {line}" for line in listed[:12]),
        "left out: 3 more like these",
    ]


def test_when_nothing_is_left_that_is_said(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(["一", "二"])
    rows = [dataclasses.replace(row, text="") for row in Manifest.open(corpus.manifest)]
    write_manifests({corpus.manifest: rows})
    with pytest.raises(InputError, match="all 2 utterances are like this"):
        make_task(corpus, score=False)


def test_bad_files_are_named_and_survived(
    make_corpus: MakeCorpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = make_corpus(TEXTS)
    (corpus.folder / "1.wav").write_bytes(b"not a recording")
    (corpus.folder / "4.wav").unlink()
    wave, _ = soundfile.read(corpus.folder / "11.wav")
    soundfile.write(corpus.folder / "11.wav", wave[: RATE // 20], RATE)  # the manifest: 0.45 s
    train(tmp_path, make_task(corpus, batch_size=2), test_off=False)
    complaints = capsys.readouterr().err
    for line in (2, 5, 12):
        assert f"{corpus.manifest}:{line}: " in complaints
    assert "Traceback" not in complaints
    saved = checkpoint.load(tmp_path / "param" / "2")
    assert all(np.isfinite(value).all() for value in saved.weights.values())


def test_a_batch_of_bad_files_alone_is_survived(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    corpus = make_corpus(TEXTS[:4])
    task = make_task(corpus, batch_size=2, num_workers=0, shuffle_method="batch_shuffle")
    for number in next(task.train_batches(1))[0].items:
        (corpus.folder / f"{number}.wav").write_bytes(b"")
    train(tmp_path, task, num_epoch=1, test_off=False)
    saved = checkpoint.load(tmp_path / "param" / "1")
    assert saved.info is not None and saved.info["progress"]["step"] == 2


def test_training_on_nothing_is_refused_and_saves_nothing(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    corpus = make_corpus(TEXTS[:4])
    for number in range(4):
        (corpus.folder / f"{number}.wav").write_bytes(b"")
    with pytest.raises(InputError, match="all 4 items had to be left out") as error:
        train(tmp_path, make_task(corpus, batch_size=2, num_workers=0), num_epoch=1)
    assert "empty file" in str(error.value)
    assert not list(tmp_path.glob("param/*"))


@pytest.mark.parametrize("loss", [LossSettings(label_smoothing=0.1), LossSettings(focal_gamma=1)])
def test_the_loss_is_the_variant_asked_for(make_corpus: MakeCorpus, loss: LossSettings) -> None:
    # It once asked which mean is lower: that depends on the weights and on who is in the batch.
    with make_task(make_corpus(TEXTS), score=False, loss=loss) as task:
        task.network.eval()
        [batch] = next(task.train_batches(1))
        found = task.losses(batch).numpy()
        logits, lengths = task.network(
            paddle.to_tensor(batch.features), paddle.to_tensor(batch.frames)
        )
    plain, asked = (
        training_loss(logits, lengths.numpy(), batch.labels, batch.label_lengths, settings).numpy()
        for settings in (LossSettings(), loss)
    )
    assert np.allclose(found, asked, rtol=1e-6) and not np.allclose(found, plain, rtol=1e-3)


@pytest.mark.parametrize("parts", [1, 2])
def test_batches_by_duration_are_shared_out_and_keep_their_seconds(
    make_corpus: MakeCorpus, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    corpus = make_corpus(TEXTS)
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")
    for epoch in (1, 2, 3):
        steps: list[list[list[list[int]]]] = []
        for rank in (0, 1):
            monkeypatch.setenv("PADDLE_TRAINER_ID", str(rank))
            with make_task(corpus, score=False, parts=parts, batch_seconds=0.6) as task:
                batches = list(task.train_batches(epoch))
                assert len(batches) == task.num_batches() > 1
                steps.append([[part.items for part in step] for step in batches])
                lengths = task.training.manifest.durations
        flat = [part for rank_steps in steps for step in rank_steps for part in step]
        assert {len(step) for rank_steps in steps for step in rank_steps} == {parts}
        assert sorted(i for part in flat for i in part) == list(range(len(TEXTS)))
        assert all(len(part) * max(lengths[part]) < 0.6001 for part in flat if part)


# Same seed, same run


def test_any_number_of_workers_gives_the_same_weights(
    make_corpus: MakeCorpus, tmp_path: Path
) -> None:
    corpus = make_corpus(TEXTS)
    for workers in (0, 2):
        train(tmp_path / str(workers), make_task(corpus, num_workers=workers, score=False))
    assert same(*(tmp_path / str(workers) / "param" / "2" for workers in (0, 2)))


def test_a_resume_inside_an_epoch_is_exact(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    corpus = make_corpus(TEXTS)
    train(tmp_path / "whole", make_task(corpus, score=False))
    for name in ("1_batch_2", "2_batch_2"):
        other = make_task(corpus, score=False)
        for value in other.network.state_dict().values():
            value.set_value(paddle.zeros_like(value))  # all must come from the file
        train(tmp_path / name, other, resume=tmp_path / "whole" / "param" / name)
        assert same(*(tmp_path / run / "param" / "2" for run in ("whole", name))), name


def test_another_seed_is_another_run(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    corpus = make_corpus(TEXTS[:6])
    for seed in (1, 2):
        task = make_task(corpus, seed=seed, score=False)
        train(tmp_path / str(seed), task, num_epoch=1, seed=seed)
    assert not same(*(tmp_path / str(seed) / "param" / "1" for seed in (1, 2)))


# Scoring


def test_score_counts_what_is_decoded_whatever_the_batch(make_corpus: MakeCorpus) -> None:
    corpus = make_corpus(TEXTS)
    scores, together = [], None
    for batch_size in (1, 5):
        with make_task(corpus, batch_size=batch_size) as task:
            assert task.score_sets == ["test"]
            task.network.eval()
            # Weights of a new network decode to nothing; these to something.
            task.network.output.bias.set_value(paddle.to_tensor([0.0, -9, 0.1, 0.1, 0.1, 0.1]))
            scores.append(task.score("test"))
            data = task._corpus.scored["test"]
            found = recognise(
                lambda x, n, network=task.network: outputs_of(network, x, n),
                [data.batch(plan) for plan in scoring_order(data.manifest.durations, 5)],
                task.recogniser.vocabulary,
            )
            together = list(found)
    assert scores[0] == scores[1]
    assert together is not None and len(together) == len(TEXTS)
    counts = [character_errors(TEXTS[r.utterance], r.hypothesis) for r in together]
    assert any(r.hypothesis for r in together), "this test is blind"
    errors = sum(c.errors for c in counts)
    assert scores[0].name == "cer"
    assert scores[0].value == errors / sum(len(text) for text in TEXTS)


def test_scoring_order_is_every_utterance_longest_first() -> None:
    durations = np.array([1.0, 5.0, 2.0, 5.0, 3.0], dtype=np.float32)
    plan = scoring_order(durations, 2)
    assert [batch.tolist() for batch in plan] == [[1, 3], [4, 2], [0]]


def test_log_probs_are_log_probabilities_of_the_utterance_alone(make_corpus: MakeCorpus) -> None:
    with make_task(make_corpus(TEXTS), score=False) as task:
        task.network.eval()
        batch = task.recogniser.dataset(task.training.manifest).batch([11, 0, 3])
        found, lengths, classes = outputs_of(task.network, batch.features, batch.frames)
        assert classes is None
        assert found.dtype == np.float32
        assert lengths.tolist() == [-(-n // 3) for n in batch.frames]
        assert np.allclose(np.exp(found.astype(np.float64)).sum(axis=2), 1, atol=1e-5)
        for row, frames in enumerate(batch.frames):
            alone = batch.features[row : row + 1, :frames]
            expected, [valid], _ = outputs_of(task.network, alone, np.array([frames]))
            assert np.allclose(found[row, :valid], expected[0], atol=1e-5)


def test_it_learns_the_tones(make_corpus: MakeCorpus, tmp_path: Path) -> None:
    corpus = make_corpus(TEXTS * 2)
    task = make_task(corpus, augment_conf_path=None, batch_size=4)
    before = task.score("test").value
    quick = dataclasses.replace(SCHEDULE, learning_rate=0.02, lr_schedule="onecycle")
    train(tmp_path, task, None, quick, num_epoch=25, test_off=False, save_interval=1000)
    best = checkpoint.load(tmp_path / "param" / "best")
    assert best.info is not None
    assert best.info["progress"]["best"]["value"] < 0.2 < before
