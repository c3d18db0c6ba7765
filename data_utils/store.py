"""Computed examples on disk, for `--mode process_data` to write and `--mode fast_train` to read.

A store is a folder of a few large shards (shards.py) and store.json, which is written first and
tells what the examples were made with and how they are divided.
"""

import contextlib
import dataclasses
import itertools
import json
import math
import multiprocessing
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np

from data_utils.atomic import check_place, write_atomically
from data_utils.audio import AudioError
from data_utils.errors import InputError
from data_utils.fingerprint import differences
from data_utils.settings import StoreSettings
from data_utils.shards import (
    Arrays,
    DamagedError,
    Field,
    Index,
    Layout,
    blocks_path,
    index_path,
)
from data_utils.workers import available_cores, spawn_pool

SHARD_BYTES = 256 << 20
"""About how large a shard becomes: few files, and a kill costs each worker no more than one."""

MIN_SHARDS = 16
"""A smaller store is divided too, for several processes to share its work..."""

MIN_SHARD_BYTES = 4 << 20
"""...unless its shards would become smaller than this."""

_FORMAT = 1
_DESCRIPTION = "store.json"
_PROBES = 8  # examples that tell the size of all: the first alone may well be the shortest
_POLL_SECONDS = 0.2  # from one report of progress to the next
_AGAIN = "run --mode=process_data again"
_ANEW = "another --store_dir, or delete the folder and run --mode=process_data"

_LEFTOVER = re.compile(r"\.(store\.json|shard-\d+\.(bin|json))\.\d+\.tmp")
"""Temporary files of a process that was killed."""

State: TypeAlias = Literal["kept", "computed", "rebuilt", "completed"]


class Source(Protocol):
    """A dataset whose examples can be stored; each worker gets a pickled copy."""

    def __len__(self) -> int:
        """Items."""

    def where(self, index: int) -> str:
        """The item's place in the user's files, for messages: "manifest:17"."""

    def fields(self) -> dict[str, Field]:
        """The arrays of every example, by name."""

    def arrays(self, index: int, variant: int) -> Arrays:
        """The example, each field float32 `[rows, columns]`, rows alike; the same at every call.

        Raises:
            AudioError: the item cannot be used.
        """


@dataclass(frozen=True)
class Report:
    """What `write_store` found and did."""

    items: int
    kept: int
    """Shards that were there, and sound."""
    computed: int
    """Shards that were not there yet."""
    rebuilt: int
    """Shards that were damaged and are computed anew."""
    completed: int
    """Shards computed anew because something left out before can be read now."""
    left_out: tuple[str, ...]
    """A line for each item that could not be read: `manifest:17: file: reason`."""
    nbytes: int
    """Size of the shards."""

    def __str__(self) -> str:
        """The line for the user."""
        left_out = f", {len(self.left_out)} of them left out" if self.left_out else ""
        found = f"{self.items} items{left_out}, {self.nbytes / 1e6:.1f} MB: "
        counts = {
            "computed": self.computed,
            "damaged and computed anew": self.rebuilt,
            "computed anew with what can be read now": self.completed,
            "kept": self.kept,
        }
        if self.kept == sum(counts.values()):
            return f"{found}finished and sound already, nothing to do"
        return found + "shards " + ", ".join(f"{n} {what}" for what, n in counts.items() if n)


def write_store(
    source: Source,
    settings: StoreSettings,
    fingerprint: Mapping[str, Any],
    num_workers: int | None = None,
    progress: Callable[[int], object] = lambda items: None,
) -> Report:
    """Compute and store every example of `source`, or go on where an earlier call was interrupted.

    Shards that are there are checked, and kept where they are sound. The files hold the same bytes
    for any number of workers, however often the work was interrupted.

    Args:
        source: the examples.
        settings: where and how they are stored.
        fingerprint: everything that the examples follow from: JSON values in nested mappings.
        num_workers: processes; None: one for each core. 0 or 1 computes in this process.
        progress: called with the number of items just done.

    Raises:
        InputError: the folder holds a store made with something else, or no store but other files;
            no item can be read; the disk is full; a worker died.
    """
    folder = Path(settings.store_dir)
    layout = _begun(folder, source, settings, fingerprint)
    if layout is None:
        layout = _planned(source, settings)
        description = {
            "format": _FORMAT,
            "layout": dataclasses.asdict(layout),
            "fingerprint": fingerprint,
        }
        with write_atomically(folder / _DESCRIPTION) as [temporary]:
            temporary.write_text(json.dumps(description, indent=1), encoding="utf-8")
    for leftover in folder.iterdir():
        if _LEFTOVER.fullmatch(leftover.name):
            leftover.unlink(missing_ok=True)
    work = _Work(source, folder, layout)
    num_workers = min(available_cores() if num_workers is None else num_workers, layout.shards)
    if num_workers > 1:
        outcomes = _in_workers(work, num_workers, progress)
    else:
        outcomes = [work.complete(shard, progress) for shard in range(layout.shards)]
    states = Counter(outcome.state for outcome in outcomes)
    return Report(
        layout.items,
        kept=states["kept"],
        computed=states["computed"],
        rebuilt=states["rebuilt"],
        completed=states["completed"],
        left_out=tuple(line for outcome in outcomes for line in outcome.left_out),
        nbytes=_nbytes(folder, layout),
    )


class Store:
    """The examples of a finished store.

    It pickles small: each process reads the index of a shard as it first needs it, and maps no more
    of a shard than the block it reads, so that memory stays flat however large the store is.
    """

    def __init__(self, folder: Path, layout: Layout) -> None:
        self._folder = folder
        self._layout = layout
        self._indexes: dict[int, Index] = {}
        self.nbytes = _nbytes(folder, layout)

    @classmethod
    def open(
        cls, folder: str | Path, fingerprint: Mapping[str, Any], settings: StoreSettings
    ) -> "Store":
        """The store in `folder`.

        Args:
            folder: where `write_store` put it.
            fingerprint: what its examples have to be made with.
            settings: how they have to be stored.

        Raises:
            InputError: there is no store, it is unfinished, or it was made with something else.
        """
        folder = Path(folder)
        if not (folder / _DESCRIPTION).is_file():
            raise InputError(f"{folder}: no store is here; make it with --mode=process_data")
        layout, made_with = _described(folder)
        _check(folder, _identity(made_with, layout), _identity(fingerprint, settings))
        missing = sum(
            not (blocks_path(folder, shard).is_file() and index_path(folder, shard).is_file())
            for shard in range(layout.shards)
        )
        if missing:
            raise InputError(
                f"{folder}: unfinished, {missing} of {layout.shards} shards are missing; {_AGAIN}, "
                "it goes on from there"
            )
        return cls(folder, layout)

    def __len__(self) -> int:
        """Items, those that were left out included."""
        return self._layout.items

    @property
    def num_variants(self) -> int:
        """Examples of each item."""
        return self._layout.num_variants

    @property
    def fields(self) -> dict[str, Field]:
        """The arrays of every example, by name."""
        return self._layout.fields

    def arrays(self, index: int, variant: int) -> Arrays:
        """An example, each field float32 `[rows, columns]`.

        Raises:
            AudioError: it is damaged, or could not be read when it was to be stored.
        """
        shard, entry = self._layout.place(index, variant)
        try:
            if shard not in self._indexes:
                self._indexes[shard] = Index.read(self._folder, shard, self._layout)
            found = self._indexes[shard]
            if entry in found.reasons:
                raise AudioError(f"{found.reasons[entry]} (so it was left out of the store)")
            return self._layout.decode(found.block(entry), found.spans[entry])
        except DamagedError as error:
            raise AudioError(f"{error}; {_AGAIN}, which mends it") from None

    def draw(self, index: int, rng: np.random.Generator) -> Arrays:
        """`arrays` of one of the item's variants, by a draw of `rng`."""
        return self.arrays(index, int(rng.integers(self.num_variants)))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_indexes": {}}


def _nbytes(folder: Path, layout: Layout) -> int:
    shards = range(layout.shards)
    paths = [path(folder, shard) for shard in shards for path in (blocks_path, index_path)]
    return sum(path.stat().st_size for path in paths)


# One shard after the other, or several at a time.


@dataclass(frozen=True)
class _Outcome:
    """What became of a shard, and a line for each of its items that lacks an example."""

    state: State
    left_out: list[str]


@dataclass(frozen=True)
class _Work:
    """What is computed and where it goes; a worker gets a copy."""

    source: Source
    folder: Path
    layout: Layout

    def complete(self, shard: int, advance: Callable[[int], object]) -> _Outcome:
        """Keep the shard if it is sound, else compute it; `advance` hears of each item done."""
        state: State = "computed"
        if index_path(self.folder, shard).exists():
            try:
                index = Index.read(self.folder, shard, self.layout)
                index.check()
            except DamagedError:
                state = "rebuilt"
            else:
                if not self._can_be_read_now(shard, index):
                    advance(len(self.layout.items_of(shard)))
                    return _Outcome("kept", self._left_out(shard, index.reasons))
                state = "completed"
        return _Outcome(state, self._left_out(shard, self._compute(shard, advance)))

    def _can_be_read_now(self, shard: int, index: Index) -> bool:
        """Whether something that was left out no longer has to be."""
        examples = self.layout.examples_of(shard)
        for entry in index.reasons:
            with contextlib.suppress(AudioError):
                self.layout.encode(self.source.arrays(*examples[entry]))
                return True
        return False

    def _compute(self, shard: int, advance: Callable[[int], object]) -> dict[int, str]:
        """Write the shard; the reason of each entry that has no block."""
        entries: list[Any] = []
        offset = 0
        paths = blocks_path(self.folder, shard), index_path(self.folder, shard)
        with write_atomically(*paths) as [blocks, index]:
            for item, variant in self.layout.examples_of(shard):
                try:
                    block, spans = self.layout.encode(self.source.arrays(item, variant))
                except AudioError as error:
                    entries.append(str(error))
                else:
                    _append(blocks, block)
                    entries.append([offset, len(block), zlib.crc32(block), *spans])
                    offset += len(block)
                if variant == self.layout.num_variants - 1:
                    advance(1)
            _append(index, Index.text(entries).encode())
        return {entry: text for entry, text in enumerate(entries) if isinstance(text, str)}

    def _left_out(self, shard: int, reasons: Mapping[int, str]) -> list[str]:
        examples = self.layout.examples_of(shard)
        of_items: dict[int, list[str]] = {}
        for entry, reason in reasons.items():
            of_items.setdefault(examples[entry][0], []).append(reason)
        total = self.layout.num_variants
        return [
            f"{self.source.where(item)}: {found[0]}"
            + (f" ({len(found)} of {total} variants)" if len(found) < total else "")
            for item, found in of_items.items()
        ]


def _append(path: Path, content: bytes) -> None:
    try:
        with path.open("ab") as stream:
            stream.write(content)
    except OSError as error:
        raise InputError(
            f"{path.parent}: the store cannot be written ({error.strerror}); finished shards stay: "
            f"make room and {_AGAIN}, it goes on from there"
        ) from None


def _in_workers(work: _Work, num_workers: int, progress: Callable[[int], object]) -> list[_Outcome]:
    """The outcome of every shard, from spawned processes.

    Not by `spawned_map`, which tells nothing of a shard before it is done and waits for it at
    Ctrl-C: that takes minutes.
    """
    context = multiprocessing.get_context("spawn")
    # Shared without locks, which a worker that is killed would never release: each shard counts in
    # a place of its own, and only this process sets `stopped`.
    done = context.RawArray("q", work.layout.shards)
    stopped = context.RawValue("b", 0)
    pool = spawn_pool(num_workers, _start_worker, work, done, stopped)
    reported = 0
    try:
        futures = [pool.submit(_complete_in_worker, shard) for shard in range(work.layout.shards)]
        waiting = set(futures)
        while waiting:
            finished, waiting = wait(waiting, _POLL_SECONDS, return_when=FIRST_COMPLETED)
            progress(sum(done) - reported)
            reported = sum(done)
            for future in finished:
                future.result()  # or what ended it
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise InputError(
            "a worker process died (killed, or out of memory); finished shards stay: "
            f"{_AGAIN} with a smaller --num_workers, it goes on from there"
        ) from None
    finally:
        stopped.value = 1
        pool.shutdown(cancel_futures=True)


class _StoppedError(Exception):
    """Ends the work of a worker that nobody waits for."""


_in_worker: tuple[_Work, Any, Any]
"""What a worker process computes, where it counts, and whether it has to stop."""


def _start_worker(work: _Work, done: Any, stopped: Any) -> None:
    global _in_worker
    _in_worker = work, done, stopped


def _complete_in_worker(shard: int) -> _Outcome:
    work, done, stopped = _in_worker

    def advance(items: int) -> None:
        done[shard] += items
        if stopped.value:
            raise _StoppedError

    return work.complete(shard, advance)


# store.json


def _begun(
    folder: Path, source: Source, settings: StoreSettings, fingerprint: Mapping[str, Any]
) -> Layout | None:
    """The layout of the store that is in `folder`, None if there is room for one.

    Raises:
        InputError: a store made with something else is there, or something else than a store.
    """
    if (folder / _DESCRIPTION).is_file():
        layout, made_with = _described(folder)
        found = _identity(made_with, layout) | _extent(layout.items, layout.fields)
        wanted = _identity(fingerprint, settings) | _extent(len(source), source.fields())
        _check(folder, found, wanted)
        return layout
    check_place(folder / _DESCRIPTION)
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    others = sorted(name for name in names if not _LEFTOVER.fullmatch(name))
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise InputError(
            f"{folder}: holds {others[0]}{more}, and no store; give another --store_dir"
        )
    return None


def _planned(source: Source, settings: StoreSettings) -> Layout:
    """The layout of a new store; it follows from the source alone.

    Raises:
        InputError: no item can be read.
    """
    items = len(source)
    layout = Layout(source.fields(), settings.store_dtype, settings.num_variants, items, items)
    probes = min(_PROBES, items)
    spread = [probe * items // probes for probe in range(probes)]
    others = (index for index in range(items) if index not in spread)
    sizes: list[int] = []
    first = ""
    for index in itertools.chain(spread, others):
        try:
            sizes.append(len(layout.encode(source.arrays(index, 0))[0]))
        except AudioError as error:
            first = first or f"; the first: {source.where(index)}: {error}"
        if len(sizes) == probes:
            break
    if not sizes:
        raise InputError(f"none of the {items} items can be read{first}")
    item_bytes = max(1, sum(sizes) * layout.num_variants // len(sizes))
    shared = max(math.ceil(items / MIN_SHARDS), MIN_SHARD_BYTES // item_bytes)
    items_per_shard = max(1, min(shared, SHARD_BYTES // item_bytes))
    return dataclasses.replace(layout, items_per_shard=items_per_shard)


def _described(folder: Path) -> tuple[Layout, dict[str, Any]]:
    """The layout and the fingerprint of the store in `folder`.

    Raises:
        InputError: its store.json is damaged or of another version.
    """
    path = folder / _DESCRIPTION
    try:
        content = json.loads(path.read_bytes())
        found = content["format"]
        if found == _FORMAT:
            layout = content["layout"]
            fields = {name: Field(**field) for name, field in layout["fields"].items()}
            return Layout(**{**layout, "fields": fields}), content["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: damaged, or of something else; give {_ANEW}") from None
    raise InputError(f"{path}: format {found} where this version reads {_FORMAT}; give {_ANEW}")


def _identity(fingerprint: Mapping[str, Any], settings: StoreSettings | Layout) -> dict[str, Any]:
    """What the bytes of the examples follow from."""
    own = {"store_dtype": settings.store_dtype, "num_variants": settings.num_variants}
    return {**fingerprint, **own}


def _extent(items: int, fields: Mapping[str, Field]) -> dict[str, Any]:
    described = {name: dataclasses.asdict(field) for name, field in fields.items()}
    return {"items": items, "fields": described}


def _check(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a store that was made with something else.

    Raises:
        InputError: each setting that differs, with both values.
    """
    if changed := differences(found, wanted):
        raise InputError(
            f"{folder}: made with {', '.join(changed)}; give the options it was made with, {_ANEW}"
        )
