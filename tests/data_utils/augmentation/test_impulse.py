import numpy as np
import pytest

from data_utils.augmentation.impulse import Impulse, ImpulseParams, reverberate
from data_utils.errors import InputError


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


@pytest.mark.parametrize("delay", [0, 1, 400])
@pytest.mark.parametrize("sign", [1, -1])
def test_direct_sound_keeps_its_place(speech, delay, sign):
    response = np.zeros(800, np.float32)
    response[delay] = 0.3 * sign
    np.testing.assert_allclose(reverberate(speech, response), sign * speech, atol=1e-6)


def test_agrees_with_the_definition_of_convolution(speech):
    speech = speech[:500]
    response = np.float32([0.1, 1.0, 0.0, -0.4, 0.2])  # direct sound at 1
    wet = [
        sum(
            float(response[k]) * float(speech[n + 1 - k])
            for k in range(5)
            if 0 <= n + 1 - k < len(speech)
        )
        for n in range(len(speech))
    ]
    expected = np.array(wet) * rms(speech) / rms(np.array(wet))
    np.testing.assert_allclose(reverberate(speech, response), expected, atol=1e-6)


@pytest.mark.parametrize("gain", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("length", [10, 8000, 50000])
def test_length_and_level_stay(speech, gain, length):
    rng = np.random.default_rng(0)
    decay = np.exp(-np.arange(length) / (length / 5))
    response = (gain * decay * rng.standard_normal(length)).astype(np.float32)
    wet = reverberate(speech, response)
    assert wet.shape == speech.shape and wet.dtype == np.float32
    assert rms(wet) == pytest.approx(rms(speech), rel=1e-5)


def test_silence_stays(speech):
    silent = np.zeros_like(speech)
    np.testing.assert_array_equal(reverberate(silent, np.float32([1, 0.5])), silent)
    np.testing.assert_array_equal(reverberate(speech, np.zeros(5, np.float32)), speech)


def test_response_comes_from_the_manifest(speech, make_manifest):
    responses = [np.float32([1.0, 0.5]), np.float32([1.0, 0.0, -0.8])]
    effect = Impulse(impulse_manifest_path=make_manifest(responses))
    for number, response in enumerate(responses):
        wet = effect.apply(speech, ImpulseParams(number))
        np.testing.assert_allclose(wet, reverberate(speech, response), atol=1e-6)
    rng = np.random.default_rng(0)
    assert {effect.choose(rng, (100,)).recording for _ in range(50)} == {0, 1}


def test_missing_manifest_has_its_own_warning(tmp_path):
    path = tmp_path / "manifest.impulse"
    reason = Impulse(impulse_manifest_path=str(path)).unavailable()
    assert reason == f"{path}不存在，已经忽略混响增强操作！"


def test_bad_value():
    with pytest.raises(InputError, match="impulse_manifest_path"):
        Impulse(impulse_manifest_path=None)
