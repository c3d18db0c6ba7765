"""The tables of options in the pages, written from the one definition of each option.

Option, default, meaning and "when to change it" stand in the settings classes, see
`data_utils.settings.option`; the Chinese texts in docs/options.zh.json5.
"""

import dataclasses
import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import json5

from data_utils.atomic import write_atomically
from data_utils.errors import InputError
from data_utils.separation.settings import StemSettings
from model_utils.settings import ENHANCEMENT, SEPARATION, TRAINING

BEGIN = "<!-- options: written by tools/document_options.py -->"
END = "<!-- end of options -->"
TRANSLATION = "options.zh.json5"

PAGES: dict[str, tuple[type, ...]] = {
    "training": TRAINING,
    "enhancement": tuple(group for group in ENHANCEMENT if group not in TRAINING),
    "separation": (*(group for group in SEPARATION if group not in TRAINING), StemSettings),
}
"""The settings that each page has tables of: those of the trainer stand in training alone."""


@dataclasses.dataclass(frozen=True)
class Language:
    """What tables are headed with, and how their texts are found."""

    suffix: str
    """Of the pages' names."""
    columns: tuple[str, str, str, str]
    translation: dict[str, Any] | None = None
    """Content of `TRANSLATION`; None for English."""

    def heading(self, group: type) -> str:
        """Heading of the table of a settings class."""
        if self.translation is not None:
            return str(self._translated("groups", group.__name__))
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", group.__name__.removesuffix("Settings"))
        return f"{words.capitalize()} options"

    def texts(self, group: type, field: "dataclasses.Field[Any]") -> tuple[str, str]:
        """Meaning of an option and when to change it, as Markdown.

        Raises:
            InputError: the translation lacks one of them.
        """
        if self.translation is None:
            return field.metadata["help"].replace("<", "\\<"), field.metadata["when"]
        # Two tasks may each have an option of one name.
        own = f"{group.__name__}.{field.name}"
        name = own if own in self.translation["options"] else field.name
        text = self._translated("options", name)
        if not text.get("help") or bool(text.get("when")) != bool(field.metadata["when"]):
            raise InputError(f"docs/{TRANSLATION}: {field.name}: help and when are needed")
        return text["help"], text.get("when", "")

    def _translated(self, part: str, name: str) -> Any:
        assert self.translation is not None
        try:
            return self.translation[part][name]
        except KeyError:
            raise InputError(f"docs/{TRANSLATION}: {part}: no text for {name}") from None


def languages(docs: Path) -> list[Language]:
    """The languages of the pages of the folder `docs`.

    Raises:
        InputError: their translation is not there or no JSON5.
    """
    try:
        translation = json5.loads(_text(docs / TRANSLATION))
    except ValueError as error:
        raise InputError(f"{docs / TRANSLATION}: {error}") from None
    return [
        Language(".md", ("option", "default", "meaning", "when to change it")),
        Language(".zh.md", ("参数", "默认值", "含义", "何时修改"), translation),
    ]


def document_options(docs: Path) -> list[Path]:
    """Write the tables into the pages of the folder `docs`, and return the pages.

    Raises:
        InputError: a page or text is missing, or a page does not say where the tables go.
    """
    pages = []
    for language in languages(docs):
        for page, groups in PAGES.items():
            path = docs / f"{page}{language.suffix}"
            text = with_tables(path, groups, language)
            with write_atomically(path) as (temporary,):
                temporary.write_text(text, encoding="utf-8")
            pages.append(path)
    return pages


def with_tables(path: Path, groups: Sequence[type], language: Language) -> str:
    """The text of a page with the tables of `groups` between its two comments.

    Raises:
        InputError: a text is missing, or the page has no such comments.
    """
    before, begin, rest = _text(path).partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"{path}: {BEGIN} and {END} have to stand in it")
    tables = "\n\n".join(_table(group, language) for group in groups)
    return f"{before}{BEGIN}\n\n{tables}\n\n{END}{after}"


def _table(group: type, language: Language) -> str:
    kinds = typing.get_type_hints(group)
    rows = [language.columns, ("---",) * len(language.columns)]
    for field in dataclasses.fields(group):
        aliases = (f"-{a}" if len(a) == 1 else f"--{a}" for a in field.metadata["aliases"])
        names = ", ".join(f"`{name}`" for name in (f"--{field.name}", *aliases))
        rows.append((names, _default(field, kinds[field.name]), *language.texts(group, field)))
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join([f"### {language.heading(group)}", "", *(f"| {line} |" for line in lines)])


def _default(field: "dataclasses.Field[Any]", kind: Any) -> str:
    """The default with its unit; of several choices it is the bold one."""
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return ", ".join(f"**{item}**" if item == field.default else item for item in choices)
    if isinstance(field.default, tuple):
        return ",".join(map(str, field.default))
    unit = f" {field.metadata['unit']}" if field.default is not None else ""
    return f"{field.default}{unit}".rstrip()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise InputError(f"{path}: {reason}; --docs_dir names the folder of the pages") from None
