"""Trainings by both engines: which one it is never changes the curve beyond rounding."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small
from tones import Corpus

from model_utils import runtime, training
from model_utils.fast import gru, mkl
from model_utils.networks import conv
from model_utils.options import parse
from model_utils.runtime import Device
from model_utils.settings import TRAINING
from model_utils.trainer.runlog import LOSS, METRICS

TEXTS = ["一二三四", "四三", "二二三", "一", "三四一二", "二", "四四", "一三"]
STEPS = 12
"""Of one batch each, so that every loss is of the same utterances, and in the log."""


@pytest.mark.skipif(mkl.library() is None, reason="this Paddle has no MKL")
@pytest.mark.parametrize("direction", ["bidirectional", "forward"])
def test_engines_train_alike(
    direction: str,
    make_corpus: Callable[..., Corpus],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus, used = make_corpus(TEXTS), []

    def noted(compute: Callable[..., Any], name: str) -> Callable[..., Any]:
        return lambda *given, **named: (used.append(name), compute(*given, **named))[1]

    monkeypatch.setattr(gru, "SMALLEST", dict.fromkeys(gru.SMALLEST, 128))
    monkeypatch.setattr(gru.GRU, "forward", noted(gru.GRU.forward, "gru"))
    # Paddle 2 compiles convolutions wrongly: there the GRU layers alone are the fast engine's.
    compiled = (lambda right, *_: right) if runtime.known_wrong() else conv.compiled
    monkeypatch.setattr(conv, "compiled", noted(compiled, "compiled"))

    def losses(engine: str) -> list[float]:
        monkeypatch.setattr(runtime, "prepare", lambda *_: Device("cpu", engine, 1))
        folder = tmp_path / engine
        arguments = small.training(
            corpus,
            folder,
            *("--num_conv_layers=2", "--conv_channels=4", "--num_rnn_layers=2"),
            *("--rnn_layer_size=128", f"--rnn_direction={direction}", "--dropout=0.2"),
            *("--feature_type=fbank", "--num_mel_bins=8", "--hop_ms=20", "--batch_size=8"),
            *("--learning_rate=0.003", f"--num_epoch={STEPS}", "--test_off"),
        )
        training.train(parse("train.py", TRAINING, arguments))
        [metrics] = (folder / "log").rglob(METRICS)
        rows = map(json.loads, metrics.read_text("utf-8").splitlines())
        return [row["value"] for row in rows if row["tag"] == LOSS]

    plain = losses("plain")
    assert not used
    fast = losses("fast")
    assert len(plain) == STEPS and plain[-1] < 0.8 * plain[0], "something is learned"
    assert fast == pytest.approx(plain, rel=1e-3)
    assert fast != plain, "the engines are the same one"
    assert used.count("compiled") == 2 and used.count("gru") >= 2 * STEPS
