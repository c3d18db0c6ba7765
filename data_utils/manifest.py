"""Manifests: one utterance a line, as JSON.

    {"audio_filepath": "dataset/audio/a.wav", "duration": 3.52, "text": "近几年"}

`speaker` is optional, and so are `start` and `end` (seconds), which make the utterance a part of a
longer file; `duration` is then that of the part. Any other key with a text is a field: what kind of
utterance it is, `"language": "zh"` say. The text of a manifest is kept as it was when it
was opened, so that a new one in its place changes nothing under a training. That of one larger than
`KEPT_BYTES` (millions of lines) is not held in memory: `Manifest` then keeps 20 bytes a line, which
workers share, reads a line again when it is asked for, and notices if the file has changed.
"""

import contextlib
import hashlib
import io
import itertools
import json
import math
import operator
import os
import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_utils.atomic import write_atomically
from data_utils.errors import InputError
from data_utils.shared import SharedArray

KEPT_BYTES = 64 << 20
"""A manifest file of up to so many bytes is held in memory, by each process that reads it."""

BLOCK = 10_000
"""Lines of a large file that are read by one opening of it, where they are read in order."""

MAX_SECONDS = 1e9
"""Thirty years: a manifest that says more means another unit, or is damaged."""

KIND = re.compile(rb"(\xef\xbb\xbf)?\s*\{")
"""How a manifest begins."""

KEYS = frozenset({"audio_filepath", "duration", "text", "speaker", "start", "end"})
"""What a line says that is no field."""

_REMEDY = "make it with: python tools/create_manifest.py"
_BOM = b"\xef\xbb\xbf"
_SHOWN_AFTER = 2.0  # seconds of reading without a bar


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording, or the part of one between `start` and `end`, and what is said in it."""

    audio: str
    """Path of the recording, as opened from the current folder."""
    duration: float
    """Length in seconds; of the part, where the utterance is one."""
    text: str
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What else is said of it, by name: the class that it belongs to in some respect."""

    @property
    def key(self) -> str:
        """What stays the same on every machine and in every order: the path and the start."""
        return self.audio if self.start is None else f"{self.audio}@{self.start}"


class Manifest(Sequence[Utterance]):
    """The utterances of one or several manifest files; a line is parsed when it is asked for.

    It can be pickled: a worker process gets the index, which all share, and the text, or of a large
    file its path.
    """

    def __init__(
        self,
        files: Sequence["_File"] = (),
        index: "NDArray[np.void] | None" = None,
        outside: "NDArray[np.void] | None" = None,
        refused: "NDArray[np.void] | None" = None,
    ) -> None:
        nothing = np.empty(0, _ROW)
        self._files = tuple(files)
        self._shared = SharedArray(nothing if index is None else index)
        self._outside = nothing if outside is None else outside
        self._refused = nothing if refused is None else refused

    @classmethod
    def open(
        cls,
        paths: str | Path | Sequence[str | Path],
        *,
        min_duration: float = 0.0,
        max_duration: float = math.inf,
        problem: Callable[[Utterance], str] | None = None,
    ) -> "Manifest":
        """Index every line of `paths` whose duration lies between the bounds, themselves included.

        Args:
            paths: manifest files, taken one after the other.
            min_duration: shortest utterance, in seconds.
            max_duration: longest utterance, in seconds.
            problem: why an utterance cannot be used, empty where it can; None uses all. Asked as a
                line is read, so that one reading is enough for millions of them.

        Raises:
            InputError: a file is missing, empty or not a manifest, or no utterance lies between the
                bounds.
        """
        files: list[_File] = []
        parts = []
        for path in [paths] if isinstance(paths, str | Path) else paths:
            file = _File.found(str(path))
            parts.append(_index(file, len(files), problem))
            files.append(file)
        if not files:
            raise InputError(f"no manifest given; {_REMEDY}")
        index, is_refused = (
            rows[0] if len(rows) == 1 else np.concatenate(rows) for rows in zip(*parts, strict=True)
        )
        del parts
        # The bounds are compared in float32 too, or 20.1 would not be equal to 20.1.
        durations = index["duration"]
        within = (durations >= np.float32(min_duration)) & (durations <= np.float32(max_duration))
        if not within.any():
            raise InputError(
                f"{','.join(file.path for file in files)}: none of the {len(index)} utterances "
                f"lasts between {min_duration:g} and {max_duration:g} s; "
                "change --min_duration or --max_duration"
            )
        outside, refused = index[~within], index[within & is_refused]
        return cls(files, index[within & ~is_refused], outside, refused)

    @property
    def left_out(self) -> "Manifest":
        """The utterances that `open` left out because of their duration."""
        return Manifest(self._files, self._outside)

    @property
    def refused(self) -> "Manifest":
        """The utterances that `open` left out because they have a problem."""
        return Manifest(self._files, self._refused)

    @property
    def durations(self) -> "NDArray[np.float32]":
        """Seconds of each utterance, float32 `[utterances]`: a view, not to be written to."""
        durations: NDArray[np.float32] = self._index["duration"]
        durations.flags.writeable = False
        return durations

    def digest(self) -> str:
        """Digest of what the files hold and which of their lines are used; 32 hexadecimal digits.

        Raises:
            InputError: a file cannot be read any more.
        """
        index = np.ascontiguousarray(self._index).view(np.uint8)
        digest = hashlib.blake2b(index.data, digest_size=16)
        for file in self._files:
            for _, _, line in file.lines():
                digest.update(line)
        return digest.hexdigest()

    def where(self, index: int) -> str:
        """The file and line of an utterance, as messages name it: `dataset/manifest.train:17`."""
        row = self._index[index]
        return f"{self._files[row['file']].path}:{row['line']}"

    def select(self, indices: ArrayLike) -> "Manifest":
        """The manifest of these utterances only, in this order; what was left out stays so."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Manifest(self._files, self._index[chosen], self._outside, self._refused)

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> "Manifest": ...
    def __getitem__(self, index: int | slice) -> "Utterance | Manifest":
        if isinstance(index, slice):
            return Manifest(self._files, self._index[index], self._outside, self._refused)
        row = self._index[index]
        # A large file is opened anew each time: no position to share between threads and forked
        # processes, and the time is small beside reading the recording.
        with self._files[row["file"]].opened() as stream:
            stream.seek(int(row["offset"]))
            return parse_line(stream.readline(), self.where(index))

    def __iter__(self) -> Iterator[Utterance]:
        """The utterances in order; a large file is opened once for `BLOCK` lines of it."""
        for start in range(0, len(self), BLOCK):
            rows = self._index[start : start + BLOCK].tolist()
            for number, run in itertools.groupby(rows, operator.itemgetter(3)):
                file = self._files[number]
                with file.opened() as stream:
                    for offset, _, line, _ in run:
                        stream.seek(offset)
                        yield parse_line(stream.readline(), f"{file.path}:{line}")

    @property
    def _index(self) -> "NDArray[np.void]":
        return self._shared.array


def parse_line(line: bytes | str, where: str) -> Utterance:
    """The utterance that a line of a manifest describes.

    Lines of older packages are read as they are: numbers may be written as text, keys that are not
    known are ignored unless they hold text, and a manifest of noises needs no `text`.

    Args:
        line: UTF-8 or text.
        where: file and line, the beginning of an error's message.

    Raises:
        InputError: the line is no such JSON object.
    """
    try:
        record = json.loads(line.decode("utf-8") if isinstance(line, bytes) else line)
    except UnicodeDecodeError:
        raise InputError(f"{where}: not UTF-8; {_REMEDY}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON ({error}); mend the line or {_REMEDY}") from None
    if not isinstance(record, dict):
        raise InputError(f"{where}: an object with audio_filepath, duration and text expected")
    audio = record.get("audio_filepath")
    if not isinstance(audio, str) or not audio:
        raise InputError(f"{where}: audio_filepath missing or empty; mend the line or {_REMEDY}")
    start, end = _seconds(record, "start", where), _seconds(record, "end", where)
    duration = _seconds(record, "duration", where)
    if start is not None and end is not None and end <= start:
        raise InputError(f"{where}: end {end:g} is not after start {start:g}; mend the line")
    if duration is None:
        raise InputError(f"{where}: duration missing; mend the line or {_REMEDY}")
    text, speaker = record.get("text", ""), record.get("speaker")
    if not isinstance(text, str) and (text is None or isinstance(text, dict | list | bool)):
        raise InputError(f"{where}: text must be text, found {text!r}; mend the line")
    fields = {k: v for k, v in record.items() if k not in KEYS and isinstance(v, str)}
    return Utterance(
        audio, duration, str(text), None if speaker is None else str(speaker), start, end, fields
    )


def write_manifests(contents: Mapping[Path, Iterable[Utterance]]) -> None:
    """Write manifests, by their paths; none takes its place before all are complete.

    Raises:
        InputError: a file cannot be written.
    """
    with write_atomically(*contents) as temporaries:
        for temporary, utterances in zip(temporaries, contents.values(), strict=True):
            with temporary.open("w", encoding="utf-8", newline="\n") as stream:
                for utterance in utterances:
                    stream.write(json.dumps(_record(utterance), ensure_ascii=False) + "\n")


def _record(utterance: Utterance) -> dict[str, Any]:
    record: dict[str, Any] = {
        "audio_filepath": utterance.audio,
        "duration": utterance.duration,
        "text": utterance.text,
    }
    optional = {"speaker": utterance.speaker, "start": utterance.start, "end": utterance.end}
    record |= {key: value for key, value in optional.items() if value is not None}
    return {**record, **utterance.fields}


def _seconds(record: Mapping[str, Any], key: str, where: str) -> float | None:
    value = record.get(key)
    if value is None:
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 <= seconds <= MAX_SECONDS:
        raise InputError(f"{where}: {key} must be seconds, found {value!r}; mend the line")
    return seconds


_ROW = np.dtype(
    [("offset", np.int64), ("duration", np.float32), ("line", np.int32), ("file", np.int32)]
)


@dataclass(frozen=True, slots=True)
class _File:
    """A manifest file as it was when it was indexed."""

    path: str
    size: int
    modified: int
    content: bytes | None
    """None of a file larger than `KEPT_BYTES`."""

    @classmethod
    def found(cls, path: str) -> "_File":
        try:
            with Path(path).open("rb") as stream:
                state = os.fstat(stream.fileno())
                content = stream.read() if state.st_size <= KEPT_BYTES else None
        except FileNotFoundError:
            raise InputError(f"{path}: file not found; {_REMEDY}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        return cls(path, state.st_size, state.st_mtime_ns, content)

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """The number, offset in bytes and content of every line that is not blank."""
        offset = 0
        with self.opened() as stream:
            for number, line in enumerate(stream, start=1):
                skipped = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
                if line[skipped:].strip():
                    yield number, offset + skipped, line[skipped:]
                offset += len(line)

    @contextlib.contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """What the file held when it was found, to be read."""
        if self.content is not None:
            yield io.BytesIO(self.content)
            return
        try:
            with Path(self.path).open("rb") as stream:
                state = os.fstat(stream.fileno())
                if (state.st_size, state.st_mtime_ns) != (self.size, self.modified):
                    raise InputError(
                        f"{self.path}: changed since it was opened; start the command again"
                    )
                yield stream
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read any more ({error.strerror})") from None


def _index(
    file: _File, number: int, problem: Callable[[Utterance], str] | None
) -> tuple["NDArray[np.void]", "NDArray[np.bool_]"]:
    """A row for each line of the file, and which of them have a problem."""
    from tqdm import tqdm

    refused = array("q")

    def rows(bar: Any) -> Iterator[tuple[int, float, int, int]]:
        for count, (line_number, offset, line) in enumerate(file.lines()):
            utterance = parse_line(line, f"{file.path}:{line_number}")
            if problem is not None and problem(utterance):
                refused.append(count)
            bar.update(len(line))
            yield offset, utterance.duration, line_number, number

    with tqdm(
        desc=f"reading {file.path}",
        total=file.size,
        unit="B",
        unit_scale=True,
        disable=None,
        leave=False,
        delay=_SHOWN_AFTER,
    ) as bar:
        index = np.fromiter(rows(bar), dtype=_ROW)
    if not len(index):
        raise InputError(f"{file.path}: no utterance in it; {_REMEDY}")
    is_refused = np.zeros(len(index), dtype=np.bool_)
    is_refused[np.frombuffer(refused, np.int64)] = True
    return index, is_refused
