"""Wave to spectrum: frames, windowed, transformed. And back, by overlap-add.

A frame is `window_length` samples, frames begin every `hop_length` samples. `spectrum`, on which
features are built, pads nothing:

    samples  0 1 2 3 4 5 6 7 8 9      window_length 4, hop_length 3
    frame 0  |-----|
    frame 1        |-----|
    frame 2              |-----|      (10 - 4) // 3 + 1 = 3 frames

`Stft`, which has an inverse, puts zeros around the samples, so that each of them is in as many
frames as those in the middle. In front they are whole hops: its frames, but for the first few, are
those of `spectrum`.

    samples  . . 0 1 2 3 4 5 6 . . .  win_length 4, hop_length 2; a dot is a zero
    frame 0  |-----|
    frame 1      |-----|              frame 0 of `spectrum`
    frame 2          |-----|          frame 1
    frame 3              |-----|
    frame 4                  |-----|
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Window: TypeAlias = Literal["hann", "rectangular"]


def num_frames(num_samples: int, window_length: int, hop_length: int) -> int:
    """Frames that fit into `num_samples`; samples behind the last one are left out."""
    return max(0, (num_samples - window_length) // hop_length + 1)


@lru_cache(maxsize=16)
def window_weights(window: Window, length: int) -> NDArray[np.float64]:
    """Weights float64 `[length]`, read-only; `hann` is symmetric: it begins and ends with 0."""
    weights = np.hanning(length) if window == "hann" else np.ones(length)
    weights.flags.writeable = False
    return weights


def spectrum(
    samples: NDArray[np.floating],
    window_length: int,
    hop_length: int,
    n_fft: int,
    window: Window = "hann",
) -> NDArray[np.complexfloating]:
    """The spectrum of each frame, `[frames, n_fft // 2 + 1]`.

    Args:
        samples: `[n]`, n at least `window_length`; the result is complex64 for float32, complex128
            for float64.
        window_length: samples in a frame, at most `n_fft`.
        hop_length: samples from one frame to the next.
        n_fft: length of the transform; frames are extended to it by zeros.
        window: what each frame is multiplied by.
    """
    from scipy.fft import rfft

    assert window_length <= n_fft, (window_length, n_fft)
    assert len(samples) >= window_length, (len(samples), window_length)
    frames = np.lib.stride_tricks.sliding_window_view(samples, window_length)[::hop_length]
    weights = window_weights(window, window_length).astype(samples.dtype)
    return rfft(frames * weights, n=n_fft, axis=1)


@dataclass(frozen=True)
class Stft:
    """Wave to spectrum and back, with Hann windows.

    The way back is least squares: of all waves it gives the one whose spectrum is nearest to the
    one given (Griffin and Lim 1984, Signal estimation from modified short-time Fourier transform,
    eq. 6). A spectrum that was not changed gives its wave, but for rounding.

    Both ways exist for the whole at once and block by block, for recordings longer than memory;
    both give the same bits.

    Args:
        n_fft: samples of a transform; frames are extended to it by zeros.
        hop_length: samples from one frame to the next, at most half of `win_length`.
        win_length: samples of a frame, at least 3, at most `n_fft`.
    """

    n_fft: int
    hop_length: int
    win_length: int

    def __post_init__(self) -> None:
        assert 1 <= self.hop_length <= self.win_length // 2, self
        assert 3 <= self.win_length <= self.n_fft, self

    @property
    def bins(self) -> int:
        """Frequencies of a frame, those of 0 Hz and half the rate included."""
        return self.n_fft // 2 + 1

    @property
    def lead(self) -> int:
        """Hops of zeros in front of the first sample: frame `lead` is frame 0 of `spectrum`."""
        return -(-self.win_length // self.hop_length) - 1

    def num_frames(self, num_samples: int) -> int:
        """Frames of `num_samples`: all that a sample lies in."""
        return self.lead + -(-num_samples // self.hop_length) if num_samples else 0

    def forward(self, samples: NDArray[np.float32]) -> NDArray[np.complex64]:
        """The spectrum of `samples` `[n]`, complex64 `[frames, bins]`."""
        frames = self.num_frames(len(samples))
        if not frames:
            return np.zeros((0, self.bins), np.complex64)
        front = self.lead * self.hop_length
        behind = (frames - 1) * self.hop_length + self.win_length - front - len(samples)
        return self._frames(np.pad(samples.astype(np.float32, copy=False), (front, behind)))

    def inverse(self, spectrum: NDArray[np.complex64], num_samples: int) -> NDArray[np.float32]:
        """The wave of a spectrum `[frames, bins]`, float32 `[num_samples]`."""
        assert len(spectrum) == self.num_frames(num_samples), (len(spectrum), num_samples)
        return next(self.inverse_blocks([spectrum], num_samples))

    def forward_blocks(
        self, blocks: Iterable[NDArray[np.float32]]
    ) -> Iterator[NDArray[np.complex64]]:
        """`forward` of all `blocks` `[n]` joined, in parts: each frame as soon as it is whole."""
        held = np.zeros(self.lead * self.hop_length, np.float32)
        num_samples = done = 0
        for block in blocks:
            num_samples += len(block)
            held = np.concatenate([held, block], dtype=np.float32)
            if len(held) >= self.win_length:
                frames = self._frames(held)
                done += len(frames)
                held = held[len(frames) * self.hop_length :]
                yield frames
        left = self.num_frames(num_samples) - done
        if left > 0:
            length = (left - 1) * self.hop_length + self.win_length
            yield self._frames(np.pad(held, (0, length - len(held))))

    def inverse_blocks(
        self, spectra: Iterable[NDArray[np.complex64]], num_samples: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """`inverse` of all `spectra` `[frames, bins]` joined, in parts.

        Args:
            spectra: as `forward_blocks` gives them, perhaps changed; cut anywhere.
            num_samples: length of the wave; None, where it is not known, ends with the last hop
                that the spectra cover: fewer than `hop_length` samples behind the end.
        """
        carried = np.zeros((self.lead, self.hop_length), np.float32)
        position = -self.lead * self.hop_length
        for spectrum in spectra:
            sums = self._overlapped(spectrum, carried)
            whole, carried = sums[: len(spectrum)], sums[len(spectrum) :]
            samples = (whole / self._weight).reshape(-1)
            first = min(max(0, -position), len(samples))
            last = len(samples) if num_samples is None else max(0, num_samples - position)
            position += len(samples)
            yield samples[first:last]

    def _frames(self, samples: NDArray[np.float32]) -> NDArray[np.complex64]:
        return spectrum(samples, self.win_length, self.hop_length, self.n_fft)

    def _overlapped(
        self, spectrum: NDArray[np.complex64], carried: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Sums of windowed frames, a hop a row, float32 `[frames + lead, hop_length]`.

        `carried` is what earlier frames left in the first `lead` rows. Every row adds its frames
        in the order of time, wherever blocks are cut.
        """
        from scipy.fft import irfft

        frames, hops = len(spectrum), self.lead + 1
        waves = np.zeros((frames, hops * self.hop_length), np.float32)
        waves[:, : self.win_length] = irfft(spectrum, n=self.n_fft, axis=1)[:, : self.win_length]
        waves[:, : self.win_length] *= self._window
        parts = waves.reshape(frames, hops, self.hop_length)
        sums = np.zeros((frames + self.lead, self.hop_length), np.float32)
        sums[: self.lead] = carried
        for hop in reversed(range(hops)):
            sums[hop : hop + frames] += parts[:, hop]
        return sums

    @property
    def _window(self) -> NDArray[np.float32]:
        return window_weights("hann", self.win_length).astype(np.float32)

    @property
    def _weight(self) -> NDArray[np.float32]:
        """Sum of the squared windows over each sample, the same in every hop: `[hop_length]`."""
        squares = np.zeros((self.lead + 1) * self.hop_length)
        squares[: self.win_length] = window_weights("hann", self.win_length) ** 2
        return squares.reshape(-1, self.hop_length).sum(axis=0).astype(np.float32)
