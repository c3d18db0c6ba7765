"""Seconds to an error rate, and the command on tones."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tones import Corpus

from benchmarks import accuracy
from benchmarks.accuracy import reached_by_all, seconds_to

Command = Callable[..., list[str]]

rates = st.floats(0, 1)
curves = st.lists(rates, min_size=1, max_size=8).map(
    lambda found: [(float(10 * place), rate) for place, rate in enumerate(found, start=1)]
)


def test_the_first_epoch_that_is_good_enough_counts() -> None:
    curve = [(10.0, 0.5), (20.0, 0.1), (30.0, 0.3), (40.0, 0.05)]
    assert [seconds_to(curve, rate) for rate in (0.5, 0.2, 0.1, 0.05)] == [10, 20, 20, 40]


@given(st.lists(curves, min_size=1, max_size=3), st.lists(curves, min_size=1, max_size=3))
def test_what_all_reach_some_reach_no_better(
    ours: list[list[tuple[float, float]]], theirs: list[list[tuple[float, float]]]
) -> None:
    goal = reached_by_all({"ours": ours, "theirs": theirs})
    assert all(seconds_to(curve, goal) <= curve[-1][0] for curve in ours + theirs)
    assert any(all(rate >= goal for _, rate in curve) for curve in ours + theirs)


@pytest.fixture
def spoken(make_corpus: Callable[..., Corpus]) -> Path:
    """A folder laid out as a user's: annotation/ of what is trained on and what is scored."""
    texts = ["一二三四", "四三二一", "二二三三"] * 8
    corpus = make_corpus(texts)
    annotation = corpus.folder / "annotation"
    annotation.mkdir()
    lines = [f"{number}.wav\t{text}\n" for number, text in enumerate(texts)]
    (annotation / "train.txt").write_text("".join(lines[:20]), encoding="utf-8")
    (annotation / "dev.txt").write_text("".join(lines[20:]), encoding="utf-8")
    return corpus.folder


ARGUMENTS = ("accuracy", "--epochs=2", "--num_threads=1", "--engine=plain")


def test_accuracy(measured: Command, spoken: Path) -> None:
    [figure] = measured(*ARGUMENTS, "--peers=False", f"--corpus={spoken}")
    assert figure.startswith("accuracy CER ") and figure.endswith(" s")
    page = (spoken / "table.md").read_text(encoding="utf-8")
    assert "](table.png)" in page and (spoken / "table.png").read_bytes().startswith(b"\x89PNG")
    epochs = [line.split(" | ")[0] for line in page.splitlines() if line.startswith("| ")]
    assert epochs[-2:] == ["| 1", "| 2"]


def test_accuracy_beside_pytorch(
    measured: Command, spoken: Path, pytorch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accuracy, "environment", lambda *_: pytorch)
    figures = [figure.split(":")[0] for figure in measured(*ARGUMENTS, f"--corpus={spoken}")]
    goals = {figure.rpartition(" % ")[2] for figure in figures if " CER " in figure}
    assert goals == {"ours", "PyTorch"}
    assert figures[-2:] == ["accuracy an epoch", "accuracy"]
