"""Lists of recordings: a path a line, a manifest, or simply a folder."""

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import AudioError, length_and_rate
from data_utils.errors import InputError
from data_utils.manifest import KIND, Utterance, parse_line
from data_utils.preparation.annotation import decode_lines
from data_utils.preparation.recordings import locate, recordings_below

_SHOWN = 10

_CURE = "write a path a line, or name a manifest or a folder of recordings"


@dataclass(frozen=True)
class RecordingList:
    """The recordings that a list names and that are there; their texts are empty."""

    recordings: tuple[Utterance, ...]
    places: tuple[str, ...]
    """Where each is named, `dataset/clean.train:17`; in a folder, its name."""
    problems: tuple[str, ...] = ()
    """What was left out, a line for each: where, and why."""

    @cached_property
    def durations(self) -> NDArray[np.float32]:
        """Seconds of each recording, float32 `[recordings]`."""
        return np.array([recording.duration for recording in self.recordings], dtype=np.float32)

    def digest(self) -> str:
        """Digest of the paths and parts, 32 hexadecimal digits; not of what is recorded there."""
        digest = hashlib.blake2b(digest_size=16)
        for one in self.recordings:
            parts = (one.audio, one.duration, one.start, one.end)
            digest.update(repr(parts).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def where(self, index: int) -> str:
        """The file and line that name a recording."""
        return self.places[index]

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> Utterance:
        return self.recordings[index]


def read_list(path: str | Path) -> RecordingList:
    """The recordings that the list `path` names.

    A line is a path, from the current folder, from the list's own or from the one above; what
    follows a tab is not read, so that annotations are lists too. Blank lines and lines that begin
    with # are skipped. The duration comes from the recording's header; a manifest (JSON lines)
    brings its own, perhaps of a part. A folder stands for all recordings in and below it.

    Raises:
        InputError: the list cannot be read, a line of a manifest is damaged, or no recording is
            left.
    """
    path = Path(path)
    recordings, places, problems = [], [], []
    for where, recording in _named(path):
        try:
            recordings.append(_found(recording, path))
            places.append(where)
        except AudioError as error:
            problems.append(f"{where}: {error}")
    if not recordings:
        reason = "no recording in it"
        if problems:
            reason = f"none of its {len(problems)} recordings can be used ({problems[0]})"
        raise InputError(f"{path}: {reason}; {_CURE}")
    return RecordingList(tuple(recordings), tuple(places), tuple(problems))


def named_list(path: str | Path) -> RecordingList:
    """`read_list`, and on stderr what of it cannot be used.

    Raises:
        InputError: as `read_list`.
    """
    found = read_list(path)
    for problem in found.problems[:_SHOWN]:
        print(f"left out: {problem}", file=sys.stderr)
    if len(found.problems) > _SHOWN:
        print(f"left out: {len(found.problems) - _SHOWN} more like these", file=sys.stderr)
    return found


def _named(path: Path) -> Iterator[tuple[str, Utterance | str]]:
    """What a list names, each with its place: a line of a manifest, or a path."""
    if path.is_dir():
        yield from ((str(path), audio) for audio in recordings_below(path))
        return
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: list not found; {_CURE}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_CURE}") from None
    encoding, lines = decode_lines(content)
    is_manifest = KIND.match(content) is not None
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        if line is None or "\0" in line:
            raise InputError(f"{where}: no {encoding} text; save the list as UTF-8, a path a line")
        if is_manifest and line.strip():
            yield where, parse_line(line, where)
        audio = line.partition("\t")[0].strip()
        if not is_manifest and audio and not audio.startswith("#"):
            yield where, audio


def _found(named: Utterance | str, path: Path) -> Utterance:
    """The recording, as it is opened from the current folder.

    Raises:
        AudioError: there is none, or it is no audio.
    """
    audio = named if isinstance(named, str) else named.audio
    folders = (path.parent, path.parent.parent)
    place = locate(audio, folders)
    if place is None:
        searched = ", ".join(dict.fromkeys(folder.as_posix() for folder in (Path(), *folders)))
        raise AudioError(f"{audio}: file not found (searched in {searched})")
    if isinstance(named, str):
        samples, rate = length_and_rate(place)
        return Utterance(place, samples / rate, "")
    return Utterance(place, named.duration, "", None, named.start, named.end)
