"""Speech recognition: DeepSpeech2 trained with CTC, scored by greedy decoding and error rate."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from data_utils import sampling
from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.dataset import Batch, SpeechDataset
from data_utils.errors import InputError
from data_utils.loader import Loader
from data_utils.manifest import Manifest
from data_utils.settings import BatchSettings, CorpusSettings
from data_utils.text import Vocabulary
from decoders.greedy import greedy_decode_batch
from model_utils.losses import ctc_loss
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.recogniser import Recogniser
from model_utils.trainer.task import Score
from scoring.error_rate import ErrorCounts, character_errors, word_errors

SHOWN_PROBLEMS = 10
"""Utterances that are named when many are left out."""


def log_probs(
    network: DeepSpeech2, features: NDArray[np.float32], frames: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Log-probabilities of a padded batch, in evaluation mode.

    Args:
        network: in evaluation mode.
        features: float32 [batch, frames, bins].
        frames: valid frames [batch].

    Returns:
        float32 [batch, output_frames, classes] and valid output frames [batch].
    """
    with paddle.no_grad():
        logits, lengths = network(paddle.to_tensor(features), paddle.to_tensor(frames))
        return paddle.nn.functional.log_softmax(logits).numpy(), lengths.numpy()


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one utterance of a manifest."""

    utterance: int
    reference: str
    hypothesis: str
    confidence: float
    counts: ErrorCounts


ErrorRate = Literal["cer", "wer"]
LogProbs = Callable[
    [NDArray[np.float32], NDArray[np.int64]], tuple[NDArray[np.float32], NDArray[np.int64]]
]


def recognise(
    compute: LogProbs,
    batches: Iterable[Batch],
    vocabulary: Vocabulary,
    error_rate: ErrorRate = "cer",
    report: Callable[[str], None] = lambda problem: None,
) -> Iterator[Recognition]:
    """Recognise and compare every utterance of `batches`: validation and `eval.py` both come here.

    Args:
        compute: (features, frames) to (log-probabilities, output frames), see `log_probs`.
        batches: with their transcripts.
        vocabulary: of the network.
        error_rate: what is counted, characters or words.
        report: gets each utterance that could not be read, with the reason.
    """
    count_errors = character_errors if error_rate == "cer" else word_errors
    for batch in batches:
        for problem in batch.problems:
            report(problem)
        if not len(batch):
            continue
        outputs, lengths = compute(batch.features, batch.frames)
        for row, decoded in enumerate(greedy_decode_batch(outputs, lengths)):
            reference, hypothesis = batch.texts[row], vocabulary.decode(decoded.ids)
            yield Recognition(
                batch.utterances[row],
                reference,
                hypothesis,
                decoded.confidence,
                count_errors(reference, hypothesis),
            )


def scoring_order(durations: NDArray[np.float32], batch_size: int) -> list[NDArray[np.int64]]:
    """Batches for scoring: all utterances once, longest first, so that little is padded."""
    order = np.argsort(-durations, kind="stable").astype(np.int64)
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def _name_left_out(reasons: list[str], count: int) -> None:
    for shown in reasons[:SHOWN_PROBLEMS]:
        print(f"left out: {shown}", file=sys.stderr)
    if count > SHOWN_PROBLEMS:
        print(f"left out: {count - SHOWN_PROBLEMS} more like these", file=sys.stderr)


class RecognitionTask:
    """The recogniser's training, as the trainer sees it.

    Args:
        recogniser: vocabulary, features, statistics, sizes.
        corpus: manifests.
        batching: how batches are made.
        seed: of order and augmentation.
        compile_convolutions: see `runtime`.

    Raises:
        InputError: a manifest or the augmentation's file cannot be used.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        corpus: CorpusSettings,
        batching: BatchSettings,
        seed: int,
        compile_convolutions: bool,
        score: bool = True,
    ) -> None:
        self.recogniser = recogniser
        self.batching = batching
        self.seed = seed
        augmentation = AugmentationPipeline.load(batching.augment_conf_path, seed=seed)
        self.training = self._trainable(
            Manifest.open(
                corpus.train_manifest,
                min_duration=corpus.min_duration,
                max_duration=corpus.max_duration,
            ),
            augmentation,
        )
        scored = {"dev": corpus.dev_manifest, "test": corpus.test_manifest} if score else {}
        self._scored = {
            name: recogniser.dataset(Manifest.open(path)) for name, path in scored.items() if path
        }
        self.score_sets = list(self._scored)
        self._told: set[str] = set()
        self._loader = Loader({"train": self.training, **self._scored}, batching.num_workers)
        paddle.seed(seed)
        self.network = recogniser.build(compile_convolutions)

    def _trainable(self, manifest: Manifest, augmentation: AugmentationPipeline) -> SpeechDataset:
        """The utterances of `manifest` that a loss can be computed for; the others are named."""
        dataset = self.recogniser.dataset(manifest, augmentation, self.seed)
        problems = dataset.untrainable()
        kept = [index for index in range(len(manifest)) if index not in problems]
        if not kept:
            raise InputError(
                f"{next(iter(problems.values()))}; all {len(manifest)} utterances are like this, "
                f"check that vocabulary and manifest belong together"
            )
        outside = manifest.left_out
        reasons = [
            f"{outside.where(index)}: {utterance.audio}: lasts {utterance.duration:.2f} s, "
            f"outside --min_duration and --max_duration"
            for index, utterance in enumerate(outside[:SHOWN_PROBLEMS])
        ]
        _name_left_out(reasons, len(outside))
        _name_left_out(list(problems.values()), len(problems))
        dataset.manifest = manifest.select(kept)
        return dataset

    def num_batches(self) -> int:
        """Batches in every epoch."""
        return sampling.num_batches(
            len(self.training.manifest), self.batching.batch_size, self.batching.shuffle_method
        )

    def train_batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of `epoch` from number `start` on."""
        plan = sampling.epoch_batches(
            self.training.manifest.durations,
            method=self.batching.shuffle_method,
            batch_size=self.batching.batch_size,
            seed=self.seed,
            epoch=epoch,
            sorted_first=self.batching.sortagrad,
        )
        return self._loader.batches("train", plan[start:], epoch)

    def losses(self, batch: Batch) -> Tensor:
        """CTC loss of each item [batch]."""
        if not len(batch):
            return paddle.zeros([0])
        logits, lengths = self.network(
            paddle.to_tensor(batch.features), paddle.to_tensor(batch.frames)
        )
        return ctc_loss(logits, lengths.numpy(), batch.labels, batch.label_lengths)

    def problems(self, batch: Batch) -> list[str]:
        """Utterances that could not be read, where and why."""
        return batch.problems

    def names(self, batch: Batch) -> list[str]:
        """Manifest and line of each item."""
        return [self.training.manifest.where(index) for index in batch.utterances]

    def score(self, name: str) -> Score:
        """Character error rate on the set `name`."""
        dataset = self._scored[name]
        plan = scoring_order(dataset.manifest.durations, self.batching.batch_size)
        counts = ErrorCounts()
        for result in recognise(
            lambda features, frames: log_probs(self.network, features, frames),
            self._loader.batches(name, plan),
            self.recogniser.vocabulary,
            report=self._tell_once,
        ):
            counts += result.counts
        # Where nothing can be read, 0 errors are no merit.
        rate = counts.rate if counts.reference_length else float("nan")
        return Score("cer", rate, counts.format("cer").partition("(")[2].rstrip(")"))

    def _tell_once(self, problem: str) -> None:
        if problem not in self._told:
            self._told.add(problem)
            print(f"left out of the score: {problem}", file=sys.stderr)

    def describe(self) -> dict[str, Any]:
        """What a checkpoint holds beside the weights."""
        return self.recogniser.describe()

    def __enter__(self) -> "RecognitionTask":
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the loader's workers."""
        self._loader.close()
