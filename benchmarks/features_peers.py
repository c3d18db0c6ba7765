"""What `features` measures of others, in an environment without this package.

Where a library can be told to compute what this package computes, it is told so, in the way that
its documentation shows: frames of 320 samples every 160, none of them padded.
"""

from collections.abc import Callable
from typing import Any

import kaldi_native_fbank
import librosa
import numpy as np
import python_speech_features as psf
from numpy.typing import NDArray

from benchmarks.answering import answer, on_samples

Array = NDArray[np.float32]

RATE, WINDOW, HOP, N_FFT, BANDS = 16000, 320, 160, 512, 80
EPSILON = 1e-14
DENSITY = 2 / (RATE * np.sum(np.hanning(WINDOW) ** 2))
"""From a squared transform to a one-sided power density, between 0 Hz and half the rate."""


def librosa_linear(samples: Array) -> Array:
    """Logarithm of the power spectral density, `[frames, 161]`."""
    spectrum = librosa.stft(
        samples, n_fft=WINDOW, hop_length=HOP, window=np.hanning(WINDOW), center=False
    )
    power = np.abs(spectrum) ** 2 * DENSITY
    power[[0, -1]] /= 2
    return np.log(power + EPSILON).T


def librosa_fbank(samples: Array) -> Array:
    """Logarithm of the density in mel bands, `[frames, 80]`."""
    # It puts the window into the middle of the transform: so many samples earlier.
    before = (N_FFT - WINDOW) // 2
    mel = librosa.feature.melspectrogram(
        y=np.pad(samples, before),
        sr=RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        win_length=WINDOW,
        window=np.hanning(WINDOW),
        center=False,
        n_mels=BANDS,
    )
    return np.log(mel * DENSITY + EPSILON).T


def librosa_mfcc(samples: Array) -> Array:
    """Its own mel cepstra and their slopes, `[frames, 39]`."""
    cepstra = librosa.feature.mfcc(
        y=samples, sr=RATE, n_mfcc=13, n_fft=N_FFT, hop_length=HOP, win_length=WINDOW, n_mels=26
    )
    slopes = [librosa.feature.delta(cepstra, order=order) for order in (1, 2)]
    return np.concatenate([cepstra, *slopes]).T


def psf_mfcc(samples: Array) -> Array:
    """Mel cepstra, their slopes and the slopes of those, `[frames, 39]`."""
    cepstra = psf.mfcc(samples.astype(np.float64), RATE, WINDOW / RATE, HOP / RATE)
    slopes = psf.delta(cepstra, 2)
    return np.concatenate([cepstra, slopes, psf.delta(slopes, 2)], axis=1)


def kaldi(as_here: bool) -> Callable[[Array], Array]:
    """Logarithmic mel bands `[frames, 80]`.

    Args:
        as_here: with the windows, filters and unit of this package; else as in Kaldi, with
            pre-emphasis, and filters on another mel scale.
    """
    options = kaldi_native_fbank.FbankOptions()
    frames, bands = options.frame_opts, options.mel_opts
    frames.samp_freq, frames.dither = RATE, 0
    frames.frame_length_ms, frames.frame_shift_ms = 1000 * WINDOW / RATE, 1000 * HOP / RATE
    bands.num_bins = BANDS
    if as_here:
        frames.window_type, frames.preemph_coeff, frames.remove_dc_offset = "hanning", 0, False
        bands.is_librosa, bands.norm, bands.use_slaney_mel_scale = True, "slaney", True
        bands.low_freq, bands.high_freq = 0, RATE / 2
        options.use_log_floor, options.eps = False, EPSILON / DENSITY

    def compute(samples: Array) -> Array:
        fbank = kaldi_native_fbank.OnlineFbank(options)
        fbank.accept_waveform(RATE, samples.tolist())  # twice as fast as it takes an array
        fbank.input_finished()
        mel = np.stack([fbank.get_frame(frame) for frame in range(fbank.num_frames_ready)])
        return mel + np.float32(np.log(DENSITY)) if as_here else mel

    return compute


def resample(source: int, method: str) -> Callable[[Array], Any]:
    """Samples of `source` Hz at 16 kHz; `method` is a library and its kind of filter."""
    library, kind = method.split()
    if library == "resampy":
        import resampy

        return lambda samples: resampy.resample(samples, source, RATE, filter=kind)
    return lambda samples: librosa.resample(samples, orig_sr=source, target_sr=RATE, res_type=kind)


NAMED: dict[str, Callable[[Array], Any]] = {
    "linear librosa": librosa_linear,
    "fbank librosa": librosa_fbank,
    "fbank kaldi-native-fbank": kaldi(as_here=False),
    "fbank kaldi-native-fbank as here": kaldi(as_here=True),
    "mfcc librosa": librosa_mfcc,
    "mfcc python_speech_features": psf_mfcc,
    **{
        f"resample {source} {method}": resample(source, method)
        for source in (8000, 44100, 48000)
        for method in (
            *("resampy kaiser_best", "resampy kaiser_fast"),
            *("librosa soxr_hq", "librosa polyphase"),
        )
    },
}


if __name__ == "__main__":
    answer(**on_samples(NAMED))
