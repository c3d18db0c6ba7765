"""The predictor: what it refuses, and that it says which recording."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tones import RATE, Corpus

from data_utils.audio import AudioError
from data_utils.errors import InputError
from data_utils.normalizer import Normalizer
from data_utils.text import Vocabulary
from inference import Predictor, predictor
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings
from model_utils.trainer.checkpoint import Checkpoint

LONE = Checkpoint(Path("models/50.pdparams"), {}, None, None)


@pytest.fixture
def transcriber(
    make_corpus: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., object]:
    """`Predictor.transcribe`, without an engine behind it."""
    monkeypatch.setattr(predictor, "engine_of", lambda *arguments: None)
    corpus = make_corpus([])
    own = Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std),
        NetworkSettings(),
    )
    return Predictor(LONE, recogniser=own).transcribe


def test_weights_alone_say_what_is_missing_and_how_to_give_it() -> None:
    with pytest.raises(InputError, match=r"^models/50\.pdparams: .* 50\.json beside it") as error:
        Predictor(LONE)
    for way in ("recogniser", "--vocab_path", "--mean_std_path", "sizes"):
        assert way in str(error.value)


@pytest.mark.parametrize(
    ("samples", "reason"),
    [(0.1 * np.ones(100), "too short"), (np.zeros(RATE), "silent"), (np.zeros(0), "no samples")],
)
def test_a_recording_that_cannot_be_used_is_named(
    samples: np.ndarray, reason: str, transcriber: Callable[..., object], tmp_path: Path
) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE)
    for source, name in ((path, "a.wav"), (path.read_bytes(), "audio"), (samples, "samples")):
        with pytest.raises(AudioError, match=rf"{name}: .*{reason}"):
            transcriber(source)


@pytest.mark.parametrize("source", [None, 5, {}, object(), ["a.wav"]])
def test_what_is_no_recording_is_named_by_its_type(
    source: object, transcriber: Callable[..., object]
) -> None:
    with pytest.raises(InputError, match=rf"expected, found {type(source).__name__}$"):
        transcriber(source)


def test_samples_of_two_channels_are_refused(transcriber: Callable[..., object]) -> None:
    with pytest.raises(InputError, match=r"\[100, 2\]"):
        transcriber(np.zeros((100, 2)))
