"""Masks on recordings of any length, block by block: spectra in, masks applied, waves out.

    samples --Stft--> spectrum --masks--> spectra of the parts --Stft back--> waves of the parts

Nothing but a few blocks is in memory. A network hears each block with some frames of what is before
and behind it, whose own masks are left to the neighbouring blocks; where blocks meet, the windows
of the way back fade from one to the other.
"""

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from data_utils.atomic import check_place, write_atomically
from data_utils.audio import SILENCE_DB, TOLERANCE, AudioError, Samples
from data_utils.errors import InputError
from data_utils.stft import Stft
from model_utils.blocks import Blocks

READ = 1 << 16
"""Samples that are read at a time."""

Spectrum = NDArray[np.complex64]
Frames = TypeVar("Frames", Spectrum, NDArray[np.float32])
"""Spectra or magnitudes [frames, bins]."""
Separate = Callable[[Spectrum], Spectrum]
"""The spectrum of a mixture [frames, bins] to those of its parts [parts, frames, bins]."""


@dataclass(frozen=True)
class Masking:
    """How a network's masks are applied."""

    stft: Stft
    rate: int
    """Hz of what it hears."""
    names: tuple[str, ...]
    """Of the parts."""
    blocks: Blocks
    """In which it hears what is long."""

    def waves(self, blocks: Iterable[Samples], separate: Separate) -> Iterator[NDArray[np.float32]]:
        """The parts of one channel, float32 [parts, n] at a time; together as long as `blocks`.

        Args:
            blocks: float32 [n] each, at `rate`.
            separate: applies the network's masks.
        """
        counted = _Counted(blocks)
        parts = (
            separate(block)[:, first:last]
            for block, first, last in self.divided(self.stft.forward_blocks(counted))
        )
        each = [self.stft.inverse_blocks(part) for part in _apart(parts, len(self.names))]
        done = 0
        for waves in zip(*each, strict=True):
            # How long it is altogether is known when the last block has been read.
            wave = np.stack(waves)
            left = counted.samples - done
            done += wave.shape[1]
            yield wave[:, :left] if left < wave.shape[1] else wave

    def divided(self, spectra: Iterable[Frames]) -> Iterator[tuple[Frames, int, int]]:
        """What the network hears at a time, and which of its frames count: from, to.

        `Blocks.block_of` says the same of what is there as a whole.
        """
        size, last = self.blocks.size, self.blocks.size - self.blocks.behind
        held: Frames | None = None
        first = 0
        for spectrum in spectra:
            held = spectrum if held is None else np.concatenate([held, spectrum])
            while len(held) > size:  # one more: the last block is handled below
                yield held[:size], first, last
                held = held[self.blocks.step :]
                first = self.blocks.before
        if held is not None and len(held) > first:
            yield held, first, len(held)


class _Counted:
    """Blocks `[n]` as they come, and how many samples came so far."""

    def __init__(self, blocks: Iterable[Samples]) -> None:
        self._blocks = blocks
        self.samples = 0

    def __iter__(self) -> Iterator[Samples]:
        for block in self._blocks:
            self.samples += len(block)
            yield block


def _apart(spectra: Iterable[Spectrum], count: int) -> list[Iterator[Spectrum]]:
    """Each part of the spectra [parts, frames, bins] for itself, to be read in turns.

    What has been read is let go at once; `itertools.tee` keeps the last 57 blocks.
    """
    source = iter(spectra)
    waiting: list[deque[Spectrum]] = [deque() for _ in range(count)]

    def part(own: deque[Spectrum]) -> Iterator[Spectrum]:
        while True:
            if not own:
                block = next(source, None)
                if block is None:
                    return
                for queue, spectrum in zip(waiting, block, strict=True):
                    queue.append(spectrum)
                del block
            yield own.popleft()

    return [part(own) for own in waiting]


def read_blocks(path: str, channel: int, rate: int) -> Iterator[Samples]:
    """One channel of a recording at `rate` Hz, float32 [n] at a time.

    Raises:
        AudioError: it cannot be read to its end, or holds values that are not finite.
    """
    import soxr

    with _reading(path) as file:
        stream, read = None, 0
        if file.samplerate != rate:
            stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32")
        while True:
            block = file.read(READ, dtype="float32", always_2d=True)[:, channel]
            read += len(block)
            is_last = len(block) < READ
            if not np.isfinite(block).all():
                raise AudioError(f"{path}: not finite (NaN or infinity among its samples)")
            if is_last and read < file.frames - TOLERANCE * file.samplerate:
                raise AudioError(
                    f"{path}: truncated: {read / file.samplerate:.2f} s of "
                    f"{file.frames / file.samplerate:.2f} s"
                )
            samples = np.ascontiguousarray(block)
            yield samples if stream is None else stream.resample_chunk(samples, last=is_last)
            if is_last:
                return


def level_of(path: str, rate: int) -> float:
    """RMS level of all channels of a recording at `rate` Hz, in dBFS.

    Raises:
        AudioError: it cannot be read, or it is silent.
    """
    energy, count = 0.0, 0
    for channel in range(_channels(path)):
        for block in read_blocks(path, channel, rate):
            energy += float(np.square(block, dtype=np.float64).sum())
            count += len(block)
    level = 10 * math.log10(energy / count) if energy else -math.inf
    if level < SILENCE_DB:
        raise AudioError(f"{path}: silent ({level:.0f} dBFS)")
    return level


def _channels(path: str) -> int:
    with _reading(path) as file:
        return int(file.channels)


@contextlib.contextmanager
def _reading(path: str) -> Iterator[soundfile.SoundFile]:
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except soundfile.SoundFileError as error:
        raise AudioError(f"{path}: truncated or damaged ({error})") from None


def write_parts(
    source: str,
    targets: list[Path],
    masking: Masking,
    separate: Separate,
    progress: Callable[[int], object] = lambda samples: None,
) -> None:
    """Write the parts of a recording, each with all of its channels.

    Args:
        source: any file that libsndfile reads.
        targets: WAV files, one for each part; whole or not at all.
        masking: how masks are applied.
        separate: applies them.
        progress: called with the number of samples just done.

    Raises:
        AudioError: the recording cannot be read.
        InputError: a file cannot be written.
    """
    check_place(*targets)
    channels = _channels(source)
    each = [
        masking.waves(read_blocks(source, channel, masking.rate), separate)
        for channel in range(channels)
    ]
    with write_atomically(*targets) as temporaries:
        try:
            # Inside: what is written last, when a file is closed, may be what the disk lacks.
            with contextlib.ExitStack() as stack:
                files = [
                    stack.enter_context(
                        soundfile.SoundFile(
                            temporary, "w", masking.rate, channels, format="WAV", subtype="FLOAT"
                        )
                    )
                    for temporary in temporaries
                ]
                for waves in zip(*each, strict=True):
                    joined = np.stack(waves, axis=-1)  # [parts, n, channels]
                    for part, output in zip(joined, files, strict=True):
                        output.write(part)
                    progress(joined.shape[1])
        except (OSError, soundfile.SoundFileError) as error:
            raise InputError(
                f"{targets[0].parent}: cannot be written ({error}); make room, or take another "
                f"folder; a WAV holds at most 4 GiB"
            ) from None
