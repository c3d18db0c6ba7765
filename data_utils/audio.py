"""Recordings: read a file or a part of one, resample it, measure and set its loudness.

Whatever libsndfile reads comes out as mono float32 at the rate asked for.
"""

import io
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from data_utils.errors import InputError

SAMPLE_RATE = 16000
"""Samples per second of everything behind `read_audio`."""

SILENCE_DB = -80.0
"""Below this level, three steps of a 16-bit converter, a recording is silent (dBFS)."""

MAX_GAIN_DB = 50.0
"""Lifts speech of -70 dBFS, fainter than any usable microphone gives, to the usual -20 dBFS; more
would only lift the converter's noise."""

TOLERANCE = 0.1
"""Seconds by which a header or a manifest may promise more than a file holds: some recorders count
their header as audio, and segment ends are often rounded up."""

_BLOCK = 1 << 22
"""Frames that `speech_duration` holds at a time: 4 min at 16 kHz, 16 MiB a channel. A gap
in an ogg shows only where it is in the last block: soundfile seeks to the next, over the gap."""

Samples: TypeAlias = NDArray[np.float32]
Source: TypeAlias = str | Path | bytes | BinaryIO


class AudioError(InputError):
    """A recording that cannot be used; the message is `file: reason`."""


@dataclass(frozen=True, eq=False)
class Audio:
    """Samples float32 `[n]`, mono, full scale at 1, and their rate in Hz."""

    samples: Samples
    rate: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate


def read_audio(
    source: Source,
    *,
    start: float = 0.0,
    end: float | None = None,
    rate: int | None = SAMPLE_RATE,
) -> Audio:
    """Read a recording, or the part of it from `start` to `end`, mixed to mono.

    Args:
        source: a path, the bytes of a file, or a binary stream, read from where it stands.
        start: first second wanted.
        end: last second wanted; None reads to the end.
        rate: Hz of the result; None keeps that of the file.

    Raises:
        AudioError: the file is missing, empty, cut short, damaged or no audio, it holds values that
            are not finite, or the part lies outside it. (Silence is refused by `read_speech`.)
    """
    name = source_name(source)
    with _open(source, name) as file:
        duration = file.frames / file.samplerate
        last_second = duration if end is None else end
        if not 0 <= start < min(last_second, duration) or last_second > duration + TOLERANCE:
            part = f"{start:.2f} s to {'the end' if end is None else f'{end:.2f} s'}"
            raise AudioError(
                f"{name}: no part from {part} in its {duration:.2f} s; "
                "check start and end in the manifest"
            )
        first = round(start * file.samplerate)
        last = file.frames if end is None else min(round(end * file.samplerate), file.frames)
        samples = _read(file, first, last - first, name)
        _check_end(file, first + len(samples), last, name)
        file_rate = file.samplerate
    _check_content(samples, name)
    if rate is None:
        return Audio(samples, file_rate)
    return Audio(resample(samples, file_rate, rate), rate)


def read_speech(source: Source, *, start: float | None = None, end: float | None = None) -> Audio:
    """Read an utterance: `read_audio` at `SAMPLE_RATE`, refusing silence.

    Raises:
        AudioError: as `read_audio`, or the utterance is silent.
    """
    audio = read_audio(source, start=start or 0.0, end=end)
    check_speech(audio, source_name(source))
    return audio


def speech_duration(path: str | Path) -> float:
    """Length in seconds of a recording that is read to its end, refusing what cannot hold speech.

    It is read block by block, so that hours take no more memory than seconds.

    Raises:
        AudioError: as `read_speech` of the whole.
    """
    name = str(path)
    read, block, energy = 0, _BLOCK, 0.0
    with _open(path, name) as file:
        while block == _BLOCK:  # a shorter one is the last
            samples = _read(file, read, _BLOCK, name)
            _check_finite(samples, name)
            block = len(samples)
            read += block
            energy += float(np.sum(np.square(samples, dtype=np.float64)))
        _check_end(file, read, file.frames, name)
        duration = read / file.samplerate
    _check_count(read, name)
    _check_level(_decibels(energy / read), name)
    return duration


def length_and_rate(path: str | Path) -> tuple[int, int]:
    """Samples and Hz of a recording, as its header has them; what stands behind it is not read.

    Raises:
        AudioError: the file is missing, empty, cut short or no audio.
    """
    with _open(path, str(path)) as file:
        return file.frames, file.samplerate


def check_speech(audio: Audio, name: str = "audio") -> None:
    """Refuse what cannot hold speech.

    Raises:
        AudioError: no samples, values that are not finite, or a level below `SILENCE_DB`.
    """
    _check_content(audio.samples, name)
    _check_level(level_db(audio.samples), name)


def resample(samples: Samples, rate: int, new_rate: int) -> Samples:
    """`samples` `[n]` at `rate` Hz as float32 `[n * new_rate / rate]` at `new_rate` Hz."""
    if rate == new_rate:
        return samples
    import soxr

    return soxr.resample(samples, rate, new_rate).astype(np.float32, copy=False)


def level_db(samples: Samples) -> float:
    """RMS level in dB relative to full scale (1.0); minus infinity for zeros or no samples."""
    return _decibels(float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0)


def normalize_loudness(samples: Samples, target_db: float = -20.0) -> Samples:
    """Scale `samples` `[n]` to an RMS level of `target_db` dBFS, as float32.

    Silence is returned as it is, and no gain exceeds `MAX_GAIN_DB`. Peaks may pass full scale:
    samples are floats, nothing is clipped.
    """
    return (samples * loudness_gain(samples, target_db)).astype(np.float32, copy=False)


def loudness_gain(samples: Samples, target_db: float) -> np.float32:
    """The factor by which `normalize_loudness` scales `samples`, for what belongs to them."""
    level = level_db(samples)
    gain_db = 0.0 if level < SILENCE_DB else min(target_db - level, MAX_GAIN_DB)
    return np.float32(10 ** (gain_db / 20))


def source_name(source: Source) -> str:
    """What messages call a source: its path, or "audio" where it has none."""
    if isinstance(source, str | Path):
        return str(source)
    return str(getattr(source, "name", "audio"))


def _decibels(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else -math.inf


def _check_content(samples: Samples, name: str) -> None:
    _check_count(len(samples), name)
    _check_finite(samples, name)


def _check_count(samples: int, name: str) -> None:
    if not samples:
        raise AudioError(f"{name}: no samples in it")


def _check_finite(samples: Samples, name: str) -> None:
    if not np.isfinite(samples).all():
        raise AudioError(f"{name}: not finite (NaN or infinity among its samples)")


def _check_level(level: float, name: str) -> None:
    if level < SILENCE_DB:
        raise AudioError(f"{name}: silent ({level:.0f} dBFS, speech lies above {SILENCE_DB:.0f})")


def _read(file: soundfile.SoundFile, first: int, count: int, name: str) -> Samples:
    """`count` frames from `first` on, or what is left of them, mixed to mono `[n]`."""
    try:
        file.seek(first)
        channels = file.read(count, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise AudioError(f"{name}: truncated or damaged ({_reason(error)})") from None
    return channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)


def _check_end(file: soundfile.SoundFile, read: int, wanted: int, name: str) -> None:
    """Refuse a file that ends at frame `read`, well before the frame `wanted`."""
    rate = file.samplerate
    if read < wanted - TOLERANCE * rate:
        raise AudioError(f"{name}: truncated: {read / rate:.2f} s of {file.frames / rate:.2f} s")


def _open(source: Source, name: str) -> soundfile.SoundFile:
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            name.encode()
        except UnicodeEncodeError:  # soundfile could not pass such a name on
            raise AudioError(f"{name!a}: its name is not UTF-8; rename it") from None
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
        except (FileNotFoundError, NotADirectoryError):
            raise AudioError(f"{name}: file not found") from None
        except IsADirectoryError:
            raise AudioError(f"{name}: is a folder, not a recording") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise AudioError(f"{name}: cannot be read ({reason})") from None
        # soundfile takes the ending .raw for samples without a header, unless it sees no name.
        opened = io.BytesIO(path.read_bytes()) if path.suffix.lower() == ".raw" else str(path)
    else:
        content = source if isinstance(source, bytes) else source.read()
        size, opened = len(content), io.BytesIO(content)
    if not size:
        raise AudioError(f"{name}: empty file")
    try:
        file = soundfile.SoundFile(opened)
    except soundfile.SoundFileError as error:
        if "malformed" in str(error).lower():
            raise AudioError(f"{name}: truncated or damaged ({_reason(error)})") from None
        raise AudioError(f"{name}: not audio that libsndfile can read") from None
    try:
        _check_whole(file, name)
    except AudioError:
        file.close()
        raise
    return file


def _reason(error: Exception) -> str:
    return str(error).removeprefix("Error : ").split(": ")[-1].rstrip(".")


# libsndfile quietly takes what is there for the whole. Only its log of the header says so:
_BYTES_PROMISED = re.compile(r"^ *(?:riff|data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M)
_FRAMES_PROMISED = re.compile(r"frame count (\d+) does not match value from 'ds64' chunk of (\d+)")
_CUT_OGG_PAGE = "Junk after the last page"

# A recorder that writes to a pipe cannot know the length and promises about 2 or 4 GiB.
_UNKNOWN_LENGTH = 0x7FFF0000


def _check_whole(file: soundfile.SoundFile, name: str) -> None:
    log = file.extra_info
    duration = file.frames / file.samplerate
    if _CUT_OGG_PAGE in log:
        raise AudioError(f"{name}: truncated: ends inside an Ogg page at {duration:.2f} s")
    match = _BYTES_PROMISED.search(log) or _FRAMES_PROMISED.search(log)
    present, promised = sorted(map(int, match.groups())) if match else (0, 0)
    if not file.frames:
        raise AudioError(f"{name}: {'truncated: ' if promised else ''}no samples behind the header")
    if not match or promised >= _UNKNOWN_LENGTH:
        return
    whole = duration * promised / present
    if whole - duration > TOLERANCE:
        raise AudioError(f"{name}: truncated: {duration:.2f} s of {whole:.2f} s")
