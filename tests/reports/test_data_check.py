import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import pytest

from data_utils.manifest import Manifest, Utterance, write_manifests
from data_utils.preparation.checks import CLIPPED, MISSING, SENTENCE, SplitCheck
from reports.data_check import page, summary, write_page


@pytest.fixture
def checks(tmp_path: Path) -> list[SplitCheck]:
    found = []
    for name, count in (("train", 40), ("dev", 10)):
        path = tmp_path / f"manifest.{name}"
        write_manifests({path: [Utterance(f"{n}.wav", 1.0, "一") for n in range(count)]})
        check = SplitCheck(name, Manifest.open(path), characters=count)
        check.seconds = [1 + n / count for n in range(count)]
        check.levels = [-20.0 - n / 10 for n in range(count)]
        check.rates = [16000] * (count - 1) + [8000]
        check.paces = [1.0] * (count - 1) + [math.nan]
        check.needs = [0.5] * count
        found.append(check)
    return found


class Elements(HTMLParser):
    """Reads a page; every element that is opened is closed."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(content)
        assert self.opened == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.opened.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text


def test_the_summary_counts_and_shows_the_first(checks: list[SplitCheck], tmp_path: Path) -> None:
    for index in range(5):
        checks[0].add(MISSING, index, f"{index}.wav", "file not found")
    checks[1].add(SENTENCE, 7, "7.wav", "40 times in train")
    lines = summary(checks, examples=2).splitlines()
    assert lines[0].split() == [
        *("split", "utterances", "hours", "characters", "out", "of", "vocabulary", "speakers")
    ]
    assert lines[1].split() == ["train", "40", "0.02", "40", "0", "(0.000%)", "-"]
    where = f"    {tmp_path}/manifest"
    assert [line.rstrip() for line in lines[3:]] == [
        "",
        "found                  train  dev",
        "file missing               5    0",
        f"{where}.train:1: 0.wav: file not found",
        f"{where}.train:2: 1.wav: file not found",
        "sentence in train too      0    1",
        f"{where}.dev:8: 7.wav: 40 times in train",
    ]


def test_where_nothing_is_found_that_is_said(checks: list[SplitCheck]) -> None:
    assert summary(checks).endswith("nothing odd was found")
    assert "<h2 id=" not in page(checks)


def test_the_page_has_every_finding_and_needs_nothing_else(checks: list[SplitCheck]) -> None:
    for index in range(30):
        checks[0].add(CLIPPED, index, f"{index}.wav", f"{index}% of its samples")
    found = Elements(page(checks))
    for index in range(30):
        assert f"{index}.wav" in found.text and f"{index}% of its samples" in found.text
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    anchors = {f"#{attributes['id']}" for _, attributes in found.tags if "id" in attributes}
    assert links == ["#clipped"] and set(links) == anchors
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == 4 and all(picture["alt"] for picture in pictures)
    for picture in pictures:
        kind, _, content = str(picture["src"]).partition("base64,")
        assert kind == "data:image/png;"
        assert matplotlib.image.imread(io.BytesIO(base64.b64decode(content))).std() > 0.02
    assert not re.search(r"(?:src|href)=.(?!data:|#)|@import|url\(", page(checks))


def test_what_looks_like_html_is_shown_as_it_is(checks: list[SplitCheck]) -> None:
    evil = "<script>alert(1)</script>&amp;.wav"
    checks[0].add(CLIPPED, 0, evil, '<img src="x">')
    checks[0].unknown["<"] = 3
    found = Elements(page(checks))
    assert "script" not in {tag for tag, _ in found.tags}
    assert evil in found.text and '<img src="x">' in found.text and "< (U+003C)" in found.text


def test_many_are_folded_and_the_rest_is_counted(checks: list[SplitCheck]) -> None:
    for index in range(3):
        checks[1].add(CLIPPED, index, "a.wav", "loud")
    checks[1].counts[CLIPPED] = 5000  # of which three were kept
    found = Elements(page(checks))
    assert ("details", {}) in found.tags and "dev: 5,000, the first" in found.text


def test_the_same_findings_give_the_same_bytes(checks: list[SplitCheck], tmp_path: Path) -> None:
    checks[0].add(CLIPPED, 0, "caf\udce9.wav", "a name that is not UTF-8")
    for name in ("1.html", "2.html"):
        write_page(checks, tmp_path / "new" / name)
    content = (tmp_path / "new" / "1.html").read_bytes()
    assert content == (tmp_path / "new" / "2.html").read_bytes()
    assert b"caf\\udce9.wav" in content and content.startswith(b"<!doctype html>")


def test_empty_columns_are_plots_too(checks: list[SplitCheck]) -> None:
    for check in checks:
        check.levels = [math.nan] * len(check.levels)
        check.paces = [math.nan] * len(check.paces)
        check.rates = [0] * len(check.rates)
        check.seconds = [2.0] * len(check.seconds)
    assert page(checks).count("data:image/png") == 4
