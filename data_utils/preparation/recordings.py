"""The recordings that annotation lines name: where they are, and whether they can be used."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.audio import AudioError, speech_duration
from data_utils.workers import available_cores, spawned_map

AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
)
"""Endings by which a folder's recordings are told from its READMEs and licences."""

_SERIAL = 200
"""Up to so many files are read before new processes would have started."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What reading a file to its end showed: its length in seconds, or why it cannot be used."""

    duration: float
    reason: str = ""


def locate(audio: str, folders: Sequence[Path]) -> str | None:
    """The path of a recording as it is opened from the current folder; None if there is none.

    It is tried as given, then from each of `folders`; with the separators of Windows too. Where no
    file has that name a folder may, which reading then refuses.

    Returns:
        a relative path where the file lies below the current folder, an absolute one elsewhere;
        with forward slashes.
    """
    candidates = [
        # Not Path.resolve: a link to the disk that holds the corpus stays what it is.
        os.path.abspath(candidate)  # noqa: PTH100
        for name in dict.fromkeys((audio, audio.replace("\\", "/")))
        for candidate in (name, *(os.path.join(folder, name) for folder in folders))  # noqa: PTH118
    ]
    # Those of pathlib fail over a transcript in place of the path, which may be too long for one.
    for exists in (os.path.isfile, os.path.isdir):
        for path in filter(exists, candidates):
            return as_opened(Path(path))
    return None


def as_opened(path: Path) -> str:
    """An absolute path as manifests hold it: relative below the current folder."""
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else path).as_posix()


def recordings_below(folder: Path) -> list[str]:
    """Every audio file in a folder and its subfolders, by name; hidden files are left out."""
    files = (
        path
        for path in Path(os.path.abspath(folder)).rglob("*")  # noqa: PTH100
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    )
    return sorted(as_opened(path) for path in files if path.is_file())


def check_recordings(
    paths: Iterable[str], num_workers: int | None = None
) -> Iterator[tuple[str, Recording]]:
    """Read each file from its beginning to its end, in several processes; in the order given.

    Args:
        paths: the files.
        num_workers: processes; None takes every core.

    Raises:
        InputError: a worker process died.
    """
    names = list(paths)
    workers = num_workers or available_cores()
    if workers == 1 or len(names) <= _SERIAL:
        yield from zip(names, map(check_recording, names), strict=True)
        return
    checked = spawned_map(
        check_recording,
        names,
        workers,
        cure="nothing was written; try again with a smaller --num_workers",
        chunksize=32,
    )
    yield from zip(names, checked, strict=True)


def check_recording(path: str) -> Recording:
    """Read a file to its end; the reason tells why it holds no speech."""
    if not _is_text(path):
        return Recording(0.0, "its name is not UTF-8; rename it")
    try:
        # 0.1 ms, so that manifests can be read by eye.
        return Recording(round(speech_duration(path), 4))
    except AudioError as error:
        return Recording(0.0, str(error).removeprefix(f"{path}: "))
    except Exception as error:  # a defect of a codec must not cost the other recordings
        return Recording(0.0, f"cannot be read ({type(error).__name__}: {error})")


def _is_text(name: str) -> bool:
    """Whether a manifest can hold it: Python gives file names in other encodings as surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
