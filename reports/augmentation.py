"""Pictures of what each augmentation effect does, for docs/augmentation.

A voice-like sound is computed, not recorded: harmonics of a gliding pitch under moving formants,
with a hiss before every syllable.
"""

import io
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_utils.atomic import write_atomically
from data_utils.audio import SAMPLE_RATE
from data_utils.augmentation.effect import Effect
from data_utils.augmentation.impulse import Impulse
from data_utils.augmentation.noise import Noise
from data_utils.augmentation.resample import Resample
from data_utils.augmentation.shift import Shift
from data_utils.augmentation.specaug import SpecAugment
from data_utils.augmentation.speed import Speed
from data_utils.augmentation.trim import Trim
from data_utils.augmentation.volume import Volume
from data_utils.features import from_power, power_spectrum, prepare
from data_utils.settings import FeatureSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

Wave = NDArray[np.float32]

FEATURES = FeatureSettings(feature_type="linear")


def plot_effects(output_dir: str) -> list[Path]:
    """Draw one picture per effect, `augmentation_<effect>.png`, before and after.

    Args:
        output_dir: folder of the pictures, made if needed.

    Returns:
        The files written.

    Raises:
        InputError: a picture cannot be written there.
    """
    folder = Path(output_dir)
    voice = prepare(voice_like(), FEATURES)
    with tempfile.TemporaryDirectory() as place:
        noise = _manifest(Path(place), "noise", noise_like())
        room = _manifest(Path(place), "impulse", room_like())
        effects: list[tuple[Effect[Any], str]] = [
            (Noise(min_snr_dB=5, max_snr_dB=5, noise_manifest_path=noise), "5 dB below the voice"),
            (Speed(min_speed_rate=1.25, max_speed_rate=1.25), "1.25 times faster"),
            (Shift(min_shift_ms=250, max_shift_ms=250), "250 ms later"),
            (Volume(min_gain_dBFS=-15, max_gain_dBFS=-15), "15 dB softer"),
            (Trim(min_pause_ms=0, max_pause_ms=0), "nothing left of the pauses at its ends"),
            (Resample(new_sample_rate=8000), "by way of 8 kHz"),
            (Impulse(impulse_manifest_path=room), "in a room that echoes for 0.5 s"),
            (SpecAugment(F=20, T=30, W=50), "warp, 2 masks of bins, 2 of frames"),
        ]
        return [_picture(folder, effect, title, voice) for effect, title in effects]


def voice_like() -> Wave:
    """Four syllables in the four Mandarin tones: float32 `[samples]` at 16 kHz, 2.4 s."""
    tones = [(210, 210, 210), (150, 170, 220), (160, 110, 170), (230, 170, 110)]  # Hz
    vowels = [((800, 1250, 2600), (350, 2200, 2900)), ((350, 800, 2500), (800, 1250, 2600))]
    rng = np.random.default_rng(0)
    parts = [np.zeros(int(0.1 * SAMPLE_RATE))]
    for number, tone in enumerate(tones):
        begin, end = vowels[number % 2]
        hiss = rng.standard_normal(int(0.09 * SAMPLE_RATE))
        hiss = np.diff(hiss, n=3, prepend=[0.0, 0.0, 0.0]) * 0.02  # high frequencies, as in s
        hiss *= np.hanning(len(hiss))
        parts += [hiss, _vowel(tone, begin, end), np.zeros(int(0.14 * SAMPLE_RATE))]
    samples = np.concatenate(parts)
    floor = rng.standard_normal(len(samples)) * 3e-4
    return (samples + floor).astype(np.float32)


def _vowel(
    tone: tuple[float, ...], begin: tuple[float, ...], end: tuple[float, ...]
) -> NDArray[np.float64]:
    """0.35 s of harmonics of `tone` (Hz), formants gliding from `begin` to `end` (Hz)."""
    share = np.linspace(0, 1, int(0.35 * SAMPLE_RATE))
    pitch = np.interp(share, [0, 0.5, 1], tone)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    samples = np.zeros_like(share)
    for harmonic in range(1, 70):
        frequency = harmonic * pitch
        resonance = np.full_like(share, 0.01)
        for first, last in zip(begin, end, strict=True):
            formant = first + (last - first) * share
            resonance += 1 / (1 + ((frequency - formant) / 90) ** 2)
        audible = frequency < SAMPLE_RATE / 2
        samples += audible * resonance * np.sin(harmonic * phase) / harmonic**0.7
    return samples * np.hanning(len(share)) ** 0.4 * 0.2


def noise_like() -> Wave:
    """A hum with hiss that swells twice a second: float32 `[samples]` at 16 kHz, 4 s."""
    count = 4 * SAMPLE_RATE
    time = np.arange(count) / SAMPLE_RATE
    hiss = np.random.default_rng(1).standard_normal(count) * (1 + 0.8 * np.sin(4 * np.pi * time))
    hum = sum(np.sin(2 * np.pi * 240 * k * time) / k for k in range(1, 12))
    return (0.05 * hiss + 0.05 * hum).astype(np.float32)


def room_like() -> Wave:
    """A direct sound and noise that falls by 60 dB in 0.5 s: float32 `[samples]` at 16 kHz."""
    time = np.arange(int(0.5 * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(2).standard_normal(len(time)) * 10 ** (-60 / 20 * time / 0.5)
    response *= 0.08
    response[0] = 1.0
    return response.astype(np.float32)


def _manifest(folder: Path, name: str, samples: Wave) -> str:
    import soundfile

    audio, manifest = folder / f"{name}.wav", folder / f"manifest.{name}"
    soundfile.write(audio, samples, SAMPLE_RATE, subtype="FLOAT")
    line = {"audio_filepath": str(audio), "duration": len(samples) / SAMPLE_RATE}
    manifest.write_text(json.dumps(line), encoding="utf-8")
    return str(manifest)


def _picture(folder: Path, effect: Effect[Any], title: str, voice: Wave) -> Path:
    from matplotlib.figure import Figure

    rng = np.random.default_rng(6)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    if effect.domain == "wave":
        heights = [1, 3]
        waves = [voice, effect(voice, rng)]
        columns = [_decibels(wave) for wave in waves]
        span = (-105.0, -35.0)
    else:
        heights = [1]
        waves = []
        columns = [_standardized(_decibels(voice))]
        columns.append(effect(columns[0], rng))
        span = (-2.5, 2.5)
    axes = figure.subplots(
        len(heights), 2, squeeze=False, sharex="all", sharey="row", height_ratios=heights
    )
    for column, wave in enumerate(waves):
        _draw_wave(axes[0, column], wave)
    for column, features in enumerate(columns):
        image = _draw_features(axes[-1, column], features, span)
        axes[0, column].set_title(["before", f"{effect.name}: {title}"][column], fontsize=11)
    longest = max(map(len, columns))
    axes[-1, 0].set(ylabel="frequency (kHz)", xlim=(0, longest * FEATURES.hop_ms / 1000))
    unit = "dB" if effect.domain == "wave" else "standard deviations"
    figure.colorbar(image, ax=axes[-1, :], label=unit, pad=0.01)
    path = folder / f"augmentation_{effect.name}.png"
    _save(figure, path)
    return path


def _save(figure: "Figure", path: Path) -> None:
    """Write a PNG of 128 colours: half of the bytes, and the eye sees no difference."""
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    with Image.open(drawn) as picture, write_atomically(path) as (temporary,):
        picture.convert("RGB").quantize(128).save(temporary, format="png", optimize=True)


def _decibels(samples: Wave) -> Wave:
    """What the network is given, natural logarithms, in dB: `[frames, bins]`."""
    return from_power(power_spectrum(samples, FEATURES), FEATURES) * np.float32(10 / np.log(10))


def _standardized(features: Wave) -> Wave:
    return (features - features.mean(axis=0)) / features.std(axis=0)


def _draw_wave(axes: "Axes", samples: Wave) -> None:
    step = SAMPLE_RATE // 200  # 5 ms: about a pixel
    slices = samples[: len(samples) // step * step].reshape(-1, step)
    seconds = np.arange(len(slices)) * step / SAMPLE_RATE
    axes.fill_between(seconds, slices.min(axis=1), slices.max(axis=1), color="#50127b", linewidth=0)
    axes.set_yticks([])


def _draw_features(axes: "Axes", features: Wave, span: tuple[float, float]) -> "AxesImage":
    seconds = len(features) * FEATURES.hop_ms / 1000
    axes.set_xlabel("time (s)")
    return axes.imshow(
        features.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=span[0],
        vmax=span[1],
        extent=(0, seconds, 0, SAMPLE_RATE / 2000),
        interpolation="nearest",
    )
