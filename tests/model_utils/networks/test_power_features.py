"""Features with gradients: those of `data_utils.features`, whatever stands in the padding."""

import numpy as np
import paddle
import pytest

from data_utils import features
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings
from model_utils.networks.power_features import PowerFeatures

SETTINGS = [
    FeatureSettings("linear"),
    FeatureSettings("linear", window_ms=25.0, noise_floor_db=-70.0),
    FeatureSettings("fbank"),
    FeatureSettings("fbank", num_mel_bins=23, noise_floor_db=-70.0),
    FeatureSettings("mfcc"),
    FeatureSettings("mfcc", noise_floor_db=-70.0),
]
NAMES = [f"{s.feature_type} {s.noise_floor_db}" for s in SETTINGS]


def normalizer(settings: FeatureSettings) -> Normalizer:
    rng = np.random.default_rng(1)
    bins = features.num_bins(settings)
    return Normalizer(5 * rng.standard_normal(bins) - 10, 0.5 + rng.random(bins), settings)


def powers(settings: FeatureSettings, *lengths: int) -> list[np.ndarray]:
    """Of noise that grows from nothing, with a pause of zeros where it is long enough."""
    rng = np.random.default_rng(0)
    waves = []
    for length in lengths:
        wave = (0.1 * rng.standard_normal(length) * np.linspace(0, 1, length) ** 3).astype("f4")
        wave[3000:4000] = 0
        waves.append(wave)
    return [features.power_spectrum(wave, settings) for wave in waves]


def padded(parts: list[np.ndarray], filling: float) -> tuple[np.ndarray, np.ndarray]:
    frames = np.array([len(part) for part in parts])
    batch = np.full((len(parts), frames.max(), parts[0].shape[1]), filling, np.float32)
    for row, part in enumerate(parts):
        batch[row, : len(part)] = part
    return batch, frames


@pytest.mark.parametrize("filling", [0.0, 3.0])
@pytest.mark.parametrize("settings", SETTINGS, ids=NAMES)
def test_they_are_those_of_the_data_side(settings: FeatureSettings, filling: float) -> None:
    norm = normalizer(settings)
    layer = PowerFeatures(settings, norm)
    parts = powers(settings, 9000, 4000, 720, 400)
    batch, frames = padded(parts, filling)
    found = layer(paddle.to_tensor(batch), paddle.to_tensor(frames)).numpy()
    assert found.dtype == np.float32 and np.isfinite(found).all()
    for row, part in enumerate(parts):
        expected = norm(features.from_power(part, settings))
        assert np.abs(found[row, : len(part)] - expected).max() < 1e-4
    assert not layer.state_dict() and not layer.parameters()


@pytest.mark.parametrize("settings", SETTINGS, ids=NAMES)
def test_gradients_are_those_of_small_differences(settings: FeatureSettings) -> None:
    layer = PowerFeatures(settings, normalizer(settings))
    rng = np.random.default_rng(2)
    power = (
        1e-6 * np.exp(rng.standard_normal((2, 7, features.fft_length(settings) // 2 + 1)))
    ).astype("f4")
    frames = paddle.to_tensor(np.array([7, 5]))
    weights = rng.standard_normal((2, 7, features.num_bins(settings))).astype("f4")
    weights[1, 5:] = 0

    def total(values: np.ndarray) -> float:
        found = layer(paddle.to_tensor(values.astype("f4")), frames).numpy()
        return float(np.sum(found * weights, dtype=np.float64))

    x = paddle.to_tensor(power, stop_gradient=False)
    (layer(x, frames) * paddle.to_tensor(weights)).sum().backward()
    assert not x.grad.numpy()[1, 5:].any(), "nothing comes from the padding"
    direction = power * rng.standard_normal(power.shape)
    small = 1e-2
    expected = (total(power + small * direction) - total(power - small * direction)) / (2 * small)
    assert np.sum(x.grad.numpy() * direction) == pytest.approx(expected, rel=5e-3, abs=5e-2)
