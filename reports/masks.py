"""What a mask is, in four pictures: docs/images/enhancement_masks.png."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_utils.enhancement.settings import SpectrumSettings
from data_utils.masks import ideal_mask
from data_utils.mixing import mix
from data_utils.stft import Stft
from reports.picture import write_picture

SECONDS = 2.0
SNR_DB = 0.0
_SHOWN_DB = 60.0


def speech_like(seconds: float, rate: int) -> NDArray[np.float32]:
    """Gliding harmonics below three formants, in syllables: float32 [samples]."""
    time = np.arange(round(seconds * rate)) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    wave = np.zeros_like(time)
    for harmonic in range(1, 30):
        hertz = harmonic * pitch
        level = sum(
            np.exp(-(((hertz - formant - 200 * np.sin(2 * np.pi * 1.3 * time)) / 180) ** 2))
            for formant in (600, 1500, 2600)
        )
        wave += (0.05 + level) / np.sqrt(harmonic) * np.sin(harmonic * phase)
    syllables = np.maximum(0, np.sin(2 * np.pi * 1.6 * time)) ** 0.5
    return (0.05 * wave * syllables).astype(np.float32)


def draw_masks(path: Path) -> None:
    """Draw clean speech, its mixture with noise, the ideal mask and what it leaves, as a PNG.

    Raises:
        InputError: `path` is no place for a PNG.
    """
    from matplotlib.figure import Figure

    settings = SpectrumSettings()
    stft = Stft(settings.n_fft, settings.hop_length, settings.win_length)
    clean = speech_like(SECONDS, settings.sample_rate)
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    mixture, scaled = mix(clean, noise, SNR_DB)
    clean_spectrum, noise_spectrum = stft.forward(clean), stft.forward(scaled)
    mask = ideal_mask("irm", clean_spectrum, noise_spectrum)
    masked = mask * stft.forward(mixture)
    panels = {
        "speech: S": np.abs(clean_spectrum),
        "mixture at 0 dB": np.abs(stft.forward(mixture)),
        "mask: sqrt(S² / (S² + N²))": mask,
        "mixture x mask": np.abs(masked),
    }
    figure = Figure(figsize=(10, 6), layout="constrained")
    extent = (0.0, SECONDS, 0.0, settings.sample_rate / 2000)
    for axis, (title, values) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        if title.startswith("mask"):
            shown, low, high, unit = values, 0.0, 1.0, ""
        else:
            top = float(panels["mixture at 0 dB"].max())
            shown = 20 * np.log10(np.maximum(values / top, 1e-9))
            low, high, unit = -_SHOWN_DB, 0.0, "dB"
        image = axis.imshow(
            shown.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, cmap="magma"
        )
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xlabel(f"s ({len(values)} frames)", fontsize=8)
        axis.set_ylabel(f"kHz ({values.shape[1]} bins)", fontsize=8)
        figure.colorbar(image, ax=axis, label=unit)
    write_picture(figure, path)
