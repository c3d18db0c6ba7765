"""From a recording to text with a trained model."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_utils.audio import (
    SAMPLE_RATE,
    Audio,
    AudioError,
    check_speech,
    read_speech,
    resample,
    source_name,
)
from data_utils.errors import InputError
from data_utils.features import extract
from data_utils.settings import FeatureSettings
from decoders.greedy import greedy_decode
from inference.engines import engine_of, threads_of
from inference.export import Export, is_export
from inference.export import load as load_export
from inference.front_end import FrontEnd
from inference.settings import FrontEndSettings
from model_utils import runtime
from model_utils.front_end import split
from model_utils.recogniser import Recogniser
from model_utils.settings import DeviceSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint


@dataclass(frozen=True)
class Transcript:
    """What was recognised in one recording."""

    text: str
    confidence: float
    """Between 0 and 1, see `decoders.greedy`."""
    seconds: float
    """Time that features, network and decoder took."""
    classes: dict[str, str] = field(default_factory=dict)
    """What the head tells, by field: {"language": "zh"}; empty of a model without a head."""


class Predictor:
    """Transcribes recordings with the model of one checkpoint or export.

    Args:
        model: path of a `.pdparams` file or of an export's folder, or either of them already read.
        device: what to compute on; by default a GPU if there is one. Exports are of the CPU.
        recogniser: what the checkpoint lacks, where it is weights alone.
        observation: with a front end, the share of the unprocessed signal that is kept, 0 to 1.
        front_end: checkpoint of an enhancer or separator, in front of a recogniser that was trained
            without one.

    Raises:
        InputError: the model cannot be used, or is weights alone and no recogniser is given.
    """

    def __init__(
        self,
        model: str | Path | Checkpoint | Export,
        device: DeviceSettings | None = None,
        recogniser: Recogniser | None = None,
        observation: float = FrontEndSettings.observation,
        front_end: Checkpoint | None = None,
    ) -> None:
        if isinstance(model, str | Path):
            is_folder = is_export(model)
            model = load_export(model) if is_folder else checkpoint.load(model, optimizer=False)
        exported = model if isinstance(model, Export) else None
        saved = model.described if isinstance(model, Export) else model
        if recogniser is None:
            if saved.info is None:
                raise InputError(
                    f"{saved.path}: weights alone, without {saved.path.stem}.json beside it; give "
                    f"the rest as the argument recogniser, on a command line as --vocab_path, "
                    f"--mean_std_path and the sizes it was trained with"
                )
            recogniser = Recogniser.of(saved.info, str(saved.path))
        if recogniser.front_end is not None:
            saved, front_end = split(saved, recogniser.front_end)
            recogniser = dataclasses.replace(recogniser, front_end=None)
        self.recogniser = recogniser
        """Without its front end, which is used by itself."""
        self.front_end: FrontEnd | None = None
        """What cleans recordings before the recogniser hears them."""
        device = device or DeviceSettings()
        if exported is None or front_end is not None:
            device = runtime.settled(device)
        self.outputs = (
            engine_of(saved, self.recogniser, device)
            if exported is None
            else exported.engine(threads_of(device))
        )
        if front_end is not None:
            runtime.prepare(device)  # the recogniser may do without Paddle
            self.front_end = FrontEnd(front_end, recogniser.features, observation)

    def transcribe(
        self, source: str | Path | bytes | ArrayLike, rate: int = SAMPLE_RATE
    ) -> Transcript:
        """The text of one recording.

        Args:
            source: path of a recording, its content as bytes, or samples [n] between -1 and 1.
            rate: of samples, in Hz, 16,000 unless told; recordings know theirs.

        Raises:
            AudioError: not a recording, or silent, or shorter than a frame.
            InputError: nothing of these, or samples of several channels.
        """
        started = time.perf_counter()
        settings = self.recogniser.features
        power = None if self.front_end is None else self.front_end.power
        features = self.recogniser.normalizer(_features(source, rate, settings, power))
        outputs = self.outputs(features[np.newaxis], np.array([len(features)], np.int64))
        decoded = greedy_decode(outputs.log_probs[0, : outputs.frames[0]])
        text = self.recogniser.vocabulary.decode(decoded.ids)
        head, classes = self.recogniser.head, {}
        if head is not None and outputs.classes is not None:
            classes[head.field] = head.names[outputs.classes[0]]
        return Transcript(text, decoded.confidence, time.perf_counter() - started, classes)


def _features(
    source: str | Path | bytes | ArrayLike,
    rate: int,
    settings: FeatureSettings,
    power: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None,
) -> NDArray[np.float32]:
    audio, name = _heard(source, rate)
    try:
        return extract(audio.samples, settings, power)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from None


def _heard(source: str | Path | bytes | ArrayLike, rate: int) -> tuple[Audio, str]:
    """The recording at the rate of the features, and its name."""
    if isinstance(source, str | Path | bytes):
        return read_speech(source), source_name(source)
    try:
        samples = np.asarray(source, dtype=np.float32)
    except (TypeError, ValueError):
        samples = np.empty((), np.float32)
    if not samples.ndim:
        raise InputError(
            f"a path, the content of a file as bytes or samples [n] expected, "
            f"found {type(source).__name__}"
        )
    if samples.ndim != 1:
        raise InputError(f"samples of one channel [n] expected, found {list(samples.shape)}")
    audio = Audio(resample(samples, rate, SAMPLE_RATE), SAMPLE_RATE)
    check_speech(audio, "samples")
    return audio, "samples"
