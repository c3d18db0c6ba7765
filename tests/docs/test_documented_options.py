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

from benchmarks.run import TABLES as MEASURED
from data_utils.settings import GenerationSettings
from reports.options import PAGES as TABLES
from reports.options import TRANSLATION, languages, with_tables

SCRIPTS = [f"{s}.py" for s in ("train", "eval", "infer")]
SCRIPTS += [
    path.relative_to(HOME).as_posix()
    for folder in ("tools", "run_scripts")
    for path in sorted(HOME.glob(f"{folder}/*.py"))
]
BENCHMARKS = "benchmarks/run.py"
COMMANDS = (*SCRIPTS, *(f"{BENCHMARKS} {table}" for table in MEASURED))
TASKS = ("recognition", "enhancement", "separation")
FLAG = re.compile(r"(?<![\w-])--[a-z]\w*(?:-\w+)*")
OF_OTHERS = ("visualdl", "pip", "python -m", "make", "git", "sudo", "apt", "py -", "Set-")


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    """The options of each command, as its --help has them."""

    def options(script: str) -> set[str]:
        tasks = [f"--task={task}" for task in TASKS] if script in ("train.py", "eval.py") else [""]
        found = set()
        for task in tasks:
            shown = subprocess.run(
                [sys.executable, *script.split(), *task.split(), "--help"],
                capture_output=True,
                check=True,
                text=True,
                cwd=HOME,
            )
            found |= set(FLAG.findall(shown.stdout))
        return found

    with ThreadPoolExecutor() as pool:
        return dict(zip(COMMANDS, pool.map(options, COMMANDS), strict=True))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_have_the_options_they_are_given(page: Path, known: dict[str, set[str]]) -> None:
    for line in [*commands(page), *spans(page)]:
        words = shlex.split(line) if line.startswith("python ") and "<<" not in line else []
        if len(words) < 2 or not words[1].endswith(".py"):
            continue
        command = " ".join(words[1:3]) if words[1] == BENCHMARKS else words[1]
        unknown = set(FLAG.findall(line)) - known[command]
        assert not unknown, f"{line}: {words[1]} has no {unknown}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_in_the_text_exist(page: Path, known: dict[str, set[str]]) -> None:
    every = set().union(*known.values())
    for span in spans(page):
        if not span.startswith(OF_OTHERS):
            assert set(FLAG.findall(span)) <= every, span


@pytest.mark.parametrize("page", TABLES)
@pytest.mark.parametrize("number", [0, 1])
def test_tables_are_those_of_the_settings(page: str, number: int) -> None:
    """After a change of an option, run tools/document_options.py."""
    language = languages(HOME / "docs")[number]
    path = HOME / "docs" / f"{page}{language.suffix}"
    assert with_tables(path, TABLES[page], language) == path.read_text("utf-8")


def test_nothing_is_translated_that_is_no_option() -> None:
    """That every option is, the tables show."""
    translation = json5.loads((HOME / "docs" / TRANSLATION).read_text("utf-8"))
    groups = [group for page in TABLES.values() for group in page]
    assert list(translation["groups"]) == [group.__name__ for group in groups]
    options = {
        (group.__name__, field.name) for group in groups for field in dataclasses.fields(group)
    }
    for translated in translation["options"]:
        group, _, field = translated.rpartition(".")
        assert any(field == f and group in ("", g) for g, f in options), translated


@pytest.mark.parametrize("language", ["md", "zh.md"])
def test_table_of_generation_is_complete(language: str) -> None:
    text = (HOME / "docs" / f"prepare.{language}").read_text("utf-8")
    rows = re.findall(r"^\| `--(\w+)` \| (.*?) \|.*\n(?!\|--)", text, re.M)  # no table's head
    fields = dataclasses.fields(GenerationSettings)
    assert rows == [(field.name, str(field.default)) for field in fields]
