"""Recordings that a command was given, one after the other."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from data_utils.audio import length_and_rate
from data_utils.errors import InputError
from data_utils.preparation.recordings import recordings_below

Work = Callable[[str, Callable[[int], object]], list[Path]]
"""What is done to a recording, telling how many samples are done: the files that came of it."""


def recordings_at(paths: Iterable[str]) -> list[str]:
    """The paths, with the recordings of a folder in its place.

    Raises:
        InputError: a folder holds none.
    """
    found = []
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 (no error for what cannot be a path)
            found.append(path)
        elif below := recordings_below(Path(path)):
            found += below
        else:
            raise InputError(f"{path}: no recording in this folder, nor below it")
    return found


class Targets:
    """Where the results of recordings go, each in a place of its own.

    Args:
        paths: recordings and folders as they were given; below a folder its own folders are kept.
        output_dir: what the results are put into.
    """

    def __init__(self, paths: Iterable[str], output_dir: str) -> None:
        self._folders = [Path(path) for path in paths if os.path.isdir(path)]  # noqa: PTH112
        self._output = Path(output_dir)
        self._taken: dict[Path, str] = {}

    def of(self, source: str, *names: str) -> list[Path]:
        """The results of a recording, each `names` below its own name, or that name and an ending.

        Raises:
            InputError: one of them is the recording itself, or that of another one.
        """
        path = Path(source)
        below = next((f for f in self._folders if path.is_relative_to(f)), path.parent)
        base = self._output / path.relative_to(below).with_suffix("")
        found = [
            base.with_name(f"{base.name}{n}") if n.startswith(".") else base / n for n in names
        ]
        for target in found:
            other = self._taken.setdefault(target, source)
            if other != source or (target.exists() and target.samefile(path)):
                what = "the recording itself stands there" if other == source else f"{other} too"
                raise InputError(
                    f"{source}: its result would be {target}, {what}; give another --output_dir"
                )
        return found


def process_files(paths: Iterable[str], rate: int, work: Work) -> int:
    """Do `work` to each recording, name what came of it, and those that cannot be read.

    Args:
        paths: recordings, and folders of them.
        rate: Hz at which samples are counted.
        work: what is done.

    Returns:
        Exit code: 2 where a recording could not be used.

    Raises:
        InputError: a folder holds no recording.
    """
    failures = 0
    for path in recordings_at(paths):
        try:
            samples, own = length_and_rate(path)
            total = -(-samples * rate // own)
            with tqdm(
                total=total, desc=path, unit=" samples", unit_scale=True, disable=None
            ) as bar:
                made = work(path, bar.update)
        except InputError as error:
            failures += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        print(f"{path}: {', '.join(map(str, made))}", flush=True)
    return 2 if failures else 0
