"""Songs, each a mixture with its vocals and its accompaniment, and the CSV manifest of them.

    dataset/<song>/mixture.wav
    dataset/<song>/vocal.wav            or vocals
    dataset/<song>/instrumental.wav     or accompaniment

in any format that libsndfile reads. The manifest names them as seen from `dataset`:

    mix,vocal,instrumental,duration,sample_rate
    a/mixture.wav,a/vocals.wav,a/instrumental.wav,213.5,44100
"""

import csv
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_utils.atomic import check_place, write_atomically
from data_utils.audio import TOLERANCE, AudioError, length_and_rate
from data_utils.errors import InputError
from data_utils.manifest import MAX_SECONDS
from data_utils.preparation.annotation import Problem
from data_utils.preparation.recordings import AUDIO_SUFFIXES, locate
from data_utils.separation.settings import SongFiles

NAMES = {
    "mix": ("mixture",),
    "vocal": ("vocal", "vocals"),
    "instrumental": ("instrumental", "accompaniment"),
}
"""What the recordings of a song are called, by the columns of the manifest."""

COLUMNS = (*NAMES, "duration", "sample_rate")
KIND = re.compile(rb"(\xef\xbb\xbf)?mix,vocal,instrumental")
"""How a manifest begins."""

_REMEDY = "make it with: python run_scripts/preprocess.py"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Song:
    """The paths of a song's recordings, its length in seconds and their rate in Hz."""

    mix: str
    vocal: str
    instrumental: str
    duration: float
    sample_rate: int
    where: str = ""
    """File and line of the manifest, for messages."""


def read_songs(manifest: str | Path, folder: str | Path) -> list[Song]:
    """The songs of a manifest, their paths as opened from the current folder.

    A path is that of a file in `folder`, else one from the current folder. One that is neither is
    kept as it is: reading it says that there is no such file, and the other songs are used.

    Args:
        manifest: CSV, UTF-8, with the `COLUMNS` in any order; others are ignored.
        folder: where its paths start.

    Raises:
        InputError: no such file, not a manifest, a line that is none, or no song at all.
    """
    songs = []
    try:
        with Path(manifest).open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True, skipinitialspace=True)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise InputError(
                    f"{manifest}:1: no column {missing[0]}, the first line should be "
                    f"{','.join(COLUMNS)}; {_REMEDY}"
                )
            for row in rows:
                songs.append(_song(row, f"{manifest}:{rows.line_num}", folder))
    except FileNotFoundError:
        raise InputError(f"{manifest}: file not found; {_REMEDY}") from None
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        reason = "not UTF-8" if isinstance(error, UnicodeDecodeError) else f"not CSV: {error}"
        raise InputError(f"{manifest}: {reason}; {_REMEDY}") from None
    if not songs:
        raise InputError(f"{manifest}: no song in it; {_REMEDY}")
    return songs


def _song(row: Mapping[str | None, str | None], where: str, folder: str | Path) -> Song:
    paths = {}
    for column in NAMES:
        name = row[column]
        if not name:
            raise InputError(f"{where}: {column} is empty; mend the line or {_REMEDY}")
        within = os.path.join(folder, name)  # noqa: PTH118 (may be no path at all)
        paths[column] = locate(within, ()) or locate(name, ()) or within
    return Song(
        **paths,
        duration=_number(row, "duration", "seconds", MAX_SECONDS, where),
        sample_rate=int(_number(row, "sample_rate", "Hz", 1e6, where)),
        where=where,
    )


def _number(
    row: Mapping[str | None, str | None], column: str, unit: str, largest: float, where: str
) -> float:
    try:
        value = float(row[column] or "")
    except ValueError:
        value = math.nan
    if not 0 < value <= largest:
        raise InputError(
            f"{where}: {column} must be {unit}, found {row[column]!r}; mend the line or {_REMEDY}"
        )
    return value


def find_songs(folder: str | Path) -> tuple[list[Song], list[Problem]]:
    """The songs below `folder`, by name, and those that cannot be used, with the reasons.

    A song is a folder with recordings in it. Headers are read, nothing else: the recordings of a
    song have one rate, and lengths that differ by `TOLERANCE` at most, for encoders pad; its
    duration is that of the shortest.

    Returns:
        songs with paths as seen from `folder`, and problems.

    Raises:
        InputError: there is no such folder.
    """
    try:
        folders = sorted(path for path in Path(folder).iterdir() if path.is_dir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror})") from None
    songs, problems = [], []
    for path in folders:
        if path.name.startswith("."):
            continue
        try:
            if recordings := _recordings(path):
                songs.append(_checked(path, recordings))
        except AudioError as error:
            problems.append(Problem(path.as_posix(), "", str(error)))
    return songs, problems


def _recordings(folder: Path) -> list[Path]:
    try:
        files = sorted(folder.iterdir())
    except OSError as error:
        raise AudioError(f"cannot be read ({error.strerror})") from None
    return [
        path
        for path in files
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    ]


def _checked(folder: Path, recordings: Sequence[Path]) -> Song:
    """The song in `folder`.

    Raises:
        AudioError: a recording is missing, there twice or cannot be read, or they do not belong
            together.
    """
    found = {
        column: [path for path in recordings if path.stem.lower() in names]
        for column, names in NAMES.items()
    }
    for column, names in NAMES.items():
        if len(found[column]) > 1:
            both = " and ".join(path.name for path in found[column][:2])
            raise AudioError(f"both {both}; keep one")
        if not found[column]:
            raise AudioError(
                f"no {' or '.join(names)} among its recordings; a song needs mixture, vocal and "
                "instrumental"
            )
    paths = {column: paths[0] for column, paths in found.items()}
    lengths, rates = zip(*(_header(path) for path in paths.values()), strict=True)
    if len(set(rates)) > 1:
        raise AudioError(f"different rates, {_each(paths, rates, 'Hz')}; convert them to one")
    seconds = [length / rates[0] for length in lengths]
    if max(seconds) - min(seconds) > TOLERANCE:
        raise AudioError(
            f"different lengths, {_each(paths, [f'{s:.2f}' for s in seconds], 's')}; "
            "the recordings of a song begin and end together"
        )
    return Song(
        **{column: f"{folder.name}/{path.name}" for column, path in paths.items()},
        duration=math.floor(min(seconds) * 1e4) / 1e4,  # to be read by eye, never too long
        sample_rate=rates[0],
    )


def _header(path: Path) -> tuple[int, int]:
    try:
        return length_and_rate(path)
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), path.name, 1)) from None


def _each(paths: Mapping[str, Path], values: Sequence[object], unit: str) -> str:
    named = zip(paths.values(), values, strict=True)
    return ", ".join(f"{path.name} {value} {unit}" for path, value in named)


def write_manifest(path: str | Path, songs: Sequence[Song]) -> None:
    """Write the manifest of `songs`; it takes its place when it is complete.

    Raises:
        InputError: it cannot be written.
    """
    with (
        write_atomically(path) as (temporary,),
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(song, column) for column in COLUMNS] for song in songs)


def prepare_songs(files: SongFiles) -> None:
    """Find the songs, write their manifest and say what was found.

    Raises:
        InputError: no folder, no song that can be used, or something else stands in the
            manifest's place.
    """
    check_place(files.train_manifest, kind=KIND)
    songs, problems = find_songs(files.train_dataset)
    lines = [str(problem) for problem in problems]
    if not songs:
        reason = f"first: {lines[0]}" if lines else "a song is a folder with its recordings in it"
        raise InputError(f"{files.train_dataset}: no song that can be used ({reason})")
    for line in lines[:_SHOWN]:
        print(line)
    more = f" ({len(lines) - _SHOWN} more than shown)" if len(lines) > _SHOWN else ""
    hours = sum(song.duration for song in songs) / 3600
    print(f"songs {len(songs)}, hours {hours:.2f}, skipped {len(lines)}{more}")
    write_manifest(files.train_manifest, songs)
    print(f"written: {files.train_manifest}")
