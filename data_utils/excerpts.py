"""Recordings of a list, whole or in part; of a long one no more is read than the part."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import AudioError, read_audio
from data_utils.cache import RecordingCache
from data_utils.manifest import Utterance

CACHED_SECONDS = 60.0
"""Shorter recordings are read whole and kept while there is room; of longer ones a part is read."""


class Listed(Protocol):
    """Recordings by number: a manifest, or a list of files."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> Utterance:
        """Where one is, and how long."""

    def where(self, index: int) -> str:
        """The place in the user's files that names it, for messages."""


class Excerpts:
    """Reads recordings of a list when they are asked for. It can be pickled.

    Args:
        recordings: the list.
        rate: Hz of what is read.
        cache: keeps decoded recordings.
    """

    def __init__(self, recordings: Listed, rate: int, cache: RecordingCache) -> None:
        self._recordings = recordings
        self._rate = rate
        self._cache = cache

    def whole(self, index: int) -> NDArray[np.float32]:
        """Recording `index`, float32 `[samples]`, read-only.

        Raises:
            AudioError: it cannot be read.
        """
        recording = self._recordings[index]

        def read() -> NDArray[np.float32]:
            start, end = recording.start or 0.0, recording.end
            samples = read_audio(recording.audio, start=start, end=end, rate=self._rate).samples
            if not len(samples):  # shorter than one sample at this rate
                raise AudioError(f"{recording.audio}: no samples in it")
            return samples

        return self._cache.get(f"{recording.key} {recording.end} {self._rate}", read)

    def part(self, index: int, position: float, count: int) -> NDArray[np.float32]:
        """`count` samples of recording `index`; a shorter recording is repeated.

        Args:
            index: which recording.
            position: where the part begins, as a share (0 to 1, 1 excluded) of the possible places.
            count: length in samples.

        Returns:
            Float32 `[count]`.

        Raises:
            AudioError: the recording cannot be read.
        """
        recording = self._recordings[index]
        seconds = count / self._rate
        room = recording.duration - seconds
        if recording.duration > CACHED_SECONDS and room > 0:
            start = (recording.start or 0.0) + position * room
            # The end is a few samples late, so that rounding never leaves one too few.
            end = start + seconds + 0.001
            audio = read_audio(recording.audio, start=start, end=end, rate=self._rate)
            return _wrapped(audio.samples, 0, count)
        samples = self.whole(index)
        places = len(samples) - count + 1 if len(samples) > count else len(samples)
        return _wrapped(samples, int(position * places), count)


def _wrapped(samples: NDArray[np.float32], start: int, count: int) -> NDArray[np.float32]:
    """`count` samples from `start` on, going on at the beginning when the end is reached."""
    if start + count <= len(samples):
        return samples[start : start + count]
    return np.take(samples, np.arange(start, start + count), mode="wrap")
