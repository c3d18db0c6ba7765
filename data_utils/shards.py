"""The files of a store: examples as blocks of bytes, blocks in a shard, a shard's index.

    shard-00003.bin    the blocks of some items, one behind the other
    shard-00003.json   where each block lies and its checksum, or why there is none; written last:
                       where this file is, the shard is whole

A block is one example: its fields side by side, `[rows, sum of columns]`, row after row. float16
and float32 are little-endian; uint8 numbers 256 levels from the least to the largest value that a
field has in the example, spaced evenly or evenly in decibels.
"""

import json
import math
import mmap
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import AudioError
from data_utils.settings import StoreDtype

FLOOR = 1e-5
"""Lowest level of a uint8 field in decibels as a share of its largest value: 100 dB below it."""

_MAX_FLOAT16 = float(np.finfo(np.float16).max)

Arrays: TypeAlias = dict[str, NDArray[np.float32]]
Scale: TypeAlias = Literal["linear", "decibel"]


class DamagedError(Exception):
    """A file of the store is not as it was written; the message is `file: what`."""


@dataclass(frozen=True)
class Field:
    """One named array of every example, `[rows, columns]`."""

    columns: int
    scale: Scale = "linear"
    """How the levels of uint8 are spaced; `decibel` is for values that are never negative."""


@dataclass(frozen=True)
class Layout:
    """How examples become blocks and blocks are divided among shards."""

    fields: dict[str, Field]
    store_dtype: StoreDtype
    num_variants: int
    items: int
    items_per_shard: int

    @property
    def shards(self) -> int:
        """Number of shards; the last one may be smaller."""
        return math.ceil(self.items / self.items_per_shard)

    def items_of(self, shard: int) -> range:
        """The items whose examples are in a shard."""
        first = shard * self.items_per_shard
        return range(first, min(first + self.items_per_shard, self.items))

    def examples_of(self, shard: int) -> list[tuple[int, int]]:
        """Item and variant of each entry of a shard."""
        return [(i, variant) for i in self.items_of(shard) for variant in range(self.num_variants)]

    def place(self, index: int, variant: int) -> tuple[int, int]:
        """Shard of an example, and its entry there."""
        assert 0 <= index < self.items and 0 <= variant < self.num_variants, (index, variant)
        shard, item = divmod(index, self.items_per_shard)
        return shard, item * self.num_variants + variant

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(self.store_dtype).newbyteorder("<")

    def encode(self, arrays: Arrays) -> tuple[bytes, list[float]]:
        """The block of an example; for uint8 the least and the largest level of each field too.

        Beyond float16's largest number, 65504, values are clipped.

        Raises:
            AudioError: values are not finite.
        """
        assert arrays.keys() == self.fields.keys(), (arrays.keys(), self.fields.keys())
        parts, spans = [], []
        for name, field in self.fields.items():
            values = arrays[name]
            assert values.ndim == 2 and values.shape[1] == field.columns, (name, values.shape)
            if not np.isfinite(values).all():
                raise AudioError(f"{name} with values that are not finite")
            if self.store_dtype == "uint8":
                low, high = _span(values, field.scale)
                spans += [low, high]
                parts.append(_nearest_levels(values, low, high, field.scale))
                continue
            if self.store_dtype == "float16":
                values = np.clip(values, -_MAX_FLOAT16, _MAX_FLOAT16)
            parts.append(values.astype(self._dtype))
        return np.concatenate(parts, axis=1).tobytes(), spans

    def decode(self, block: bytes, spans: NDArray[np.float64]) -> Arrays:
        """The example, as near as the dtype comes.

        Args:
            block: from `encode`.
            spans: least and largest level of each field `[fields, 2]`; of uint8 only.
        """
        columns = [field.columns for field in self.fields.values()]
        values = np.frombuffer(block, self._dtype).reshape(-1, sum(columns))
        parts = np.split(values, np.cumsum(columns)[:-1], axis=1)
        if self.store_dtype != "uint8":
            return {
                name: part.astype(np.float32) for name, part in zip(self.fields, parts, strict=True)
            }
        return {
            name: _levels(low, high, field.scale)[part]
            for (name, field), part, (low, high) in zip(
                self.fields.items(), parts, spans, strict=True
            )
        }


def _span(values: NDArray[np.float32], scale: Scale) -> tuple[float, float]:
    if not values.size:
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    if scale == "decibel":
        assert low >= 0, "values on a scale of decibels are not negative"
        low = max(low, high * FLOOR)
    return low, high


def _levels(low: float, high: float, scale: Scale) -> NDArray[np.float32]:
    """What each of the 256 numbers means."""
    spaced = np.geomspace if scale == "decibel" and high > 0 else np.linspace
    return spaced(low, high, 256).astype(np.float32)


def _nearest_levels(
    values: NDArray[np.float32], low: float, high: float, scale: Scale
) -> NDArray[np.uint8]:
    if low == high:
        return np.zeros(values.shape, np.uint8)
    exact = values.astype(np.float64)
    if scale == "decibel":
        share = np.log(np.maximum(exact, low) / low) / math.log(high / low)
    else:
        share = (exact - low) / (high - low)
    return np.rint(255 * share).astype(np.uint8)


def blocks_path(folder: Path, shard: int) -> Path:
    """Where the blocks of a shard are."""
    return folder / f"shard-{shard:05d}.bin"


def index_path(folder: Path, shard: int) -> Path:
    """Where the index of a shard is."""
    return folder / f"shard-{shard:05d}.json"


@dataclass(frozen=True, eq=False)
class Index:
    """Where the examples of a shard are; its entries are numbered item by item."""

    path: Path
    """Of the blocks."""
    places: NDArray[np.int64]
    """Offset, bytes and checksum of each block `[entries, 3]`."""
    spans: NDArray[np.float64]
    """Least and largest level of each field `[entries, fields, 2]`; of uint8 only."""
    reasons: dict[int, str]
    """Why an entry has no block."""

    @staticmethod
    def text(entries: list[Any]) -> str:
        """The file of these entries: `[offset, bytes, checksum, *spans]` each, or the reason."""
        return json.dumps({"entries": entries, "checksum": _checksum(entries)})

    @classmethod
    def read(cls, folder: Path, shard: int, layout: Layout) -> "Index":
        """The index of a shard.

        Raises:
            DamagedError: it is missing or not as it was written.
        """
        path = index_path(folder, shard)
        try:
            content = json.loads(path.read_bytes())
            entries = content["entries"]
            is_sound = content["checksum"] == _checksum(entries)
        except (OSError, ValueError, KeyError, TypeError):
            is_sound = False
        if not is_sound or len(entries) != len(layout.items_of(shard)) * layout.num_variants:
            raise DamagedError(f"{path}: damaged")
        fields = len(layout.fields) if layout.store_dtype == "uint8" else 0
        places = np.zeros((len(entries), 3), np.int64)
        spans = np.zeros((len(entries), fields, 2))
        reasons = {}
        for number, entry in enumerate(entries):
            if isinstance(entry, str):
                reasons[number] = entry
            else:
                places[number] = entry[:3]
                spans[number] = np.reshape(entry[3:], (fields, 2))
        return cls(blocks_path(folder, shard), places, spans, reasons)

    def block(self, entry: int) -> bytes:
        """The block of an entry that has one; no other part of the file is mapped.

        Raises:
            DamagedError: it is missing or not as it was written.
        """
        offset, size, checksum = map(int, self.places[entry])
        if not size:
            return b""
        start = offset - offset % mmap.ALLOCATIONGRANULARITY  # maps begin at whole pages
        length = offset + size - start
        try:
            with (
                self.path.open("rb", buffering=0) as file,
                mmap.mmap(file.fileno(), length, offset=start, access=mmap.ACCESS_READ) as mapped,
            ):
                block = mapped[offset - start :]
        except (OSError, ValueError):  # ValueError: the file ends before the block does
            raise DamagedError(f"{self.path}: missing or cut short") from None
        if zlib.crc32(block) != checksum:
            raise DamagedError(f"{self.path}: damaged at byte {offset} or behind")
        return block

    def check(self) -> None:
        """Read every block.

        Raises:
            DamagedError: one is missing or not as it was written.
        """
        for entry in range(len(self.places)):
            if entry not in self.reasons:
                self.block(entry)


def _checksum(entries: list[Any]) -> int:
    return zlib.crc32(json.dumps(entries).encode())
