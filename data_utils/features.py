"""From samples to what the network hears: the one way through for every command.

    samples [n]  --prepare-->         samples [n]
                 --power_spectrum-->  power [frames, n_fft // 2 + 1]
                 --from_power-->      features [frames, bins]

`extract` is all three, `read_features` the same from a file on. Training puts its effects on the
wave behind `prepare`; a mask on the spectrum stands between the last two. What `from_power` does is
done by `model_utils.networks.power_features` too, where gradients have to come through.

    linear   log of the power spectral density           161 bins for windows of 20 ms
    fbank    log of the density in mel bands             num_mel_bins
    mfcc     13 mel cepstra, their slopes and the slopes of those    39
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from data_utils import mel
from data_utils.audio import (
    SAMPLE_RATE,
    AudioError,
    Source,
    normalize_loudness,
    read_speech,
    source_name,
)
from data_utils.settings import FeatureSettings
from data_utils.stft import num_frames as count_frames
from data_utils.stft import spectrum, window_weights

EPSILON = 1e-14
"""Added before the logarithm; 80 dB below the density of speech at -20 dBFS."""

ZERO_SUBSTITUTE = float(np.finfo(float).eps)
"""What `mfcc` takes in place of a zero before the logarithm, as python_speech_features does."""

SLOPE_REACH = 2
"""Frames on either side from which `mfcc` takes the slope."""

_MIN_MEL_FFT = 512  # 31 Hz a bin: no mel filter, up to 128 of them, falls between two bins

# The defaults of python_speech_features, which the statistics of older packages were made with.
_NUM_CEPSTRA = 13
_PREEMPHASIS = 0.97
_CEPSTRAL_FILTERS = 26

Array = NDArray[np.float32]


def window_length(settings: FeatureSettings) -> int:
    """Samples in a frame."""
    return int(settings.window_ms * SAMPLE_RATE / 1000 + 0.5)


def hop_length(settings: FeatureSettings) -> int:
    """Samples from one frame to the next."""
    return int(settings.hop_ms * SAMPLE_RATE / 1000 + 0.5)


def fft_length(settings: FeatureSettings) -> int:
    """Samples in each Fourier transform; mel filters need more bins than the window alone gives."""
    length = window_length(settings)
    if settings.feature_type == "linear":
        return length
    return max(_MIN_MEL_FFT, 1 << (length - 1).bit_length())


def num_bins(settings: FeatureSettings) -> int:
    """Values per frame: the width of the network's input."""
    if settings.feature_type == "mfcc":
        return 3 * _NUM_CEPSTRA
    if settings.feature_type == "fbank":
        return settings.num_mel_bins
    return fft_length(settings) // 2 + 1


def num_frames(num_samples: int, settings: FeatureSettings) -> int:
    """Frames of `num_samples` at `SAMPLE_RATE`: those that fit whole, the same for every type."""
    return count_frames(num_samples, window_length(settings), hop_length(settings))


def read_features(
    source: Source,
    settings: FeatureSettings,
    *,
    start: float | None = None,
    end: float | None = None,
) -> Array:
    """The features of a recording, or of its part from `start` to `end` (s), `[frames, bins]`.

    Raises:
        AudioError: the recording cannot be used (see `read_speech`) or is shorter than one frame.
    """
    audio = read_speech(source, start=start, end=end)
    try:
        return extract(audio.samples, settings)
    except AudioError as error:
        raise AudioError(f"{source_name(source)}: {error}") from None


def extract(
    samples: Array, settings: FeatureSettings, power: Callable[[Array], Array] | None = None
) -> Array:
    """The features of `samples` `[n]` at `SAMPLE_RATE`, float32 `[frames, bins]`.

    Args:
        samples: as they were read.
        settings: which features.
        power: what takes the place of `power_spectrum`, a front end that masks it.

    Raises:
        AudioError: `samples` are shorter than one frame.
    """
    heard = prepare(samples, settings)
    spectrum = power_spectrum(heard, settings) if power is None else power(heard)
    return from_power(spectrum, settings)


def prepare(samples: Array, settings: FeatureSettings) -> Array:
    """`samples` `[n]` at the loudness that the settings ask for, float32 `[n]`."""
    if not settings.use_db_normalization:
        return samples.astype(np.float32, copy=False)
    return normalize_loudness(samples, settings.target_db)


def power_spectrum(samples: Array, settings: FeatureSettings) -> Array:
    """The power in each frame and frequency, float32 `[frames, n_fft // 2 + 1]`.

    For `linear` and `fbank` it is the one-sided power spectral density of the Hann-windowed frame,
    its modified periodogram (Welch 1967, The use of fast Fourier transform for the estimation of
    power spectra, I_k(f) of section "The method"); for `mfcc` the square of the pre-emphasised
    frame's transform divided by the transform's length, as in python_speech_features.

    Raises:
        AudioError: `samples` `[n]` are shorter than one frame.
    """
    length, n_fft = window_length(settings), fft_length(settings)
    if len(samples) < length:
        raise AudioError(
            f"too short: {len(samples) / SAMPLE_RATE:.3f} s, one frame takes "
            f"{length / SAMPLE_RATE:.3f} s"
        )
    if settings.feature_type == "mfcc":
        # In float64: pre-emphasis leaves the lowest bands so little that rounding would show.
        wave = samples.astype(np.float64)
        wave[1:] -= _PREEMPHASIS * wave[:-1]
        frames = spectrum(wave, length, hop_length(settings), n_fft, "rectangular")
        return (_squared(frames) / n_fft).astype(np.float32)
    wave = samples.astype(np.float32, copy=False)
    frames = spectrum(wave, length, hop_length(settings), n_fft, "hann")
    return np.multiply(_squared(frames), _density_scale(length, n_fft), dtype=np.float32)


def from_power(power: Array, settings: FeatureSettings) -> Array:
    """Features float32 `[frames, bins]` of a power spectrum `[frames, n_fft // 2 + 1]`."""
    if settings.noise_floor_db is not None:
        power = power + noise_floor(settings)
    if settings.feature_type == "linear":
        return _log(power)
    if settings.feature_type == "fbank":
        return _log(_filters(settings).apply(power))
    cepstra = _cepstra(power, settings)
    slopes = _slopes(cepstra)
    return np.concatenate([cepstra, slopes, _slopes(slopes)], axis=1)


def filters(settings: FeatureSettings) -> Array:
    """The bands of `fbank` and `mfcc`, float32 `[bands, n_fft // 2 + 1]`."""
    return _filters(settings).weights()


def cepstral_transform() -> NDArray[np.float64]:
    """Log bands to the cepstra of `mfcc` in one product, float64 `[bands, cepstra]`."""
    return _liftered(np.eye(_CEPSTRAL_FILTERS))


def _squared(frames: NDArray[np.complexfloating]) -> NDArray[np.floating]:
    return np.square(frames.real) + np.square(frames.imag)


def _log(power: Array) -> Array:
    return np.log(power + np.float32(EPSILON))


@lru_cache(maxsize=16)
def _density_scale(length: int, n_fft: int) -> Array:
    scale = np.full(n_fft // 2 + 1, 1 / (SAMPLE_RATE * np.sum(window_weights("hann", length) ** 2)))
    scale[1 : (n_fft + 1) // 2] *= (
        2  # every bin stands for two but that of 0 Hz and of half the rate
    )
    return scale.astype(np.float32)


@lru_cache(maxsize=16)
def noise_floor(settings: FeatureSettings) -> Array:
    """Expected power of white noise at `noise_floor_db` dBFS, float32 `[n_fft // 2 + 1]`."""
    assert settings.noise_floor_db is not None
    variance = 10 ** (settings.noise_floor_db / 10)
    n_fft = fft_length(settings)
    if settings.feature_type != "mfcc":
        return np.full(n_fft // 2 + 1, variance / (SAMPLE_RATE / 2), dtype=np.float32)
    # In each bin the variance times the window's length over n_fft, shaped by the pre-emphasis.
    angles = np.pi * np.arange(n_fft // 2 + 1) / (n_fft // 2)
    shape = np.abs(1 - _PREEMPHASIS * np.exp(-1j * angles)) ** 2
    return (variance * window_length(settings) / n_fft * shape).astype(np.float32)


class _Filters:
    """Filters `[filters, bins]` that are zero nearly everywhere, applied to power `[frames, bins]`.

    Sparse rather than a matrix product: quicker, and what comes out for one frame depends neither
    on the number of frames beside it nor on the number of threads.
    """

    def __init__(self, weights: NDArray[np.floating]) -> None:
        from scipy.sparse import csr_array

        self._weights = csr_array(weights.astype(np.float32))

    def apply(self, power: Array) -> Array:
        return np.ascontiguousarray((self._weights @ power.T).T)

    def weights(self) -> Array:
        """The filters with their zeros, `[filters, bins]`."""
        return self._weights.toarray()


def _filters(settings: FeatureSettings) -> _Filters:
    n_fft = fft_length(settings)
    if settings.feature_type == "mfcc":
        return _cepstral_filters(n_fft)
    return _mel_filters(settings.num_mel_bins, n_fft)


@lru_cache(maxsize=16)
def _mel_filters(num_filters: int, n_fft: int) -> _Filters:
    return _Filters(mel.filters(SAMPLE_RATE, n_fft, num_filters))


@lru_cache(maxsize=16)
def _cepstral_filters(n_fft: int) -> _Filters:
    from python_speech_features import get_filterbanks

    return _Filters(get_filterbanks(_CEPSTRAL_FILTERS, n_fft, SAMPLE_RATE))


def _cepstra(power: Array, settings: FeatureSettings) -> Array:
    """Liftered mel cepstra `[frames, 13]`, the first replaced by the log energy of the frame."""
    # The logarithm in float64: the lifter would make its float32 rounding twelve times as large.
    bands = np.log(_nonzero(_filters(settings).apply(power)).astype(np.float64))
    cepstra = _liftered(bands)
    cepstra[:, 0] = np.log(_nonzero(power.sum(axis=1)))
    return cepstra.astype(np.float32)


def _liftered(bands: NDArray[np.float64]) -> NDArray[np.float64]:
    from python_speech_features import lifter
    from scipy.fft import dct

    return lifter(dct(bands, type=2, axis=1, norm="ortho")[:, :_NUM_CEPSTRA])


def _nonzero(power: Array) -> Array:
    return np.where(power == 0, np.float32(ZERO_SUBSTITUTE), power)


def _slopes(features: Array) -> Array:
    """Least-squares slope of each bin over five frames, the outermost frames repeated.

    Young et al. 2006, The HTK Book 3.4, eq. 5.16.
    """
    from scipy.ndimage import correlate1d

    offsets = np.arange(-SLOPE_REACH, SLOPE_REACH + 1)
    return correlate1d(features, offsets / np.sum(offsets**2), axis=0, mode="nearest")
