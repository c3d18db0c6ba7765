"""Speech recognition: DeepSpeech2 trained with CTC, scored by greedy decoding and error rate."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn

from data_utils.dataset import Batch
from data_utils.settings import BatchSettings
from model_utils import distributed
from model_utils.corpus import Corpus
from model_utils.head_losses import head_losses
from model_utils.losses import training_loss
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.outputs import Outputs
from model_utils.recogniser import Recogniser
from model_utils.recognition import class_hit, recognise, scoring_order
from model_utils.settings import HeadSettings, LossSettings
from model_utils.tasks.batches import BatchedTask
from model_utils.trainer.runlog import ACCURACY
from model_utils.trainer.task import Score
from scoring.accuracy import Hits
from scoring.error_rate import ErrorCounts


def outputs_of(
    network: DeepSpeech2, features: NDArray[np.float32], frames: NDArray[np.int64]
) -> Outputs:
    """What the network says of a padded batch.

    Args:
        network: in evaluation mode.
        features: float32 [batch, frames, bins].
        frames: valid frames [batch].
    """
    with paddle.no_grad():
        logits, lengths, scores = network.outputs(
            paddle.to_tensor(features), paddle.to_tensor(frames)
        )
        return Outputs(
            paddle.nn.functional.log_softmax(logits).numpy(),
            lengths.numpy(),
            None if scores is None else scores.numpy().argmax(axis=-1),
        )


ALL_BLANK = 0.99
"""A network with a larger share of blanks than this writes next to nothing."""


class _Saved(nn.Layer):
    """What `outputs_of` computes, as a layer that Paddle can write down."""

    def __init__(self, network: DeepSpeech2) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Tensor, ...]:
        """float32 [batch, frames, bins], int64 [batch] -> log-probabilities, frames, classes."""
        logits, lengths, scores = self.network.outputs(features, frames)
        log_probs = paddle.nn.functional.log_softmax(logits)
        if scores is None:
            return log_probs, lengths
        return log_probs, lengths, scores.argmax(axis=-1)


def save_for_inference(network: DeepSpeech2, num_bins: int, path: Path) -> None:
    """Write a network in Paddle's inference format, for any batch and length.

    Args:
        network: in evaluation mode, not built for the fast engine.
        num_bins: feature bins of a frame.
        path: of the files without their suffixes, which are of Paddle's version.
    """
    spec = paddle.static.InputSpec
    inputs = [
        spec([None, None, num_bins], "float32", "features"),
        spec([None], "int64", "frames"),
    ]
    layer = _Saved(network)
    layer.eval()
    paddle.jit.save(
        paddle.jit.to_static(layer, input_spec=inputs, full_graph=True), path.as_posix()
    )


class RecognitionTask(BatchedTask[Batch]):
    """The recogniser's training, as the trainer sees it.

    Args:
        recogniser: vocabulary, features, statistics, sizes.
        corpus: what is trained on and scored.
        batching: how batches are made.
        seed: of weights and order.
        fast: see `runtime`.
        parts: batches as `batching` describes them that each process computes before a step.
        loss: which variant of CTC; None for plain CTC.
        head: how the head is trained, where the recogniser has one; None for the defaults.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        corpus: Corpus,
        batching: BatchSettings,
        seed: int,
        fast: bool,
        parts: int = 1,
        loss: LossSettings | None = None,
        head: HeadSettings | None = None,
    ) -> None:
        super().__init__(corpus.training, corpus.scored, batching, seed, parts)
        self.recogniser = recogniser
        self._corpus = corpus
        self.fast = fast
        self.loss = loss or LossSettings()
        self.head = head or HeadSettings()
        paddle.seed(seed)
        self.network: DeepSpeech2 = recogniser.build(fast)

    def left_out(self) -> Iterator[str]:
        """Utterances that are not trained on, where and why."""
        return self._corpus.left_out()

    def losses(self, batch: Batch) -> Tensor:
        """Loss of each item [batch]; see `Task.losses` for a batch without any."""
        if not len(batch):
            return self.no_losses()
        logits, lengths, scores = self.network.outputs(
            paddle.to_tensor(batch.features), paddle.to_tensor(batch.frames)
        )
        logits = logits.astype("float32")
        losses = training_loss(
            *(logits, lengths.numpy(), batch.labels, batch.label_lengths, self.loss, self.fast),
            consumed=True,
        )
        if scores is None:
            return losses
        classes = self._corpus.classes["train"][batch.items]
        return losses + self.head.head_weight * head_losses(scores, classes, self.head)

    def nothing(self) -> Tensor:
        """What the network gives for a frame that nobody hears."""
        frame = paddle.zeros([1, 1, self.recogniser.num_columns])
        logits, _, scores = self.network.outputs(frame, paddle.zeros([1], dtype="int64"))
        return logits if scores is None else logits.sum() + scores.sum()

    def score(self, name: str, batch_done: Callable[[], None] = lambda: None) -> Score:
        """Character error rate on the set `name`, of which each process recognises a share."""
        dataset = self._corpus.scored[name]
        plan = scoring_order(dataset.durations, self.batching.batch_size)
        plan = plan[distributed.rank() :: distributed.world_size()]
        head = self.recogniser.head
        counts, hits, frames, blanks = ErrorCounts(), Hits(), 0, 0

        def compute(features: NDArray[np.float32], lengths: NDArray[np.int64]) -> Outputs:
            nonlocal frames, blanks
            outputs = outputs_of(self.network, features, lengths)
            best = outputs.log_probs.argmax(axis=-1)
            valid = np.arange(best.shape[1]) < outputs.frames[:, None]
            frames, blanks = frames + int(valid.sum()), blanks + int((valid & (best == 0)).sum())
            batch_done()
            return outputs

        for result in recognise(
            compute,
            self._loader.batches(name, plan),
            self.recogniser.vocabulary,
            report=self._tell_once,
        ):
            counts += result.counts
            if head is not None:
                number = int(self._corpus.classes[name][result.utterance])
                hits += class_hit(number, result)
        shared = [*dataclasses.astuple(counts), *dataclasses.astuple(hits), frames, blanks]
        *errors, right, total, frames, blanks = map(round, distributed.totals(shared))
        counts, hits = ErrorCounts(*errors), Hits(right, total)
        # Where nothing can be read, 0 errors are no merit.
        rate = counts.rate if counts.reference_length else float("nan")
        collapse = ""
        if frames and blanks > ALL_BLANK * frames:
            collapse = f"{100 * blanks / frames:.1f} % of all frames are blanks"
        elif rate >= 1:
            collapse = f"the error rate is {rate:.2f}"
        if head is None or not hits.total:
            return Score("cer", rate, detail=counts.detail, collapse=collapse)
        return Score(
            "cer",
            rate,
            detail=f"{counts.detail}; {hits.format(head.field)}",
            collapse=collapse,
            beside={f"{head.field} {ACCURACY}": hits.rate},
        )

    def describe(self) -> dict[str, Any]:
        """What a checkpoint holds beside the weights."""
        return self.recogniser.describe()
