"""The sounds of a manifest, noises or impulse responses, of which an effect draws one."""

import functools
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE, AudioError, read_audio
from data_utils.errors import InputError
from data_utils.manifest import Manifest

CACHED_SECONDS = 60.0
"""Shorter recordings are read whole and a few are kept; of longer ones only a part is read."""

_logger = logging.getLogger(__name__)


class Sounds:
    """The recordings that a manifest lists; a file is read when a draw needs it.

    A recording that cannot be read is skipped; the first one is reported. It can be pickled.

    Raises:
        InputError: the manifest is not one.
    """

    def __init__(self, manifest_path: str) -> None:
        self._manifest = Manifest.open(manifest_path)
        self._told = False

    def __len__(self) -> int:
        return len(self._manifest)

    def whole(self, index: int) -> NDArray[np.float32] | None:
        """Recording `index`, float32 `[samples]` at 16 kHz; None where it cannot be read."""
        try:
            utterance = self._manifest[index]
            return _read(utterance.audio, utterance.start, utterance.end)
        except (InputError, OSError) as error:
            self._skip(index, error)
            return None

    def part(self, index: int, position: float, count: int) -> NDArray[np.float32] | None:
        """`count` samples of recording `index`; a shorter recording is repeated.

        Args:
            index: which recording.
            position: where the part begins, as a share (0 to 1, 1 excluded) of the possible places.
            count: length in samples, at 16 kHz.

        Returns:
            Float32 `[count]`, or None where the recording cannot be read.
        """
        try:
            utterance = self._manifest[index]
            seconds = count / SAMPLE_RATE
            room = utterance.duration - seconds
            if utterance.duration > CACHED_SECONDS and room > 0:
                start = (utterance.start or 0.0) + position * room
                # The end is a few samples late, so that rounding never leaves one too few.
                end = start + seconds + 0.001
                return _wrapped(read_audio(utterance.audio, start=start, end=end).samples, 0, count)
            samples = _read(utterance.audio, utterance.start, utterance.end)
            places = len(samples) - count + 1 if len(samples) > count else len(samples)
            return _wrapped(samples, int(position * places), count)
        except (InputError, OSError) as error:
            self._skip(index, error)
            return None

    def _skip(self, index: int, error: Exception) -> None:
        if not self._told:
            where = self._manifest.where(index)
            _logger.warning(
                "%s: %s; left as it is where such a recording is drawn (said once)", where, error
            )
        self._told = True


def missing(manifest_path: str, effect: str) -> str | None:
    """The line that tells the user that there are no recordings and `effect` is left out.

    None where the manifest is there. The wording for noise is the one that users know.
    """
    path = Path(manifest_path)
    if not path.exists():
        return f"{manifest_path}不存在，已经忽略{effect}增强操作！"
    if path.is_file() and path.stat().st_size == 0:
        return f"{manifest_path}是空的，已经忽略{effect}增强操作！"
    return None


def _wrapped(samples: NDArray[np.float32], start: int, count: int) -> NDArray[np.float32]:
    """`count` samples from `start` on, going on at the beginning when the end is reached."""
    if start + count <= len(samples):
        return samples[start : start + count]
    return np.take(samples, np.arange(start, start + count), mode="wrap")


@functools.lru_cache(maxsize=16)
def _read(path: str, start: float | None, end: float | None) -> NDArray[np.float32]:
    samples = read_audio(path, start=start or 0.0, end=end).samples
    if not len(samples):  # shorter than one sample at 16 kHz
        raise AudioError(f"{path}: no samples in it")
    samples.flags.writeable = False  # many utterances share it
    return samples
