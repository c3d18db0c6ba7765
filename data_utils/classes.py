"""The classes of utterances in some respect, such as their language: a field of their manifest."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import InputError, suggestion
from data_utils.manifest import KEYS, Manifest, Utterance

SPEAKER = "speaker"
"""A key that every manifest may have, and that says a class all the same."""

SHOWN = 10
"""Classes that are named where there are many."""

NO_CLASS = -1
"""Number of the class of an utterance whose line does not say any."""


@dataclass(frozen=True)
class Classes:
    """What an utterance may be, one of several; each class is known by its place."""

    field: str
    """Key of the manifest's lines that says it."""
    names: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest, field: str, origin: str) -> "tuple[Classes, list[str | None]]":
        """The classes that occur, sorted, and what each line says, see `values_of`.

        Args:
            manifest: read from its first to its last line.
            field: key of its lines.
            origin: the option that names the field, the beginning of an error's message.

        Raises:
            InputError: it is no such key, or there are fewer than two classes.
        """
        if not field.strip() or field in KEYS - {SPEAKER}:
            raise InputError(f"{origin}: the name of a field is expected, language say")
        values = values_of(manifest, field)
        names = tuple(sorted({value for value in values if value is not None}))
        if not names:
            known = {name for utterance in manifest for name in utterance.fields}
            raise InputError(
                f"{origin}: no line of the manifest says it in text ({manifest.where(0)} and all "
                f"behind){suggestion(field, known) if known else '; its lines have no field'}"
            )
        if len(names) == 1:
            raise InputError(
                f"{origin}: all that is said is {names[0]!r} ({manifest.where(0)} and all behind); "
                f"two classes or more can be told apart"
            )
        return cls(field, names), values

    def shown(self) -> str:
        """`2 classes of language (en, zh)`, the first few of many."""
        return f"{len(self.names)} classes of {self.field} ({listing(self.names)})"

    @classmethod
    def from_json(cls, content: Any) -> "Classes":
        """The classes whose `dataclasses.asdict` was written as JSON.

        Raises:
            InputError: it is nothing of the kind.
        """
        if not isinstance(content, dict) or not isinstance(content.get("field"), str):
            raise InputError("its classes name no field")
        names = content.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError("its classes are no list of names")
        if len(names) < 2 or len(set(names)) < len(names):
            raise InputError("its classes are not two or more different ones")
        return cls(content["field"], tuple(names))

    def numbers(self, values: Sequence[str | None]) -> NDArray[np.int32]:
        """The number of each class, int32 [utterances].

        Args:
            values: see `values_of`; None becomes `NO_CLASS`, a name that is none of these the
                number behind the last.
        """
        numbers: dict[str | None, int] = {name: n for n, name in enumerate(self.names)}
        numbers[None] = NO_CLASS
        found = (numbers.get(value, len(self.names)) for value in values)
        return np.fromiter(found, np.int32, len(values))


def listing(names: Sequence[str]) -> str:
    """The first few of `names`, for messages."""
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def values_of(manifest: Manifest, field: str) -> list[str | None]:
    """What each line says under `field`, white space made one; None where that is nothing.

    A number there is no text, and nothing.
    """
    return [_value(utterance, field) for utterance in manifest]


def _value(utterance: Utterance, field: str) -> str | None:
    said = utterance.speaker if field == SPEAKER else utterance.fields.get(field)
    value = " ".join((said or "").split())
    return sys.intern(value) if value else None  # millions of lines, few classes
