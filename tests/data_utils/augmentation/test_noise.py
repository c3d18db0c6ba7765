import json
import logging
from pathlib import Path

import numpy as np
import pytest

from data_utils import excerpts
from data_utils.augmentation.noise import Noise, NoiseParams
from data_utils.errors import InputError


def white(seed: int, count: int) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 0.05).astype(np.float32)


def snr_db(clean: np.ndarray, noisy: np.ndarray) -> float:
    added = noisy.astype(np.float64) - clean
    return 10 * np.log10(np.sum(clean.astype(np.float64) ** 2) / np.sum(added**2))


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("ratio", [-5.0, 10.0, 40.0])
def test_ratio_is_exact(speech, make_manifest, seconds, ratio):
    noise = Noise(
        min_snr_dB=ratio,
        max_snr_dB=ratio,
        noise_manifest_path=make_manifest([white(1, int(seconds * 16000))]),
    )
    noisy = noise(speech, np.random.default_rng(0))
    assert noisy.shape == speech.shape
    assert snr_db(speech, noisy) == pytest.approx(ratio, abs=0.01)


def test_ratio_fills_its_range(make_manifest):
    noise = Noise(min_snr_dB=3, max_snr_dB=9, noise_manifest_path=make_manifest([white(1, 100)]))
    rng = np.random.default_rng(0)
    drawn = [noise.choose(rng, (100,)).snr_db for _ in range(500)]
    assert 3 <= min(drawn) < 3.1 and 8.9 < max(drawn) <= 9


def test_short_noise_is_repeated(speech, make_manifest):
    period = 4800
    noise = Noise(noise_manifest_path=make_manifest([white(1, period)]))
    added = noise.apply(speech, NoiseParams(0, 0.4, 0.0)) - speech
    np.testing.assert_allclose(added[period:], added[:-period], atol=1e-6)
    assert (np.abs(added) > 1e-6).mean() > 0.99


@pytest.mark.parametrize("position", [0.0, 0.5, 0.999999])
def test_part_of_a_long_noise(speech, make_manifest, position):
    long = white(1, 3 * 16000)
    noise = Noise(noise_manifest_path=make_manifest([long]))
    added = noise.apply(speech, NoiseParams(0, position, 0.0)) - speech
    start = int(position * (len(long) - len(speech) + 1))
    part = long[start : start + len(speech)]
    assert np.corrcoef(added, part)[0, 1] > 0.9999


def test_very_long_noise_is_not_read_whole(speech, make_manifest, monkeypatch):
    long = white(1, 3 * 16000)
    noise = Noise(noise_manifest_path=make_manifest([long]))
    monkeypatch.setattr(excerpts, "CACHED_SECONDS", 2.0)
    read, lengths = excerpts.read_audio, []

    def measured(path, **part):
        audio = read(path, **part)
        lengths.append(len(audio.samples))
        return audio

    monkeypatch.setattr(excerpts, "read_audio", measured)
    added = noise.apply(speech, NoiseParams(0, 0.5, 0.0)) - speech
    assert [length // 100 for length in lengths] == [160]
    assert np.corrcoef(added, long[16000:32000])[0, 1] > 0.9999


def test_every_recording_and_every_part_is_drawn(make_manifest):
    noise = Noise(noise_manifest_path=make_manifest([white(n, 100) for n in range(3)]))
    rng = np.random.default_rng(0)
    drawn = [noise.choose(rng, (100,)) for _ in range(300)]
    assert {params.recording for params in drawn} == {0, 1, 2}
    positions = [params.position for params in drawn]
    assert min(positions) < 0.05 and max(positions) > 0.95


def test_silence_is_left_alone(speech, make_manifest):
    noise = Noise(noise_manifest_path=make_manifest([white(1, 16000), np.zeros(16000)]))
    silent = np.zeros_like(speech)
    np.testing.assert_array_equal(noise.apply(silent, NoiseParams(0, 0.0, 10.0)), silent)
    np.testing.assert_array_equal(noise.apply(speech, NoiseParams(1, 0.0, 10.0)), speech)


@pytest.mark.parametrize("fault", ["absent", "text", "empty", "not finite"])
def test_unreadable_recording_is_skipped_and_said_once(speech, make_manifest, caplog, fault):
    manifest = make_manifest([white(1, 16000), np.full(16000, np.nan, np.float32)])
    bad = 0
    audio = Path(json.loads(Path(manifest).read_text().splitlines()[0])["audio_filepath"])
    if fault == "absent":
        audio.unlink()
    elif fault == "text":
        audio.write_text("not a recording")
    elif fault == "empty":
        audio.write_bytes(b"")
    else:
        bad = 1
    noise = Noise(noise_manifest_path=manifest)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            result = noise.apply(speech, NoiseParams(bad, 0.0, 10.0))
            np.testing.assert_array_equal(result, speech)
    assert len(caplog.records) == 1
    assert f"{manifest}:{bad + 1}" in caplog.text


def test_part_of_a_recording_named_by_start_and_end(speech, make_manifest):
    long = white(1, 3 * 16000)
    manifest = Path(make_manifest([long]))
    entry = json.loads(manifest.read_text()) | {"start": 1.0, "end": 2.0, "duration": 1.0}
    manifest.write_text(json.dumps(entry))
    noise = Noise(noise_manifest_path=str(manifest))
    added = noise.apply(speech, NoiseParams(0, 0.0, 0.0)) - speech
    assert np.corrcoef(added, long[16000:32000])[0, 1] > 0.9999


def test_missing_and_empty_manifest(tmp_path):
    path = tmp_path / "manifest.noise"
    noise = Noise(noise_manifest_path=str(path))
    assert noise.unavailable() == f"{path}不存在，已经忽略噪声增强操作！"
    path.touch()
    assert "空" in noise.unavailable()


def test_broken_manifest_names_its_line(tmp_path):
    path = tmp_path / "manifest.noise"
    path.write_text("{broken\n")
    with pytest.raises(InputError, match=f"{path}:1"):
        Noise(noise_manifest_path=str(path)).unavailable()


@pytest.mark.parametrize(
    "params",
    [
        {"min_snr_dB": 20, "max_snr_dB": 10},
        {"min_snr_dB": -200},
        {"max_snr_dB": "50"},
        {"noise_manifest_path": 3},
    ],
)
def test_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        Noise(**params)
