"""A front end: its masks fall on the recogniser's own frames, or it goes through the wave."""

from pathlib import Path

import numpy as np
import paddle
import pytest

from data_utils import features
from data_utils.audio import SAMPLE_RATE
from data_utils.enhancement.settings import SpectrumSettings
from data_utils.separation.settings import STEMS, SongSettings
from data_utils.settings import FeatureSettings
from inference.front_end import FrontEnd, at_bins
from model_utils.enhancer import Enhancer
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.separator import Separator
from model_utils.trainer.checkpoint import Checkpoint, weights_of

SETTINGS = [
    FeatureSettings(feature_type="linear"),
    FeatureSettings(feature_type="fbank"),
    FeatureSettings(feature_type="mfcc"),
]
SAMPLES = (0.1 * np.random.default_rng(0).standard_normal(9000)).astype(np.float32)


def saved(description: Enhancer | Separator) -> Checkpoint:
    paddle.seed(0)
    weights = {name: value.numpy() for name, value in weights_of(description.build()).items()}
    return Checkpoint(Path("front.pdparams"), weights, None, {"epoch": 1, **description.describe()})


def enhancer(rate: int = SAMPLE_RATE, window: int = 320) -> Checkpoint:
    spectrum = SpectrumSettings(rate, window, window // 2, window)
    network = MaskNetworkSettings(network="lstm", d_model=8, n_level=1)
    return saved(Enhancer(spectrum, complete(network, spectrum)))


def separator(length: int = 320) -> Checkpoint:
    songs = SongSettings(
        sample_rate=SAMPLE_RATE, frame_length=length, frame_step=length // 2, T=64, F=128
    )
    return saved(Separator(songs))


MODELS = {
    "enhancer": enhancer,
    "separator": separator,
    "another window": lambda: enhancer(window=512),
    "another rate": lambda: enhancer(rate=22050, window=512),
}


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.feature_type)
@pytest.mark.parametrize("name", MODELS)
def test_all_of_the_signal_kept_is_no_front_end(name: str, settings: FeatureSettings) -> None:
    front = FrontEnd(MODELS[name](), settings, observation=1.0)
    assert front.shares_frames == (name in ("enhancer", "separator"))
    plain = features.power_spectrum(SAMPLES, settings)
    assert np.allclose(front.power(SAMPLES), plain, rtol=1e-4, atol=1e-10)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.feature_type)
@pytest.mark.parametrize("name", MODELS)
def test_less_of_it_kept_changes_what_is_heard(name: str, settings: FeatureSettings) -> None:
    plain = features.power_spectrum(SAMPLES, settings)
    found = [FrontEnd(MODELS[name](), settings, kept).power(SAMPLES) for kept in (0.5, 0.0)]
    assert all(one.shape == plain.shape and np.isfinite(one).all() for one in found)
    assert plain.sum() > found[0].sum() > found[1].sum()


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.feature_type)
def test_masks_fall_on_the_recognisers_frames(
    settings: FeatureSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mask that is the magnitude of the frame it was made of, as the network hears it."""
    front = FrontEnd(enhancer(), settings, observation=0.1)
    monkeypatch.setattr(front.model, "speech_masks", front.model.hearing.magnitudes)
    gain = 10 ** (-25 / 20) / np.sqrt(np.mean(SAMPLES.astype(float) ** 2))
    plain = features.power_spectrum(SAMPLES, settings)
    window = np.hanning(320)
    for frame in (0, 1, 17, len(plain) - 1):
        spectrum = gain * np.abs(np.fft.rfft(window * SAMPLES[160 * frame : 160 * frame + 320]))
        kept = 0.1 + 0.9 * np.interp(
            np.linspace(0, 1, plain.shape[1]), np.linspace(0, 1, 161), spectrum
        )
        assert np.allclose(front.power(SAMPLES)[frame], plain[frame] * kept**2, rtol=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_several_shares_take_one_run_of_the_network(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = (0.0, 0.3, 1.0)
    expected = [FrontEnd(MODELS[name](), SETTINGS[1], share).power(SAMPLES) for share in shares]
    front = FrontEnd(MODELS[name](), SETTINGS[1], observation=0.7)
    of_model = "speech_masks" if front.shares_frames else "speech"
    compute, runs = getattr(front.model, of_model), []

    def counted(heard: np.ndarray) -> np.ndarray:
        runs.append(len(heard))
        return compute(heard)

    monkeypatch.setattr(front.model, of_model, counted)
    assert all(map(np.array_equal, front.powers(SAMPLES, shares), expected))
    assert len(runs) == 1


@pytest.mark.parametrize("frame_length", [320, 512])
def test_a_separators_front_end_hears_the_vocals(
    frame_length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fifth of every magnitude is theirs: a 25th of the power, by masks or through the wave."""
    front = FrontEnd(separator(frame_length), SETTINGS[0], observation=0.0)
    assert front.shares_frames == (frame_length == 320)

    def shares(heard: np.ndarray) -> np.ndarray:
        of = {"vocals": 0.2, "accompaniment": 0.8}
        shape = len(heard), front.model.masking.stft.bins
        return np.stack([np.full(shape, of[name], np.float32) for name in STEMS])

    monkeypatch.setattr(front.model, "shares", shares)
    plain = features.power_spectrum(SAMPLES, SETTINGS[0])
    assert np.allclose(front.power(SAMPLES), 0.04 * plain, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("count", [161, 257, 129])
def test_bins_are_interpolated_from_0_hz_to_half_the_rate(count: int) -> None:
    hertz = np.linspace(0, 8000, 161)
    masks = np.stack([hertz / 8000, 1 - hertz / 8000]).astype(np.float32)
    expected = np.linspace(0, 1, count)
    assert np.allclose(at_bins(masks, count), [expected, 1 - expected], atol=1e-6)
