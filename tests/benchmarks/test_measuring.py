"""Medians, ratios and turns are what they are said to be."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import measuring
from benchmarks.measuring import Report, Section, Spread, interleaved, names, number, of_each, ratio
from data_utils.audio import AudioError
from data_utils.errors import InputError

speeds = st.floats(1e-3, 1e6)


def test_contestants_take_turns_every_other_round_backwards() -> None:
    asked: list[str] = []

    def contestant(name: str) -> int:
        asked.append(name)
        return len(asked)

    answers = interleaved({name: lambda name=name: contestant(name) for name in "abc"}, 3)
    assert "".join(asked) == "abccbaabc"
    assert answers == {"a": [1, 6, 7], "b": [2, 5, 8], "c": [3, 4, 9]}


@given(st.integers(1, 6), st.integers(1, 4), st.floats(0.1, 9))
def test_what_changes_steadily_changes_no_ratio(count: int, pairs: int, drift: float) -> None:
    """Each takes one unit of time, and every call costs a little more than the one before."""
    calls = iter(range(1000))
    contestants = {str(number): lambda: 1 + drift * next(calls) for number in range(count)}
    means = [np.mean(found) for found in interleaved(contestants, 2 * pairs).values()]
    assert np.allclose(means, means[0])


@given(st.lists(speeds, min_size=1, max_size=9))
def test_spread_is_median_and_extremes(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.median == pytest.approx(np.median(values))
    assert (spread.low, spread.high) == (min(values), max(values))


@given(st.lists(st.tuples(speeds, speeds), min_size=1, max_size=9))
def test_ratio_of_medians_lies_between_those_of_the_rounds(
    pairs: list[tuple[float, float]],
) -> None:
    values, others = zip(*pairs, strict=True)
    found = ratio(values, others)
    assert found.median == pytest.approx(np.median(values) / np.median(others))
    assert found.low * (1 - 1e-9) <= found.median <= found.high * (1 + 1e-9)
    assert found.high == pytest.approx(max(np.divide(values, others)))


def test_a_ratio_needs_both_of_every_round() -> None:
    with pytest.raises(ValueError):
        ratio([1.0, 2.0], [1.0])


@given(st.floats(1e-9, 1e12) | st.floats(-1e12, -1e-9))
def test_three_digits_of_a_number_count(value: float) -> None:
    shown = number(value)
    assert float(shown.replace(",", "")) == pytest.approx(value, rel=0.005)
    digits = shown.split("e")[0].replace("-", "").replace(".", "").replace(",", "").lstrip("0")
    assert len(digits) == 3 or abs(value) >= 999


def test_a_spread_too_small_to_show_is_not_shown() -> None:
    assert str(Spread.of([2.0, 1.5, 2.5])) == "2.00 (1.50 to 2.50)"
    assert str(Spread.of([2.0, 2.0001, 2.0002])) == "2.00"
    assert number(0) == "0"


def test_what_is_not_known_is_no_number() -> None:
    unknown = float("nan")
    assert number(unknown) == str(Spread.of([unknown, unknown])) == "unknown"


folders = st.lists(st.sampled_from("ab"), min_size=1, max_size=5).map("/".join)


@given(st.lists(st.builds("{}{}".format, st.sampled_from(["", "/"]), folders), unique=True))
def test_every_file_has_a_name_of_its_own(paths: list[str]) -> None:
    found = names(paths)
    assert len(set(found)) == len(paths)
    assert all(path.endswith(name) for path, name in zip(paths, found, strict=True))
    longest = max((len(Path(name).parts) for name in found), default=0)
    shorter = {Path(path).parts[1 - longest :] for path in paths}
    assert longest <= 2 or len(shorter) < len(paths), "no longer than is needed"


def test_names_tell_no_more_than_is_needed() -> None:
    assert names(["/home/me/a/1.pdparams", "2.pdparams"]) == ["a/1.pdparams", "2.pdparams"]
    assert names(["/home/me/a/best/1", "/home/me/b/best/1"]) == ["a/best/1", "b/best/1"]


@pytest.mark.parametrize("again", ["a/1", "./a/1", "b/../a/1", "link/1"])
def test_a_file_named_twice_is_refused(
    again: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "link").symlink_to("a")
    for path in (again, str(tmp_path / again)):
        with pytest.raises(InputError, match=f"^{re.escape(path)}: named twice; leave one out$"):
            names(["a/1", path])


class Numbers:
    """A list of ten items, of which every third cannot be used."""

    def __len__(self) -> int:
        return 10

    def where(self, index: int) -> str:
        return f"list:{index + 1}"

    @staticmethod
    def half(index: int) -> float:
        if index % 3 == 0:
            raise AudioError("damaged")
        return index / 2


def test_what_cannot_be_used_is_left_out_counted_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    numbers = Numbers()
    found, count = of_each(numbers, numbers.half, "list", "numbers", left_out=1)
    assert found == [0.5, 1.0, 2.0, 2.5, 3.5, 4.0] and count == "6 numbers, 5 left out"
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if line.startswith("left out")] == [
        f"left out: list:{number}: damaged" for number in (1, 4, 7, 10)
    ]
    assert of_each(numbers, str, "list", "numbers")[1] == "10 numbers"
    none = r"^list: none of its numbers can be used \(list:1: damaged\); mend it$"
    with pytest.raises(InputError, match=none):
        of_each(numbers, lambda index: numbers.half(0), "list", "numbers")


def test_the_page_holds_all_that_was_found() -> None:
    section = Section("Speed", "Of what.", ("who", "per second"), [("ours", 2), ("theirs", "1")])
    report = Report(
        [section], {"speed 256": "1.62x"}, {"numpy": "2.0", "soxr": "1"}, {"torch": "3"}
    )
    page = report.markdown("speed", "how fast", ["a machine"])
    facts = "- a machine\n- versions: numpy 2.0, soxr 1\n- peers: torch 3\n"
    assert page.startswith(f"{measuring.TITLE}speed\n\nhow fast\n\n{facts}")
    assert "```\nspeed 256: 1.62x\n```" in page
    table = [line for line in page.splitlines() if line.startswith("|")]
    assert table == ["| who | per second |", "| --- | ---: |", "| ours | 2 |", "| theirs | 1 |"]
    assert report.lines() == ["speed 256: 1.62x"]


def test_the_machine_is_named() -> None:
    assert "cores" in measuring.machine()
    assert measuring.versions_of("numpy") == {"numpy": np.__version__}
