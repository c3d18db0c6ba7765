"""The sounds of a list, noises or impulse responses, of which one is drawn."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SAMPLE_RATE, SILENCE_DB, AudioError, level_db
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.excerpts import Excerpts, Listed

CACHED_BYTES = 64 << 20
"""Kept in memory by each process: 16 recordings of a minute."""

DRAWS = 100
"""How often is drawn, until something can be heard."""

_logger = logging.getLogger(__name__)


class Sounds:
    """Recordings of which one that cannot be read costs nothing but its draw.

    A file is read when a draw needs it; the first one that cannot be is reported. It can be
    pickled.

    Args:
        recordings: the list of them, as a manifest.
        rate: Hz of what is read.
        cache: keeps decoded recordings; None: one of `CACHED_BYTES`.
    """

    def __init__(
        self, recordings: Listed, rate: int = SAMPLE_RATE, cache: RecordingCache | None = None
    ) -> None:
        self._recordings = recordings
        self._excerpts = Excerpts(recordings, rate, cache or RecordingCache(CACHED_BYTES))
        self._told = False

    def __len__(self) -> int:
        return len(self._recordings)

    def whole(self, index: int) -> NDArray[np.float32] | None:
        """Recording `index`, float32 `[samples]`; None where it cannot be read."""
        return self._skipping(index, lambda: self._excerpts.whole(index))

    def part(self, index: int, position: float, count: int) -> NDArray[np.float32] | None:
        """`count` samples of recording `index`; a shorter recording is repeated.

        Args:
            index: which recording.
            position: where the part begins, as a share (0 to 1, 1 excluded) of the possible places.
            count: length in samples.

        Returns:
            Float32 `[count]`, or None where the recording cannot be read.
        """
        return self._skipping(index, lambda: self._excerpts.part(index, position, count))

    def heard_whole(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """A recording drawn by `rng`, drawn again where it cannot be read or is silent.

        Returns:
            Float32 `[samples]`.

        Raises:
            AudioError: none of `DRAWS` can be heard.
        """
        return self._heard(lambda: self.whole(int(rng.integers(len(self)))))

    def heard_part(self, rng: np.random.Generator, count: int) -> NDArray[np.float32]:
        """`count` samples drawn by `rng`, drawn again where they cannot be read or are silent.

        Silence would be amplified to the rounding of its converter, and is no noise.

        Args:
            rng: draws the recording, then the place.
            count: length in samples.

        Returns:
            Float32 `[count]`.

        Raises:
            AudioError: none of `DRAWS` can be heard.
        """
        return self._heard(
            lambda: self.part(int(rng.integers(len(self))), float(rng.random()), count)
        )

    def _heard(self, draw: Callable[[], NDArray[np.float32] | None]) -> NDArray[np.float32]:
        for _ in range(DRAWS):
            samples = draw()
            if samples is not None and level_db(samples) >= SILENCE_DB:
                return samples
        raise AudioError(
            f"{self._recordings.where(0)}: {DRAWS} draws from this list were damaged or silent; "
            f"mend it"
        )

    def _skipping(
        self, index: int, read: Callable[[], NDArray[np.float32]]
    ) -> NDArray[np.float32] | None:
        try:
            return read()
        except (InputError, OSError) as error:
            if not self._told:
                where = self._recordings.where(index)
                _logger.warning("%s: %s; skipped wherever it is drawn (said once)", where, error)
            self._told = True
            return None


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
