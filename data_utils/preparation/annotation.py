"""Annotation files, as users write them: `path<TAB>text[<TAB>speaker]`, one recording a line.

Further columns, in place of the speaker too, may say what else is known of it: `language=zh`.

UTF-8 with or without a byte order mark, UTF-16 with one, and GBK (GB18030) are told apart.
"""

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from data_utils.errors import InputError
from data_utils.manifest import KEYS
from data_utils.preparation.recordings import AUDIO_SUFFIXES

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_FIELD = re.compile(r"(\w+)\s*=\s*(.*)")

_CONTROLS = r"[\x00-\x08\x0e-\x19\x1b-\x1f]"  # that no text holds; 1a ended files of DOS
_CONTROL, _CONTROL_BYTE = re.compile(_CONTROLS), re.compile(_CONTROLS.encode())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an annotation file, nothing of it checked yet but its form."""

    file: Path
    number: int
    """Counted from 1."""
    audio: str
    """Path of the recording as it is written there."""
    text: str
    speaker: str | None
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What else is said of it, by name."""

    @property
    def where(self) -> str:
        """File and line: `dataset/annotation/train.txt:17`."""
        return _where(self.file, self.number)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was left out, and why; as text, one line of the list that users read."""

    where: str
    audio: str
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.audio, self.reason) if part)


@dataclass(frozen=True, slots=True)
class Annotation:
    """The content of one annotation file."""

    path: Path
    encoding: str
    lines: list[Line]
    problems: list[Problem]


def annotation_files(path: Path) -> list[Path]:
    """Every file of an annotation folder, by name, but hidden ones, READMEs and recordings.

    Args:
        path: the folder, or a single file.

    Raises:
        InputError: it does not exist, or there is no file in it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: folder not found; put files of path<TAB>text lines there")
    files = annotations_in(path)
    if not files:
        raise InputError(f"{path}: no file in it; put files of path<TAB>text lines there")
    return files


def annotations_in(folder: Path) -> list[Path]:
    """The annotation files of a folder, as `annotation_files`; none where there is no folder."""
    return sorted(
        file
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.is_file()
        and not file.name.startswith((".", "README"))
        and file.suffix.lower() not in AUDIO_SUFFIXES
    )


def read_annotation(path: Path) -> Annotation:
    """Read one annotation file; lines that cannot be used become problems.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    encoding, decoded = decode_lines(content)
    damaged = sum(text is None or _CONTROL.search(text) is not None for text in decoded)
    if _CONTROL_BYTE.search(content) and 2 * damaged > len(decoded):
        return Annotation(path, "binary", [], [Problem(path.as_posix(), "", "not a text file")])
    lines: list[Line] = []
    problems: list[Problem] = []
    for number, text in enumerate(decoded, start=1):
        reason = ""
        if text is None:
            reason = f"not {encoding} as the rest; save the file as UTF-8"
        elif "\0" in text:
            reason = "a NUL character in it; write the line again"
        elif text.strip():
            try:
                lines.append(_parse(text, path, number))
            except ValueError as error:
                reason = str(error)
        if reason:
            problems.append(Problem(_where(path, number), "", reason))
    return Annotation(path, encoding, lines, problems)


def decode_lines(content: bytes) -> tuple[str, list[str | None]]:
    """The encoding of a text file, and its lines; a line that is not in that encoding is None.

    Without a byte order mark it is UTF-8 if most of the lines that are not plain ASCII are: one
    damaged line does not make the file GBK, and one GBK line that happens to be valid UTF-8 does
    not make it UTF-8.
    """
    if content.startswith(_UTF16):
        return "UTF-16", _ended(content.decode("utf-16", errors="replace").split("\n"))
    lines = content.removeprefix(codecs.BOM_UTF8).split(b"\n")
    telling = [line for line in lines if not line.isascii()]
    valid = sum(_decoded(line, "utf-8") is not None for line in telling)
    is_utf8 = content.startswith(codecs.BOM_UTF8) or 2 * valid >= len(telling)
    encoding = "UTF-8" if is_utf8 else "GB18030"
    return encoding, _ended([_decoded(line, encoding) for line in lines])


def _ended(lines: Sequence[str | None]) -> list[str | None]:
    return [line if line is None else line.removesuffix("\r") for line in lines]


def _decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


def _where(file: Path, number: int) -> str:
    return f"{file.as_posix()}:{number}"


def _parse(text: str, file: Path, number: int) -> Line:
    columns = [column.strip() for column in text.split("\t")]
    if len(columns) == 1:
        raise ValueError("path<TAB>text[<TAB>speaker] expected, found no tab")
    audio, transcript, *rest = columns
    speaker = rest.pop(0) if rest and not _FIELD.fullmatch(rest[0]) else None
    said = [_FIELD.fullmatch(column) for column in rest]
    if not all(said):
        raise ValueError(
            f"path<TAB>text[<TAB>speaker] expected, found {len(columns)} columns; those behind "
            f"are written name=value"
        )
    if not audio:
        raise ValueError("the path is empty")
    return Line(file, number, audio, transcript, speaker or None, _fields(said))


def _fields(said: Sequence[re.Match[str] | None]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in (match.groups() for match in said if match):
        if name in KEYS or name in fields:
            problem = (
                "is no name for a column of your own" if name in KEYS else "stands there twice"
            )
            raise ValueError(f"{name}={value}: {name} {problem}")
        fields[name] = value
    return {name: value for name, value in fields.items() if value}
