"""Noisy speech: what is drawn, what comes out, and what is left out."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils import excerpts
from data_utils.audio import AudioError, level_db
from data_utils.cache import RecordingCache
from data_utils.enhancement import dataset as dataset_module
from data_utils.enhancement.dataset import NoisyPairs, NoisySpeech
from data_utils.enhancement.lists import RecordingList, read_list
from data_utils.enhancement.settings import SpectrumSettings
from data_utils.loader import Loader
from data_utils.masks import ideal_mask
from data_utils.mixing import LEVEL_DB
from data_utils.settings import StoreSettings
from data_utils.stft import Stft
from data_utils.store import Store, write_store

RATE = 8000
SPECTRUM = SpectrumSettings(sample_rate=RATE, n_fft=64, hop_length=32, win_length=64)
STFT = Stft(64, 32, 64)
SPEECH_HZ, NOISE_HZ = (437.5, 562.5, 687.5), (2250.0, 2625.0)


def tone(hz: float, seconds: float, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype("f4")


def listed(folder: Path, name: str, waves: list[np.ndarray]) -> RecordingList:
    lines = []
    for number, wave in enumerate(waves):
        audio = folder / f"{name}{number}.wav"
        soundfile.write(audio, wave, RATE, subtype="FLOAT")
        lines.append(str(audio))
    path = folder / f"{name}.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return read_list(path)


@pytest.fixture
def speech(tmp_path: Path) -> RecordingList:
    lengths = (0.5, 0.3, 0.004)  # the last one is shorter than a frame
    return listed(tmp_path, "s", [tone(*pair) for pair in zip(SPEECH_HZ, lengths, strict=True)])


@pytest.fixture
def noises(tmp_path: Path) -> RecordingList:
    rng = np.random.default_rng(1)
    waves = [rng.normal(0, level, round(n * RATE)) for level, n in ((0.3, 0.2), (0.01, 2.0))]
    return listed(tmp_path, "n", waves)


def energy(wave: np.ndarray) -> float:
    return float(np.sum(wave.astype("f8") ** 2))


# Examples to train on


def test_an_example_is_a_mixture_at_one_of_the_ratios(
    speech: RecordingList, noises: RecordingList
) -> None:
    data = NoisySpeech(speech, noises, (-5.0, 0.0), SPECTRUM, seed=3)
    found = set()
    for epoch in range(1, 41):
        example = data.arrays(0, epoch)
        assert set(example) == set(data.fields()) == {"noisy", "clean", "mask"}
        for values in example.values():
            assert values.dtype == np.float32 and values.shape == (STFT.num_frames(4000), 33)
        # The speech is a tone: its bins are known, and so is how loud it was made.
        original = np.abs(STFT.forward(tone(SPEECH_HZ[0], 0.5)))
        gain = example["clean"].sum() / original.sum()
        assert np.allclose(example["clean"], gain * original, atol=1e-5)
        # Level of the mixture: -25 dB is the sum of both powers.
        speech_power = gain**2 * 0.1**2 / 2
        noise_power = 10 ** (LEVEL_DB / 10) - speech_power
        found.add(round(10 * np.log10(speech_power / noise_power)))
    assert found == {-5, 0}


@pytest.mark.parametrize("mask", ["irm", "ratio", "ibm", "psm"])
def test_the_mask_is_that_of_what_was_mixed(
    speech: RecordingList, noises: RecordingList, mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixed = []
    mix = dataset_module.mix
    monkeypatch.setattr(
        dataset_module, "mix", lambda *args: mixed.append((args, mix(*args))) or mixed[-1][1]
    )
    spectrum = SpectrumSettings(RATE, 64, 32, 64, mask)
    example = NoisySpeech(speech, noises, (0.0,), spectrum).arrays(0, 0)
    [((clean, _, snr_db), (mixture, noise))] = mixed
    assert snr_db == 0.0
    parts = STFT.forward(clean), STFT.forward(noise)
    expected = ideal_mask(mask, *parts)
    # Far from both tones there is but the rounding of the wave, and a mask of that is chance.
    heard = np.abs(parts[0]) + np.abs(parts[1]) > 1e-3
    assert heard.mean() > 0.3
    assert np.allclose(example["mask"][heard], expected[heard], atol=1e-3)
    gain = 10 ** ((LEVEL_DB - level_db(mixture)) / 20)
    noisy = np.abs(STFT.forward(mixture)) * gain
    assert np.allclose(example["noisy"], noisy, atol=1e-5)


def test_draws_follow_from_seed_epoch_and_recording_alone(
    speech: RecordingList, noises: RecordingList
) -> None:
    def noisy(index: int, epoch: int, seed: int = 0, **more: object) -> bytes:
        data = NoisySpeech(speech, noises, (-5.0, 0.0, 5.0), SPECTRUM, seed=seed, **more)
        return data.batch([index], epoch).noisy.tobytes()

    once = noisy(0, 1)
    assert noisy(0, 1) == once
    assert noisy(0, 1, cache=RecordingCache(1 << 20)) == once
    assert len({once, noisy(0, 2), noisy(0, 1, seed=1), noisy(0, 0)}) == 4
    data = NoisySpeech(speech, noises, (-5.0, 0.0, 5.0), SPECTRUM)
    data.batch([1, 2, 0], 7)
    again = pickle.loads(pickle.dumps(data)).batch([1, 0], 1)
    assert again.noisy[1, : again.frames[1]].tobytes() == once


def test_every_noise_is_drawn_short_ones_repeated(speech: RecordingList, tmp_path: Path) -> None:
    noises = listed(tmp_path, "t", [tone(NOISE_HZ[0], 0.032), tone(NOISE_HZ[1], 1.0)])
    data = NoisySpeech(speech, noises, (0.0,), SPECTRUM)
    bins = [round(hz / RATE * 64) for hz in NOISE_HZ]
    loudest = set()
    for epoch in range(40):
        noise = data.arrays(0, epoch)["noisy"][2:-2, 10:]
        peaks = noise.argmax(axis=1) + 10
        assert len(set(peaks.tolist())) == 1, "one noise from the first frame to the last"
        loudest.add(int(peaks[0]))
    assert loudest == set(bins)


def test_longer_recordings_are_cropped_at_random(tmp_path: Path, noises: RecordingList) -> None:
    rising = np.concatenate([tone(hz, 0.25) for hz in (500.0, 1000.0, 1500.0, 2000.0)])
    speech = listed(tmp_path, "r", [rising, tone(500.0, 0.1)])
    data = NoisySpeech(speech, noises, (40.0,), SPECTRUM, crop_seconds=0.25)
    assert data.durations.tolist() == [np.float32(0.25), np.float32(0.1)]
    heard = set()
    for epoch in range(60):
        clean = data.arrays(0, epoch)["clean"]
        assert len(clean) == STFT.num_frames(2000)
        heard |= set(clean[2:-2].argmax(axis=1).tolist())
    assert {4, 8, 12, 16} <= heard
    assert len(data.arrays(1, 0)["clean"]) == STFT.num_frames(800)


def test_of_a_long_recording_only_the_part_is_read(
    tmp_path: Path, noises: RecordingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = listed(tmp_path, "l", [tone(500.0, 3.0)])
    monkeypatch.setattr(excerpts, "CACHED_SECONDS", 2.5)
    read, seconds = excerpts.read_audio, []

    def measured(path: str, **part: float) -> object:
        audio = read(path, **part)
        seconds.append((Path(path).name[0], audio.duration))
        return audio

    monkeypatch.setattr(excerpts, "read_audio", measured)
    NoisySpeech(speech, noises, (0.0,), SPECTRUM, crop_seconds=0.5).arrays(0, 0)
    [cropped] = [length for name, length in seconds if name == "l"]
    assert cropped == pytest.approx(0.5, abs=0.01)


def test_silent_parts_are_drawn_again(tmp_path: Path) -> None:
    gap = np.zeros(RATE, "f4")
    speech = listed(tmp_path, "g", [np.concatenate([gap, tone(500.0, 0.5)])])
    noises = listed(tmp_path, "z", [gap, np.concatenate([gap, tone(2500.0, 0.5)])])
    data = NoisySpeech(speech, noises, (0.0,), SPECTRUM, crop_seconds=0.25)
    for epoch in range(8):
        example = data.arrays(0, epoch)
        assert example["clean"].max() > 0.1
        assert example["noisy"][:, 16:24].max() > 0.1


# Batches


@given(st.lists(st.integers(0, 2), max_size=5), st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_batches_are_padded_to_the_longest(
    shared: NoisySpeech, indices: list[int], epoch: int
) -> None:
    batch = shared.batch(indices, epoch)
    assert len(batch) == len(indices) == len(batch.frames)
    assert batch.items == indices and not batch.problems
    longest = max((STFT.num_frames((4000, 2400, 32)[i]) for i in indices), default=0)
    for name in ("noisy", "clean", "mask"):
        array = getattr(batch, name)
        assert array.shape == (len(indices), longest, 33) and array.dtype == np.float32
        for row, index in enumerate(indices):
            frames = int(batch.frames[row])
            assert np.array_equal(array[row, :frames], shared.arrays(index, epoch - 1)[name])
            assert not array[row, frames:].any()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> NoisySpeech:
    folder = tmp_path_factory.mktemp("shared")
    speech = listed(folder, "s", [tone(500.0, n / RATE) for n in (4000, 2400, 32)])
    noises = listed(folder, "n", [np.random.default_rng(0).normal(0, 0.1, 9000)])
    return NoisySpeech(speech, noises, (-5.0, 0.0), SPECTRUM)


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path, noises: RecordingList) -> None:
    waves = [tone(500.0, 0.2), tone(500.0, 0.2), np.zeros(1600, "f4"), tone(500.0, 0.3)]
    speech = listed(tmp_path, "s", waves)
    Path(speech[1].audio).unlink()
    batch = NoisySpeech(speech, noises, (0.0,), SPECTRUM).batch(range(4), 1)
    assert batch.items == [0, 3] and batch.frames.tolist() == [51, 76]
    where = tmp_path / "s.txt"
    assert batch.problems == [
        f"{where}:2: {speech[1].audio}: file not found",
        f"{where}:3: {speech[2].audio}: silent (below -80 dBFS)",
    ]
    empty = NoisySpeech(speech, noises, (0.0,), SPECTRUM).batch([1], 1)
    assert len(empty) == 0 and empty.mask.shape == (0, 0, 33)


def test_noises_that_cannot_be_heard(
    speech: RecordingList, noises: RecordingList, tmp_path: Path
) -> None:
    Path(noises[1].audio).unlink()
    one_left = NoisySpeech(speech, noises, (0.0,), SPECTRUM)
    assert len(one_left.batch([0, 1], 1)) == 2
    silent = listed(tmp_path, "q", [np.zeros(800, "f4")])
    with pytest.raises(
        AudioError, match=r"q\.txt:1: 100 draws from this list were damaged or silent"
    ):
        NoisySpeech(speech, silent, (0.0,), SPECTRUM).arrays(0, 0)


def test_the_same_batches_from_a_store(
    speech: RecordingList, noises: RecordingList, tmp_path: Path
) -> None:
    data = NoisySpeech(speech, noises, (-5.0, 0.0, 5.0), SPECTRUM)
    stored = StoreSettings(str(tmp_path / "store"), "float32", 3)
    write_store(data, stored, {"a": 1}, num_workers=0)
    store = Store.open(stored.store_dir, {"a": 1}, stored)
    fast = NoisySpeech(speech, noises, (-5.0, 0.0, 5.0), SPECTRUM, store=store)
    heard = set()
    for epoch in range(1, 41):
        batch = fast.batch([0], epoch)
        [variant] = [
            v for v in range(3) if np.array_equal(batch.mask[0], data.arrays(0, v)["mask"])
        ]
        heard.add(variant)
        assert np.array_equal(batch.noisy[0], data.arrays(0, variant)["noisy"])
    assert heard == {0, 1, 2}, "another variant from epoch to epoch"


def test_one_variant_is_what_the_first_epoch_hears(
    speech: RecordingList, noises: RecordingList, tmp_path: Path
) -> None:
    data = NoisySpeech(speech, noises, (-5.0, 0.0), SPECTRUM)
    stored = StoreSettings(str(tmp_path / "store"), "float32", 1)
    write_store(data, stored, {}, num_workers=0)
    store = Store.open(stored.store_dir, {}, stored)
    fast = NoisySpeech(speech, noises, (-5.0, 0.0), SPECTRUM, store=store)
    slow, quick = data.batch([0, 1, 2], 1), fast.batch([0, 1, 2], 1)
    assert np.array_equal(slow.noisy, quick.noisy) and np.array_equal(slow.mask, quick.mask)


def test_workers_load_the_same_batches(shared: NoisySpeech) -> None:
    plan = [np.array([0, 2]), np.array([1])]
    expected = [shared.batch(indices, 2) for indices in plan]
    with Loader({"train": shared}, num_workers=1) as loader:
        for batch, direct in zip(loader.batches("train", plan, 2), expected, strict=True):
            assert np.array_equal(batch.noisy, direct.noisy)
            assert np.array_equal(batch.frames, direct.frames)


# Pairs to score with


def test_pairs_are_every_recording_at_every_ratio(
    speech: RecordingList, noises: RecordingList
) -> None:
    ratios = (-5.0, 0.0, 5.0)
    pairs = NoisyPairs(speech, noises, ratios, RATE)
    assert len(pairs) == 9
    assert pairs.durations.tolist() == np.repeat(speech.durations, 3).tolist()
    for index in range(9):
        pair = pairs.pair(index)
        recording, ratio = index // 3, ratios[index % 3]
        assert (pair.name, pair.snr_db) == (speech[recording].audio, ratio)
        assert pairs.where(index) == f"{speech.where(recording)} at {ratio:g} dB"
        noise = pair.noisy - pair.clean
        assert 10 * np.log10(energy(pair.clean) / energy(noise)) == pytest.approx(ratio, abs=0.01)
        assert level_db(pair.noisy) == pytest.approx(LEVEL_DB, abs=0.01)
        original = tone(SPEECH_HZ[recording], float(speech.durations[recording]))
        assert np.allclose(pair.clean / pair.clean.max(), original / original.max(), atol=1e-4)
    # Nothing but the ratio differs between the three mixtures of a recording.
    quiet, loud = (pair.noisy - pair.clean for pair in (pairs.pair(2), pairs.pair(0)))
    assert np.allclose(quiet / energy(quiet) ** 0.5, loud / energy(loud) ** 0.5, atol=1e-4)


def test_pairs_are_the_same_in_every_epoch(speech: RecordingList, noises: RecordingList) -> None:
    pairs = NoisyPairs(speech, noises, (0.0, 5.0), RATE, cache=RecordingCache(1 << 20))
    Path(speech[1].audio).unlink()
    first, second = pairs.batch(range(6), 1), pairs.batch(range(6), 2)
    assert first.items == [0, 1, 4, 5] and len(first) == 4
    assert [p.noisy.tobytes() for p in first.pairs] == [p.noisy.tobytes() for p in second.pairs]
    gone = f"{speech[1].audio}: file not found"
    assert first.problems == [f"{pairs.where(index)}: {gone}" for index in (2, 3)]
    other = NoisyPairs(speech, noises, (0.0, 5.0), RATE, seed=1).batch([0])
    assert other.pairs[0].noisy.tobytes() != first.pairs[0].noisy.tobytes()
