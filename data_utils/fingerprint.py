"""What results on disk were made with, told apart from what is wanted now, setting by setting."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_DIGEST = re.compile("[0-9a-f]{32,}")


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Each value that differs, by its dotted name: "features.hop_ms 10.0 where 12.5 is wanted".

    Of a digest, a file's say, nothing but the name is told: "another manifest".

    Args:
        found: JSON values in nested mappings, or what JSON makes such of, as tuples.
        wanted: likewise.
    """
    were, are = dict(_flat(_plain(found))), dict(_flat(_plain(wanted)))
    return [
        _difference(name, were, are)
        for name in {**are, **were}
        if name not in were or name not in are or were[name] != are[name]
    ]


def _plain(values: Mapping[str, Any]) -> Any:
    """The values as they come back from a file."""
    return json.loads(json.dumps(values))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values in nested mappings, and in lists that hold mappings or lists, by dotted names."""
    if isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        value = dict(enumerate(value))
    if isinstance(value, dict) and (value or not name):
        for key, part in value.items():
            yield from _flat(part, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _difference(name: str, were: Mapping[str, Any], are: Mapping[str, Any]) -> str:
    was, now = _written(were.get(name)), _written(are.get(name))
    if name not in were:
        return f"no {name} where {now} is wanted"
    if name not in are:
        return f"{name} {was} where none is wanted"
    if _DIGEST.fullmatch(was) and _DIGEST.fullmatch(now):
        return f"another {name}"
    return f"{name} {was} where {now} is wanted"


def _written(value: Any) -> str:
    """The value as it is given on the command line."""
    return (",".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
