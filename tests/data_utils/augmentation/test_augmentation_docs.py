"""The documentation names every effect and parameter, with the default that the code has."""

import dataclasses
import re
from pathlib import Path

import pytest

from data_utils.augmentation.pipeline import EFFECTS

DOCS = Path(__file__).parents[3] / "docs"


def documented(page: str) -> dict[str, dict[str, str]]:
    """Effect -> parameter -> default, as the tables of the page have it."""
    sections = re.split(r"^### (\w+)", (DOCS / page).read_text(encoding="utf-8"), flags=re.M)
    rows = r"^\| `(\w+)` \|[^|]*\| `?([^|`]+)`? \|"
    return {
        name: dict(re.findall(rows, text, flags=re.M))
        for name, text in zip(sections[1::2], sections[2::2], strict=True)
    }


@pytest.mark.parametrize("page", ["augmentation.md", "augmentation.zh.md"])
def test_every_parameter_with_its_default(page):
    tables = documented(page)
    assert set(tables) == set(EFFECTS)
    for name, effect in EFFECTS.items():
        fields = {f.name: f.default for f in dataclasses.fields(effect) if f.name != "prob"}
        assert set(tables[name]) == set(fields)
        for parameter, default in fields.items():
            text = tables[name][parameter].strip()
            assert text == default if isinstance(default, str) else float(text) == default


@pytest.mark.parametrize("page", ["augmentation.md", "augmentation.zh.md"])
def test_pictures_are_there_and_small(page):
    links = re.findall(r"!\[[^]]*\]\(([^)]+)\)", (DOCS / page).read_text(encoding="utf-8"))
    assert links == [f"images/augmentation_{name}.png" for name in documented(page)]
    for link in links:
        assert (DOCS / link).stat().st_size < 150_000
