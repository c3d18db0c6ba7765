"""Character and word error rates: errors are counted, summed over a corpus, and divided once."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """The fewest edits that turn references into hypotheses; sums of these are exact.

    `sum(counts, ErrorCounts())` gives those of a corpus.
    """

    substitutions: int = 0
    deletions: int = 0
    """Of the reference, missing in the hypothesis."""
    insertions: int = 0
    """In the hypothesis, not in the reference."""
    reference_length: int = 0

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors divided by the length of the reference; may exceed 1.

        Without any reference it is 0.0 where nothing was inserted and infinite otherwise.
        """
        if self.reference_length:
            return self.errors / self.reference_length
        return math.inf if self.errors else 0.0

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.reference_length + other.reference_length,
        )

    @property
    def detail(self) -> str:
        """`errors 20 / 640: sub 12, del 5, ins 3`."""
        return (
            f"errors {self.errors} / {self.reference_length}: "
            f"sub {self.substitutions}, del {self.deletions}, ins {self.insertions}"
        )

    def format(self, name: str) -> str:
        """One line: `cer: 0.03125 (errors 20 / 640: sub 12, del 5, ins 3)`."""
        return f"{name}: {self.rate:.5f} ({self.detail})"


def character_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the characters that differ.

    A space between words counts as a character, for `a part` and `apart` differ; spaces at the
    ends do not count and runs of spaces are one. Beside Chinese characters normalised transcripts
    have no spaces (`data_utils.text.normalize_text`).
    """
    return _edits(" ".join(reference.split()), " ".join(hypothesis.split()))


def word_errors(reference: str, hypothesis: str) -> ErrorCounts:
    """Count the words that differ; white space parts words."""
    # Numbered, for words are compared by their hashes.
    numbers: dict[str, int] = {}
    return _edits(
        [numbers.setdefault(word, len(numbers)) for word in reference.split()],
        [numbers.setdefault(word, len(numbers)) for word in hypothesis.split()],
    )


def _edits(reference: Sequence[Hashable], hypothesis: Sequence[Hashable]) -> ErrorCounts:
    kinds = [operation.tag for operation in Levenshtein.editops(reference, hypothesis)]
    return ErrorCounts(
        kinds.count("replace"), kinds.count("delete"), kinds.count("insert"), len(reference)
    )
