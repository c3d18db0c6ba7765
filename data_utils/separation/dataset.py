"""Parts of songs to padded batches: magnitudes of the mixture and of its stems.

Chunk k of n starts k (duration - chunk_duration - 2 margin) / (n - 1) + margin seconds into the
song; a single one at `margin`. A song too short for that gives one chunk, all that lies between its
margins: repeating it n times would only give it the weight of a long one.
"""

import dataclasses
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils import stft
from data_utils.audio import AudioError, loudness_gain, read_audio
from data_utils.augmentation.pipeline import utterance_rng
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.examples import read_each
from data_utils.mixing import LEVEL_DB
from data_utils.separation.settings import STEMS, SongSettings
from data_utils.separation.songs import Song
from data_utils.store import Field, Store

_ROUNDING = 1e-6
"""Seconds by which a sum of settings may miss the song's length that it equals."""


@dataclass(frozen=True)
class Chunk:
    """A part of a song, in seconds."""

    song: Song
    number: int
    start: float
    end: float

    @property
    def key(self) -> str:
        """What stays the same in every order."""
        return f"{self.song.mix}@{self.start}"


@dataclass(frozen=True)
class StemBatch:
    """Chunks padded with zeros to the longest, and on to whole blocks of `T` frames.

    B: chunks, T': frames, F: bins.
    """

    mixture: NDArray[np.float32]
    """Magnitudes [B, T', F]."""
    stems: NDArray[np.float32]
    """Magnitudes of `STEMS` [B, 2, T', F]."""
    frames: NDArray[np.int64]
    """Valid frames of each chunk [B]."""
    items: list[int] = field(default_factory=list)
    """Which chunk of the dataset each one is."""
    problems: list[str] = field(default_factory=list)
    """Chunks left out of the batch: where, and why."""

    def __len__(self) -> int:
        return len(self.frames)


class SongChunks:
    """The chunks of songs, song after song; a worker process holds its own copy.

    Args:
        songs: of a manifest.
        settings: which parts are heard, and as what; see `settings.check`.
        seed: of the draw among stored variants.
        store: has the chunks computed already; None computes them.
        cache: keeps what was decoded; None decodes each time.

    Raises:
        InputError: no song holds as much as a frame.
    """

    def __init__(
        self,
        songs: Sequence[Song],
        settings: SongSettings,
        seed: int = 0,
        store: Store | None = None,
        cache: RecordingCache | None = None,
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.store = store
        self.cache = cache or RecordingCache(0)
        self.chunks = [chunk for song in songs for chunk in song_chunks(song, settings)]
        self.notes = list(_notes(songs, settings))
        """What the user should know of the songs, a line each."""
        lengths = [chunk.end - chunk.start for chunk in self.chunks]
        self.durations = np.array(lengths, dtype=np.float32)
        """Seconds of each chunk [chunks]."""
        if not self.chunks:
            raise InputError(self.notes[0] if self.notes else "no songs")

    def __len__(self) -> int:
        """Chunks: songs times `n_chunks_per_song`, but one of each song too short for more."""
        return len(self.chunks)

    def where(self, index: int) -> str:
        """Line of the manifest and part of the song, for messages."""
        chunk = self.chunks[index]
        return f"{chunk.song.where}, {chunk.start:.1f} to {chunk.end:.1f} s"

    def fields(self) -> dict[str, Field]:
        """What `arrays` returns, as the store wants to know it."""
        return {name: Field(self.settings.F, "decibel") for name in ("mixture", *STEMS)}

    def fingerprint(self) -> dict[str, Any]:
        """All that stored chunks follow from: JSON values."""
        songs = dataclasses.asdict(self.settings)
        heard = {k: v for k, v in songs.items() if k not in ("train_manifest", "train_dataset")}
        digest = hashlib.blake2b(digest_size=16)
        for chunk in self.chunks:
            song = chunk.song
            parts = (song.mix, song.vocal, song.instrumental, chunk.start, chunk.end)
            digest.update(repr(parts).encode("utf-8", "surrogateescape"))
        return {"task": "separation", "songs": heard, "manifest": digest.hexdigest()}

    def arrays(self, index: int, variant: int = 0) -> dict[str, NDArray[np.float32]]:
        """Magnitudes of a chunk's `waves`, float32 [frames, F]: `mixture`, and each of `STEMS`.

        Args:
            index: of the chunk.
            variant: changes nothing, for nothing about a chunk is random.

        Raises:
            AudioError: a recording cannot be read, or the chunk holds no frame.
        """
        names = ("mixture", *STEMS)
        waves = self.waves(index)
        return {
            name: magnitudes(wave, self.settings) for name, wave in zip(names, waves, strict=True)
        }

    def waves(self, index: int) -> NDArray[np.float32]:
        """Mixture and `STEMS` of a chunk, float32 [3, samples].

        All are scaled by one factor, which brings the mixture to `LEVEL_DB`.

        Raises:
            AudioError: as `arrays`.
        """
        chunk = self.chunks[index]
        song = chunk.song
        waves = [self._samples(path, chunk) for path in (song.mix, song.vocal, song.instrumental)]
        count = min(map(len, waves))  # encoders pad
        if count < self.settings.frame_length:
            raise AudioError(
                f"{song.mix}: {count} samples from {chunk.start:.2f} s on, a frame has "
                f"{self.settings.frame_length}; the manifest says {song.duration:.2f} s, make it "
                "again"
            )
        cut = np.stack([wave[:count] for wave in waves])
        return cut * loudness_gain(cut[0], LEVEL_DB)

    def _samples(self, path: str, chunk: Chunk) -> NDArray[np.float32]:
        rate = self.settings.sample_rate
        return self.cache.get(
            f"{path}@{chunk.start}",
            lambda: read_audio(path, start=chunk.start, end=chunk.end, rate=rate).samples,
        )

    def batch(self, indices: Sequence[int] | NDArray[np.int64], epoch: int = 0) -> StemBatch:
        """The batch of these chunks; those that cannot be read are left out and named."""
        examples, items, problems = read_each(
            indices, lambda index: self._example(index, epoch), self.where
        )
        return collate(examples, self.settings, items, problems)

    def _example(self, index: int, epoch: int) -> dict[str, NDArray[np.float32]]:
        if self.store is None:
            return self.arrays(index)
        rng = utterance_rng(self.seed, epoch, self.chunks[index].key)
        return self.store.draw(index, rng)


def song_chunks(song: Song, settings: SongSettings) -> Iterator[Chunk]:
    """The chunks of a song, see the top of this file; none where not even a frame fits."""
    room = song.duration - 2 * settings.margin - settings.chunk_duration
    if room < -_ROUNDING:
        end = song.duration - settings.margin
        if (end - settings.margin) * settings.sample_rate >= settings.frame_length:
            yield Chunk(song, 0, settings.margin, end)
        return
    for number in range(settings.n_chunks_per_song):
        start = settings.margin
        if number:
            start += number * max(0.0, room) / (settings.n_chunks_per_song - 1)
        yield Chunk(song, number, start, start + settings.chunk_duration)


def _notes(songs: Sequence[Song], settings: SongSettings) -> Iterator[str]:
    """A line for each song that is too short, and one for those of a lower rate."""
    wanted = settings.chunk_duration + 2 * settings.margin
    for song in songs:
        if song.duration < wanted - _ROUNDING:
            parts = list(song_chunks(song, settings))
            use = (
                f"one part of {parts[0].end - parts[0].start:.1f} s is used"
                if parts
                else "left out, not a frame fits between the margins"
            )
            yield (
                f"{song.where}: {song.mix}: {song.duration:.1f} s, shorter than a chunk and both "
                f"margins ({wanted:g} s): {use}"
            )
    lower = [song for song in songs if song.sample_rate < settings.sample_rate]
    if lower:
        yield (
            f"{lower[0].where}: {len(lower)} songs have a lower rate than --sample_rate "
            f"{settings.sample_rate} (this one {lower[0].sample_rate} Hz): nothing is learned of "
            "what lies above theirs"
        )


def magnitudes(samples: NDArray[np.float32], settings: SongSettings) -> NDArray[np.float32]:
    """The lowest F bins of each frame, float32 [frames, F]; nothing is padded."""
    length, step = settings.frame_length, settings.frame_step
    return np.abs(stft.spectrum(samples, length, step, length)[:, : settings.F])


def collate(
    examples: Sequence[dict[str, NDArray[np.float32]]],
    settings: SongSettings,
    items: Sequence[int] = (),
    problems: Sequence[str] = (),
) -> StemBatch:
    """Pad what `SongChunks.arrays` returned to whole blocks."""
    frames = np.array([len(example["mixture"]) for example in examples], dtype=np.int64)
    padded = -(-int(frames.max(initial=0)) // settings.T) * settings.T
    mixture = np.zeros((len(examples), padded, settings.F), dtype=np.float32)
    stems = np.zeros((len(examples), len(STEMS), padded, settings.F), dtype=np.float32)
    for row, example in enumerate(examples):
        mixture[row, : frames[row]] = example["mixture"]
        for number, name in enumerate(STEMS):
            stems[row, number, : frames[row]] = example[name]
    return StemBatch(mixture, stems, frames, list(items), list(problems))
