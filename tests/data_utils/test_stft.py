"""There and back again: the error, the geometry, and blocks in place of the whole."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.stft import Stft, num_frames, spectrum

GEOMETRIES = [Stft(320, 160, 320), Stft(512, 256, 512), Stft(4096, 1024, 4096)]
ODD = [Stft(8, 1, 3), Stft(9, 2, 5), Stft(16, 3, 10), Stft(512, 160, 320), Stft(7, 2, 7)]


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype("f4")


def voiced(count: int) -> np.ndarray:
    """Pulses of 120 Hz through two resonances, in syllables with silence between."""
    time = np.arange(count) / 16000
    wave = scipy.signal.sawtooth(2 * np.pi * 120 * time)
    for hz in (600, 1700):
        pole = 0.97 * np.exp(2j * np.pi * hz / 16000)
        wave = scipy.signal.lfilter([1], [1, -2 * pole.real, abs(pole) ** 2], wave)
    return (0.01 * wave * np.maximum(0, np.sin(2 * np.pi * 3 * time))).astype("f4")


def error_db(found: np.ndarray, expected: np.ndarray) -> float:
    wave = expected.astype("f8")
    return 10 * np.log10(np.sum((found - wave) ** 2) / np.sum(wave**2) + 1e-20)


def pieces(array: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(array, np.cumsum(sizes).clip(max=len(array)))


@pytest.mark.parametrize("stft", [*GEOMETRIES, *ODD], ids=str)
@pytest.mark.parametrize("signal", [noise, voiced], ids=["noise", "voiced"])
def test_there_and_back(stft: Stft, signal) -> None:
    for count in (stft.win_length - 1, stft.win_length, 16001):
        wave = signal(count)
        frames = stft.forward(wave)
        assert frames.dtype == np.complex64
        assert frames.shape == (stft.num_frames(count), stft.bins)
        back = stft.inverse(frames, count)
        assert back.dtype == np.float32 and back.shape == (count,)
        assert error_db(back, wave) < -100


@pytest.mark.parametrize("stft", GEOMETRIES, ids=str)
@given(count=st.integers(1, 12000), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_there_and_back_for_any_length(stft: Stft, count: int, seed: int) -> None:
    wave = noise(count, seed)
    assert error_db(stft.inverse(stft.forward(wave), count), wave) < -100


@pytest.mark.parametrize("stft", GEOMETRIES, ids=str)
def test_the_first_and_the_last_sample_are_as_good_as_those_between(stft: Stft) -> None:
    wave = np.zeros(9000, "f4")
    wave[0] = wave[-1] = 1.0
    back = stft.inverse(stft.forward(wave), len(wave))
    assert np.abs(back - wave).max() < 1e-6


@given(
    win_length=st.integers(3, 40),
    longer=st.integers(0, 8),
    hop=st.integers(1, 20),
    count=st.integers(1, 200),
)
def test_every_geometry_covers_every_sample(
    win_length: int, longer: int, hop: int, count: int
) -> None:
    stft = Stft(win_length + longer, min(hop, win_length // 2), win_length)
    wave = noise(count)
    assert error_db(stft.inverse(stft.forward(wave), count), wave) < -100


@pytest.mark.parametrize("stft", [*GEOMETRIES, *ODD], ids=str)
@pytest.mark.parametrize("count", [1, 5000, 16001])
def test_its_frames_are_those_of_features(stft: Stft, count: int) -> None:
    wave = noise(count)
    whole = num_frames(count, stft.win_length, stft.hop_length)
    ours = stft.forward(wave)[stft.lead : stft.lead + whole]
    assert len(ours) == whole
    if whole:
        assert np.array_equal(ours, spectrum(wave, stft.win_length, stft.hop_length, stft.n_fft))


def test_a_changed_spectrum_gives_the_nearest_wave() -> None:
    # The wave minimises sum |spectrum(wave) - changed|^2: no step in any direction lowers it.
    stft = Stft(16, 4, 16)
    rng = np.random.default_rng(3)
    changed = stft.forward(noise(60)) * rng.uniform(0, 1, (stft.num_frames(60), 9))
    best = stft.inverse(changed.astype("c8"), 60).astype("f8")
    # The same least squares by hand: every sample's windowed frames as rows of one matrix.
    rows, targets = [], []
    waves = np.fft.irfft(changed, 16, axis=1)
    for index, wave in enumerate(waves):
        for offset in range(16):
            sample = 4 * (index - stft.lead) + offset
            row = np.zeros(60)
            if 0 <= sample < 60:
                row[sample] = np.hanning(16)[offset]
            rows.append(row)
            targets.append(wave[offset])
    expected = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    assert np.allclose(best, expected, atol=1e-6)


@pytest.mark.parametrize("stft", [Stft(320, 160, 320), Stft(64, 16, 64), Stft(16, 3, 10)], ids=str)
@given(
    count=st.integers(0, 3000),
    sizes=st.lists(st.integers(0, 700), max_size=8),
    cuts=st.lists(st.integers(0, 20), max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_blocks_give_the_bits_of_the_whole(
    stft: Stft, count: int, sizes: list[int], cuts: list[int]
) -> None:
    wave = noise(count)
    frames = stft.forward(wave)
    blocks = list(stft.forward_blocks(iter(pieces(wave, sizes))))
    assert all(block.dtype == np.complex64 for block in blocks)
    assert np.array_equal(np.concatenate([frames[:0], *blocks]), frames)
    whole = stft.inverse(frames, count)
    for length in (count, None):
        parts = np.concatenate([whole[:0], *stft.inverse_blocks(pieces(frames, cuts), length)])
        assert parts.dtype == np.float32
        assert np.array_equal(parts[:count], whole)
        assert 0 <= len(parts) - count < (1 if length is not None else stft.hop_length)


def test_blocks_come_as_soon_as_they_are_whole() -> None:
    stft = Stft(320, 160, 320)
    given_so_far = 0

    def blocks():
        nonlocal given_so_far
        for _ in range(50):
            given_so_far += 1600
            yield noise(1600)

    returned = 0
    for part in stft.inverse_blocks(stft.forward_blocks(blocks())):
        returned += len(part)
        assert returned >= given_so_far - stft.win_length
    assert returned == 80000


def test_nothing() -> None:
    stft = Stft(320, 160, 320)
    empty = np.zeros(0, "f4")
    assert stft.num_frames(0) == 0
    assert stft.forward(empty).shape == (0, 161)
    assert stft.inverse(stft.forward(empty), 0).shape == (0,)
    assert not list(stft.forward_blocks([empty]))


@pytest.mark.parametrize("sizes", [(320, 161, 320), (320, 0, 320), (256, 100, 320), (4, 1, 2)])
def test_geometries_without_an_inverse_are_ours_to_avoid(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(AssertionError):
        Stft(*sizes)
