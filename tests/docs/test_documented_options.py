"""Every option that a page names exists, and the defaults that it gives are in force."""

import dataclasses
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pages import HOME, PAGES, commands, name, spans

from data_utils.settings import GenerationSettings
from model_utils.settings import TRAINING

SCRIPTS = [f"{s}.py" for s in ("train", "eval", "infer")]
SCRIPTS += [f"tools/{path.name}" for path in sorted(HOME.glob("tools/*.py"))]
GENERATION = [GenerationSettings]
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


@pytest.mark.parametrize("language", ["md", "zh.md"])
@pytest.mark.parametrize(("page", "groups"), [("train", TRAINING), ("prepare", GENERATION)])
def test_table_of_options_is_complete(page: str, groups: Sequence[type], language: str) -> None:
    text = (HOME / "docs" / f"{page}.{language}").read_text("utf-8")
    rows = re.findall(r"^\| `--(\w+)` \| (.*?) \|.*\n(?!\|--)", text, re.M)  # no table's head
    fields = [field for group in groups for field in dataclasses.fields(group)]
    defaults = [
        ",".join(map(str, f.default)) if isinstance(f.default, tuple) else f.default for f in fields
    ]
    assert rows == [(f.name, str(d)) for f, d in zip(fields, defaults, strict=True)]
