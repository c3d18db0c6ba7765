import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.error_rate import ErrorCounts, character_errors, word_errors

WORDS = st.lists(st.sampled_from(["a", "b", "ab", "你好", "b's"]), max_size=8)


def distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Wagner and Fischer's table, row by row."""
    row = list(range(len(hypothesis) + 1))
    for i, expected in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(hypothesis, start=1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (expected != found)),
            )
    return row[-1]


def check(counts: ErrorCounts, reference: Sequence[str], hypothesis: Sequence[str]) -> None:
    assert counts.errors == distance(reference, hypothesis)
    assert counts.reference_length == len(reference)
    assert counts.insertions - counts.deletions == len(hypothesis) - len(reference)


@given(st.text("你好ab", max_size=12), st.text("你好ab", max_size=12))
def test_characters_against_the_table(reference: str, hypothesis: str) -> None:
    check(character_errors(reference, hypothesis), reference, hypothesis)


@given(WORDS, WORDS)
def test_words_against_the_table(reference: list[str], hypothesis: list[str]) -> None:
    check(word_errors(" ".join(reference), "  ".join(hypothesis)), reference, hypothesis)


@given(st.lists(st.builds(ErrorCounts, *[st.integers(0, 9)] * 4)))
def test_a_corpus_is_summed_before_it_is_divided(parts: list[ErrorCounts]) -> None:
    total = sum(parts, ErrorCounts())
    assert total.errors == sum(part.errors for part in parts)
    assert total.reference_length == sum(part.reference_length for part in parts)
    if total.reference_length:
        assert total.rate == total.errors / total.reference_length


def test_each_kind_of_edit() -> None:
    assert character_errors("你好吗", "你好") == ErrorCounts(deletions=1, reference_length=3)
    assert character_errors("你好", "你好吗") == ErrorCounts(insertions=1, reference_length=2)
    assert character_errors("你好", "您好") == ErrorCounts(substitutions=1, reference_length=2)
    assert word_errors("a cat sat", "a hat sat") == ErrorCounts(1, 0, 0, 3)


def test_a_space_between_words_counts_and_no_other() -> None:
    assert character_errors("a part", "apart") == ErrorCounts(deletions=1, reference_length=6)
    assert character_errors(" a  b ", "a b").errors == 0
    assert character_errors(" a  b ", "a b").reference_length == 3


def test_without_reference() -> None:
    assert character_errors("", "").rate == 0.0
    assert word_errors("", "one two") == ErrorCounts(insertions=2)
    assert math.isinf(word_errors("", "one two").rate)
    assert character_errors("", "x").format("cer").startswith("cer: inf (errors 1 / 0:")


def test_the_line_that_users_read() -> None:
    counts = ErrorCounts(substitutions=12, deletions=5, insertions=3, reference_length=640)
    assert counts.format("cer") == "cer: 0.03125 (errors 20 / 640: sub 12, del 5, ins 3)"
    assert counts.rate == pytest.approx(0.03125)
