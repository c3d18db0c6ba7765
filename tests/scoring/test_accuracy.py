import math

from hypothesis import given
from hypothesis import strategies as st

from scoring.accuracy import Hits


@given(st.lists(st.booleans(), min_size=1))
def test_hits_are_summed_and_divided_once(answers: list[bool]) -> None:
    total = sum((Hits(int(answer), 1) for answer in answers), Hits())
    assert total == Hits(answers.count(True), len(answers))
    assert total.rate == answers.count(True) / len(answers)


def test_of_nothing_there_is_no_rate() -> None:
    assert math.isnan(Hits().rate)


def test_the_line() -> None:
    assert Hits(19, 20).format("language") == "language: 0.95000 (right 19 / 20)"
