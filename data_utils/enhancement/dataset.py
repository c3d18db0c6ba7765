"""Clean speech and noise to what a mask network learns from, and what it is scored with.

    training    magnitudes of the mixture and of the speech, and the mask, in padded batches
    scoring     waves of the mixture and of the speech, each recording at each ratio

Every draw (which noise, which part of it, at which ratio, which part of the speech) follows from
(seed, epoch, recording) alone.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.audio import SILENCE_DB, AudioError, level_db, loudness_gain
from data_utils.augmentation.pipeline import utterance_rng
from data_utils.augmentation.sounds import DRAWS, Sounds
from data_utils.cache import RecordingCache
from data_utils.enhancement.lists import RecordingList
from data_utils.enhancement.settings import SpectrumSettings
from data_utils.examples import read_each
from data_utils.excerpts import Excerpts
from data_utils.masks import ideal_mask
from data_utils.mixing import LEVEL_DB, mix
from data_utils.stft import Stft
from data_utils.store import Field, Store

Wave = NDArray[np.float32]


@dataclass(frozen=True)
class NoisyBatch:
    """Magnitudes and masks padded with zeros to the longest.

    B: examples, T: frames of the longest.
    """

    noisy: NDArray[np.float32]
    """Magnitudes of the mixture [B, T, bins]."""
    clean: NDArray[np.float32]
    """Magnitudes of the speech in it [B, T, bins]."""
    mask: NDArray[np.float32]
    """What the network should give, 0 to 1 [B, T, bins]."""
    frames: NDArray[np.int64]
    """Valid frames of each example [B]."""
    items: list[int] = field(default_factory=list)
    """Which recording of the list of speech each example is."""
    problems: list[str] = field(default_factory=list)
    """Recordings left out of the batch: where, and why."""

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class NoisyPair:
    """A mixture to be enhanced, and what it should become."""

    noisy: Wave
    """Float32 [samples], at `LEVEL_DB`."""
    clean: Wave
    """The speech in it, float32 [samples]."""
    name: str
    """Path of the speech."""
    snr_db: float


@dataclass(frozen=True)
class PairBatch:
    """Pairs of different lengths, not padded."""

    pairs: list[NoisyPair]
    items: list[int] = field(default_factory=list)
    """Which pair of the dataset each is."""
    problems: list[str] = field(default_factory=list)
    """Pairs left out of the batch: where, and why."""

    def __len__(self) -> int:
        return len(self.pairs)


class NoisySpeech:
    """Examples to train on: each recording of speech once an epoch, each time in other noise.

    It is a source of the store too: variant v of an example is what epoch v + 1 hears.

    Args:
        speech: clean recordings.
        noises: recordings of noise.
        snrs: ratios in dB, of which every example draws one.
        spectrum: rate, geometry and mask.
        crop_seconds: length of the random part taken of longer recordings; None: the whole.
        seed: of the draws.
        cache: keeps decoded recordings; None decodes each time.
        store: holds the examples already; of its variants every epoch draws one.
    """

    def __init__(
        self,
        speech: RecordingList,
        noises: RecordingList,
        snrs: Sequence[float],
        spectrum: SpectrumSettings,
        crop_seconds: float | None = None,
        seed: int = 0,
        cache: RecordingCache | None = None,
        store: Store | None = None,
    ) -> None:
        self.speech = speech
        self.snrs = tuple(snrs)
        self.spectrum = spectrum
        self.crop_seconds = crop_seconds
        self.seed = seed
        self.store = store
        self._noises, self._snrs = noises, tuple(snrs)
        self._stft = Stft(spectrum.n_fft, spectrum.hop_length, spectrum.win_length)
        self._mixer = _Mixer(speech, noises, spectrum.sample_rate, cache)

    def __len__(self) -> int:
        return len(self.speech)

    @property
    def durations(self) -> NDArray[np.float32]:
        """Seconds of each example, float32 [items]."""
        if self.crop_seconds is None:
            return self.speech.durations
        return np.minimum(self.speech.durations, np.float32(self.crop_seconds))

    def where(self, index: int) -> str:
        """The file and line that name the recording."""
        return self.speech.where(index)

    def fields(self) -> dict[str, Field]:
        """The arrays of an example, as a store keeps them."""
        bins = self.spectrum.bins
        return {
            "noisy": Field(bins, "decibel"),
            "clean": Field(bins, "decibel"),
            "mask": Field(bins),
        }

    def fingerprint(self) -> dict[str, Any]:
        """All that stored examples follow from: JSON values."""
        return {
            "task": "enhancement",
            "spectrum": dataclasses.asdict(self.spectrum),
            "train_clean": self.speech.digest(),
            "train_noise": self._noises.digest(),
            "train_snrs": list(self._snrs),
            "crop_seconds": self.crop_seconds,
            "seed": self.seed,
        }

    def arrays(self, index: int, variant: int) -> dict[str, NDArray[np.float32]]:
        """Magnitudes of mixture and speech, and the mask, each float32 `[frames, bins]`.

        Raises:
            AudioError: the recording cannot be used, or no noise can.
        """
        rng = utterance_rng(self.seed, variant + 1, self.speech[index].key)
        speech = self._mixer.speech(index, self.crop_seconds, rng)
        snr_db = self.snrs[int(rng.integers(len(self.snrs)))]
        clean, noise = self._mixer.mixture(speech, snr_db, rng)
        clean_spectrum, noise_spectrum = self._stft.forward(clean), self._stft.forward(noise)
        return {
            "noisy": np.abs(clean_spectrum + noise_spectrum),
            "clean": np.abs(clean_spectrum),
            "mask": ideal_mask(self.spectrum.mask, clean_spectrum, noise_spectrum),
        }

    def batch(self, indices: Iterable[int] | NDArray[np.int64], epoch: int = 0) -> NoisyBatch:
        """The batch of these recordings; those that cannot be used are left out and named."""
        return self._collated(
            *read_each(indices, lambda index: self._example(index, epoch), self.where)
        )

    def _example(self, index: int, epoch: int) -> dict[str, NDArray[np.float32]]:
        if self.store is None:
            return self.arrays(index, epoch - 1)
        rng = utterance_rng(self.seed, epoch, self.speech[index].key)
        return self.store.draw(index, rng)

    def _collated(
        self,
        examples: Sequence[dict[str, NDArray[np.float32]]],
        items: list[int],
        problems: list[str],
    ) -> NoisyBatch:
        frames = np.array([len(example["mask"]) for example in examples], dtype=np.int64)
        shape = (len(examples), int(frames.max(initial=0)), self.spectrum.bins)
        padded = {name: np.zeros(shape, dtype=np.float32) for name in self.fields()}
        for row, example in enumerate(examples):
            for name, values in example.items():
                padded[name][row, : frames[row]] = values
        return NoisyBatch(padded["noisy"], padded["clean"], padded["mask"], frames, items, problems)


class NoisyPairs:
    """What a network is scored with: each recording of speech at each ratio, always the same.

    All ratios of a recording share the noise, so that they differ in nothing else. Item i is
    recording i // R at ratio i % R of R.

    Args:
        speech: clean recordings.
        noises: recordings of noise.
        snrs: ratios in dB.
        rate: Hz of the waves.
        seed: of the draws.
        cache: keeps decoded recordings; None decodes each time.
    """

    def __init__(
        self,
        speech: RecordingList,
        noises: RecordingList,
        snrs: Sequence[float],
        rate: int,
        seed: int = 0,
        cache: RecordingCache | None = None,
    ) -> None:
        self.speech = speech
        self.snrs = tuple(snrs)
        self.seed = seed
        self._mixer = _Mixer(speech, noises, rate, cache)

    def __len__(self) -> int:
        return len(self.speech) * len(self.snrs)

    @property
    def durations(self) -> NDArray[np.float32]:
        """Seconds of each pair, float32 [items]."""
        return np.repeat(self.speech.durations, len(self.snrs))

    def where(self, index: int) -> str:
        """The file and line that name the speech, and the ratio."""
        recording, ratio = divmod(index, len(self.snrs))
        return f"{self.speech.where(recording)} at {self.snrs[ratio]:g} dB"

    def pair(self, index: int) -> NoisyPair:
        """The waves of an item.

        Raises:
            AudioError: the recording cannot be used, or no noise can.
        """
        recording, ratio = divmod(index, len(self.snrs))
        name, snr_db = self.speech[recording].audio, self.snrs[ratio]
        rng = utterance_rng(self.seed, 0, self.speech[recording].key)
        speech = self._mixer.speech(recording, None, rng)
        clean, noise = self._mixer.mixture(speech, snr_db, rng)
        return NoisyPair(clean + noise, clean, name, snr_db)

    def batch(self, indices: Iterable[int] | NDArray[np.int64], epoch: int = 0) -> PairBatch:
        """These pairs, whatever the epoch; those that cannot be used are left out and named."""
        return PairBatch(*read_each(indices, self.pair, self.where))


class _Mixer:
    """Speech, noise, and both at one level; of either, silent parts are drawn again."""

    def __init__(
        self,
        speech: RecordingList,
        noises: RecordingList,
        rate: int,
        cache: RecordingCache | None,
    ) -> None:
        kept = cache or RecordingCache(0)
        self._recordings = speech
        self._speech = Excerpts(speech, rate, kept)
        self._noises = Sounds(noises, rate, kept)
        self._rate = rate

    def speech(self, index: int, crop_seconds: float | None, rng: np.random.Generator) -> Wave:
        """Recording `index`, or a part of `crop_seconds` of it where it is longer, `[samples]`."""
        crop = math.inf if crop_seconds is None else crop_seconds
        is_whole = self._recordings[index].duration <= crop
        for _ in range(1 if is_whole else DRAWS):
            if is_whole:
                samples = self._speech.whole(index)
            else:
                samples = self._speech.part(index, float(rng.random()), round(crop * self._rate))
            if level_db(samples) >= SILENCE_DB:
                return samples
        name = self._recordings[index].audio
        raise AudioError(f"{name}: silent (below {SILENCE_DB:.0f} dBFS)")

    def mixture(self, speech: Wave, snr_db: float, rng: np.random.Generator) -> tuple[Wave, Wave]:
        """Speech and noise at `snr_db`, their sum at `LEVEL_DB`; both float32 `[samples]`."""
        mixed, scaled = mix(speech, self._noises.heard_part(rng, len(speech)), snr_db)
        gain = loudness_gain(mixed, LEVEL_DB)
        return speech * gain, scaled * gain
