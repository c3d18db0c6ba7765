"""Files that are whole or absent: written beside their place, synced, then renamed into it."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from data_utils.errors import InputError

_BEGINNING = 1 << 14
"""Bytes that tell of what kind a file is: two lines, the first of which may be a path."""


@contextlib.contextmanager
def write_atomically(*paths: str | Path) -> Iterator[list[Path]]:
    """Yield one temporary path for each of `paths`; fill them, and they take their places together.

    When the block ends, every file is synced before the first one is renamed. When it raises,
    whatever stood at `paths` stays as it was. Missing folders are created.

    Raises:
        InputError: a file cannot be created or renamed there.
    """
    targets = [Path(path) for path in paths]
    temporaries = [path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in targets]
    try:
        for target, temporary in zip(targets, temporaries, strict=True):
            with _explained(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                temporary.touch()
        yield temporaries
        for target, temporary in zip(targets, temporaries, strict=True):
            with _explained(target), temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
        for target, temporary in zip(targets, temporaries, strict=True):
            with _explained(target):
                temporary.replace(target)
    finally:
        for temporary in temporaries:
            with contextlib.suppress(OSError):
                temporary.unlink()


@contextlib.contextmanager
def room(folder: Path, what: str) -> Iterator[None]:
    """What goes wrong while the block fills files of `folder`, a full disk say, told in one line.

    Args:
        folder: what is written into.
        what: is written there.

    Raises:
        InputError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder}: the {what} cannot be written ({error.strerror or error}); make room, "
            f"what was saved before is whole"
        ) from None


def check_place(*paths: str | Path, kind: re.Pattern[bytes] | None = None) -> None:
    """Refuse places that cannot be written, before hours are spent on what was to be put there.

    Nothing is created, so that a command refused for another reason leaves no trace.

    Args:
        paths: of the files to be written.
        kind: how these begin; a file that stands there and begins otherwise is somebody's own.

    Raises:
        InputError: a folder stands there, or a file of another kind, or what should hold it is no
            folder or write-protected.
    """
    for path in map(Path, paths):
        reason = ""
        if path.is_dir():
            reason = "it is a folder"
        elif kind is not None and not is_replaceable(path, kind):
            reason = "a file of another kind stands there"
        for above in path.absolute().parents:
            if above.exists():
                if not above.is_dir():
                    reason = f"{above.name} is no folder"
                elif not os.access(above, os.W_OK | os.X_OK):
                    reason = f"no permission to write in {above}"
                break
        if reason:
            raise _refusal(path, reason)


def is_replaceable(path: Path, kind: re.Pattern[bytes]) -> bool:
    """Whether no file is there, or an empty one, or one that begins as `kind` says."""
    if not path.is_file():
        return True
    try:
        with path.open("rb") as stream:
            content = stream.read(_BEGINNING)
    except OSError:
        return False  # nobody can tell
    return not content or kind.match(content) is not None


def _refusal(path: Path, reason: object) -> InputError:
    return InputError(
        f"{path}: cannot be written ({reason}); choose another place or free this one"
    )


@contextlib.contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _refusal(target, error.strerror or error) from None
