"""What a checkpoint says of its network, read back: alike for every task."""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_utils.errors import InputError
from model_utils.options import Options


def task_of(info: Mapping[str, Any]) -> str:
    """The task that a checkpoint's JSON is of; the first versions knew one only."""
    task = info.get("task", "recognition")
    return task if isinstance(task, str) else "recognition"


def needed(info: Mapping[str, Any] | None, path: Path) -> Mapping[str, Any]:
    """The JSON of a checkpoint that is useless without it.

    Raises:
        InputError: there is none.
    """
    if info is None:
        raise InputError(
            f"{path}: weights alone, without {path.stem}.json beside it, which says what they are "
            f"for; keep both together"
        )
    return info


@contextlib.contextmanager
def reading(
    info: Mapping[str, Any], task: str, parts: Collection[str], where: str
) -> Iterator[None]:
    """The block reads `parts` of a checkpoint's JSON; what it stumbles on is said in one line.

    Raises:
        InputError: it is of another task, a part is missing, or the block did not understand one.
    """
    if (found := task_of(info)) != task:
        raise InputError(f"{where}: a model for {found}, not for {task}")
    try:
        missing = [name for name in parts if name not in info]
        if missing:
            raise InputError(f"{' and '.join(missing)} missing")
        yield
    except (InputError, KeyError, TypeError, ValueError, OverflowError) as error:
        problem = " ".join(str(error).split())
        raise InputError(
            f"{where}: not a description that this version understands ({problem}); it was "
            f"made by another version, or is damaged"
        ) from None


def check_given(
    options: Options,
    given: Mapping[str, Any],
    own: Mapping[str, Any],
    path: Path,
    may_change: Collection[str] = (),
) -> None:
    """Refuse options that contradict the checkpoint that is used.

    Args:
        options: which of them were given, rather than defaults.
        given: their values by name.
        own: those of the checkpoint.
        path: of the checkpoint.
        may_change: options that may be other ones.

    Raises:
        InputError: naming the first that does.
    """
    for name, value in given.items():
        if name in options.given and value != own[name] and name not in may_change:
            raise InputError(
                f"--{name}={value}: {path} was trained with {own[name]}; leave the option out"
            )
