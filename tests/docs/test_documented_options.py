"""Every option that a page names exists, and the defaults that it gives are in force."""

import dataclasses
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import json5
import pytest
from pages import HOME, PAGES, commands, name, spans

from data_utils.settings import GenerationSettings
from model_utils.settings import TRAINING
from reports.options import TRANSLATION, languages, with_tables

SCRIPTS = [f"{s}.py" for s in ("train", "eval", "infer")]
SCRIPTS += [f"tools/{path.name}" for path in sorted(HOME.glob("tools/*.py"))]
FLAG = re.compile(r"(?<![\w-])--[a-z]\w*(?:-\w+)*")
OF_OTHERS = ("visualdl", "pip", "python -m", "make", "git", "sudo", "apt", "py -", "Set-")


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The options of each command, as its --help has them."""

    def options(script: str) -> set[str]:
        shown = subprocess.run(
            [sys.executable, HOME / script, "--help"],
            capture_output=True,
            check=True,
            text=True,
            cwd=HOME,
        )
        return set(FLAG.findall(shown.stdout))

    with ThreadPoolExecutor() as pool:
        return dict(zip(SCRIPTS, pool.map(options, SCRIPTS), strict=True))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_the_options_they_are_given(page: Path, known: dict[str, set[str]]) -> None:
    for line in [*commands(page), *spans(page)]:
        words = shlex.split(line) if line.startswith("python ") and "<<" not in line else []
        if len(words) < 2 or not words[1].endswith(".py"):
            continue
        unknown = set(FLAG.findall(line)) - known[words[1]]
        assert not unknown, f"{line}: {words[1]} has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_in_the_text_exist(page: Path, known: dict[str, set[str]]) -> None:
    every = set().union(*known.values())
    for span in spans(page):
        if not span.startswith(OF_OTHERS):
            assert set(FLAG.findall(span)) <= every, span


@pytest.mark.parametrize("page", ["training.md", "training.zh.md"])
def test_tables_of_training_are_those_of_the_settings(page: str) -> None:
    """After a change of an option, run tools/document_options.py."""
    language = next(item for item in languages(HOME / "docs") if item.page == page)
    text = (HOME / "docs" / page).read_text("utf-8")
    assert with_tables(text, TRAINING, language) == text


def test_nothing_is_translated_that_is_no_option() -> None:
    """That every option is, the tables show."""
    translation = json5.loads((HOME / "docs" / TRANSLATION).read_text("utf-8"))
    assert list(translation["groups"]) == [group.__name__ for group in TRAINING]
    options = {field.name for group in TRAINING for field in dataclasses.fields(group)}
    assert translation["options"].keys() == options


@pytest.mark.parametrize("language", ["md", "zh.md"])
def test_table_of_generation_is_complete(language: str) -> None:
    text = (HOME / "docs" / f"prepare.{language}").read_text("utf-8")
    rows = re.findall(r"^\| `--(\w+)` \| (.*?) \|.*\n(?!\|--)", text, re.M)  # no table's head
    fields = dataclasses.fields(GenerationSettings)
    assert rows == [(field.name, str(field.default)) for field in fields]
