"""Scoring: what cannot be scored is refused before an earlier result is touched."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tones import Corpus

from data_utils.errors import InputError
from data_utils.manifest import Utterance, write_manifests
from data_utils.normalizer import Normalizer
from data_utils.text import Vocabulary
from inference import Predictor, predictor
from inference.evaluation import evaluate
from inference.settings import EvaluationSettings
from model_utils.outputs import Outputs
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings
from model_utils.trainer.checkpoint import Checkpoint


def blanks(features: np.ndarray, frames: np.ndarray) -> Outputs:
    """An engine that hears nothing."""
    outputs = np.full((len(frames), 1, 6), -9.0, np.float32)
    outputs[:, :, 0] = 0.0
    return Outputs(outputs, np.ones(len(frames), np.int64), np.zeros(len(frames), np.int64))


EARLIER = "a.wav\nref: 一\n"
Score = Callable[..., str]


@pytest.fixture
def score(
    make_corpus: Callable[..., Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Score:
    """Scores a manifest of these utterances of the corpus; returns the message of the refusal."""
    monkeypatch.setattr(predictor, "engine_of", lambda *arguments: blanks)
    corpus = make_corpus(["一二", "三"])
    deaf = Predictor(
        Checkpoint(Path("50.pdparams"), {}, None, None),
        recogniser=Recogniser(
            Vocabulary.load(corpus.vocabulary),
            corpus.features,
            Normalizer.load(corpus.mean_std),
            NetworkSettings(),
        ),
    )
    result = tmp_path / "eval.txt"

    def run(*utterances: Utterance, there: str = EARLIER) -> str:
        write_manifests({tmp_path / "manifest.test": utterances})
        result.write_text(there, encoding="utf-8")
        settings = EvaluationSettings(
            (str(tmp_path / "manifest.test"),), num_workers=0, result_path=str(result)
        )
        try:
            assert evaluate(deaf, settings).counts.rate == 1.0
        except InputError as error:
            assert result.read_text(encoding="utf-8") == there
            return str(error)
        assert result.read_text(encoding="utf-8") != there
        return ""

    return run


def test_without_any_text_there_is_nothing_to_compare(score: Score, tmp_path: Path) -> None:
    noises = [Utterance(str(tmp_path / f"{n}.wav"), 0.3, text) for n, text in enumerate(["", "…"])]
    assert "no reference text in it" in score(*noises)
    assert score(*noises, Utterance(str(tmp_path / "0.wav"), 0.3, "一二")) == ""


def test_recordings_without_text_do_not_make_up_for_unreadable_ones(
    score: Score, tmp_path: Path
) -> None:
    noise, gone = Utterance(str(tmp_path / "0.wav"), 0.3, ""), Utterance("gone.wav", 1.0, "一")
    assert "none of its recordings that have a text can be read" in score(noise, gone)
    assert "none of its recordings that have a text can be read" in score(gone)


def test_a_file_that_holds_no_results_is_not_replaced(score: Score, tmp_path: Path) -> None:
    speech = Utterance(str(tmp_path / "0.wav"), 0.3, "一二")
    assert "another kind stands there" in score(speech, there="# About\n")
    assert score(speech, there="") == ""
