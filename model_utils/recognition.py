"""What is recognised in the utterances of a manifest, and counted. No Paddle needed."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_utils.classes import NO_CLASS
from data_utils.dataset import Batch
from data_utils.text import Vocabulary
from decoders.greedy import greedy_decode_batch
from model_utils.outputs import Outputs
from scoring.accuracy import Hits
from scoring.error_rate import ErrorCounts, character_errors, word_errors


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one utterance of a manifest."""

    utterance: int
    reference: str
    hypothesis: str
    counts: ErrorCounts
    class_number: int | None = None
    """Of the class that the head tells; None where there is no head."""


ErrorRate = Literal["cer", "wer"]
Compute = Callable[[NDArray[np.float32], NDArray[np.int64]], Outputs]


def recognise(
    compute: Compute,
    batches: Iterable[Batch],
    vocabulary: Vocabulary,
    error_rate: ErrorRate = "cer",
    report: Callable[[str], None] = lambda problem: None,
) -> Iterator[Recognition]:
    """Recognise and compare every utterance of `batches`: validation and `eval.py` both come here.

    Args:
        compute: (features, frames) to outputs, whatever computes them.
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
        outputs = compute(batch.features, batch.frames)
        for row, decoded in enumerate(greedy_decode_batch(outputs.log_probs, outputs.frames)):
            reference, hypothesis = batch.texts[row], vocabulary.decode(decoded.ids)
            yield Recognition(
                batch.items[row],
                reference,
                hypothesis,
                count_errors(reference, hypothesis),
                None if outputs.classes is None else int(outputs.classes[row]),
            )


def class_hit(number: int, result: Recognition) -> Hits:
    """Whether the head was right: 1 of 1, 0 of 1, or 0 of 0 where there is no class to tell.

    Args:
        number: of the utterance's class, see `Classes.numbers`.
        result: with the head's.
    """
    return Hits() if number == NO_CLASS else Hits(int(result.class_number == number), 1)


def scoring_order(durations: NDArray[np.float32], batch_size: int) -> list[NDArray[np.int64]]:
    """Batches for scoring: all utterances once, longest first, so that little is padded."""
    order = np.argsort(-durations, kind="stable").astype(np.int64)
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
