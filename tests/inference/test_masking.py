"""Masks on recordings, block by block: as if all had been heard at once."""

import errno
import resource
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.audio import AudioError
from data_utils.errors import InputError
from data_utils.stft import Stft
from inference.masking import Masking, Spectrum, _apart, level_of, read_blocks, write_parts
from model_utils.blocks import Blocks

RATE = 8000
MASKING = Masking(Stft(64, 16, 64), RATE, ("low", "high"), Blocks(24, before=5, behind=3))


def halves(spectrum: Spectrum) -> Spectrum:
    """The lower and the upper half of the bins, which sum to all of them."""
    low = spectrum.copy()
    low[:, 16:] = 0
    return np.stack([low, spectrum - low])


def noise(count: int, channels: int = 1) -> np.ndarray:
    shape = (count, channels) if channels > 1 else count
    return (0.1 * np.random.default_rng(count).standard_normal(shape)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=6))
def test_blocks_give_what_the_whole_gives(sizes: list[int]) -> None:
    samples = noise(sum(sizes))
    blocks = np.split(samples, np.cumsum(sizes)[:-1])
    waves = list(MASKING.waves(blocks, halves))
    found = np.concatenate([np.zeros((2, 0), np.float32), *waves], axis=1)
    spectrum = MASKING.stft.forward(samples)
    expected = [MASKING.stft.inverse(part, len(samples)) for part in halves(spectrum)]
    assert found.shape == (2, len(samples))
    assert np.allclose(found, expected, atol=1e-6)
    assert np.allclose(found.sum(axis=0), samples, atol=1e-6)


def test_a_network_hears_what_is_before_and_behind() -> None:
    """What a frame gets is told by its neighbours: no seam where blocks meet."""
    heard: list[int] = []

    def local(spectrum: Spectrum) -> Spectrum:
        """Each frame's magnitude replaced by the mean over the frames around it."""
        heard.append(len(spectrum))
        padded = np.pad(np.abs(spectrum), ((3, 3), (0, 0)))
        means = sum(padded[i : i + len(spectrum)] for i in range(7)) / 7
        return np.stack([means, means]).astype(np.complex64)

    samples = noise(4000)
    found = np.concatenate(list(MASKING.waves(np.array_split(samples, 9), local)), axis=1)
    assert len(heard) > 10 and max(heard) <= 24
    whole = MASKING.stft.inverse(local(MASKING.stft.forward(samples))[0], len(samples))
    assert np.allclose(found[0], whole, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", ["song.wav", "song.flac"])
def test_files_of_any_channels_sum_to_the_source(channels: int, name: str, tmp_path: Path) -> None:
    source = tmp_path / name
    soundfile.write(source, noise(70_001, channels), RATE, subtype="PCM_16")
    written, _ = soundfile.read(source, dtype="float32", always_2d=True)
    targets = [tmp_path / "out" / "low.wav", tmp_path / "out" / "high.wav"]
    done: list[int] = []
    write_parts(str(source), targets, MASKING, halves, done.append)
    assert sum(done) == 70_001
    parts = [soundfile.read(target, always_2d=True) for target in targets]
    assert [(part.shape, rate) for part, rate in parts] == 2 * [((70_001, channels), RATE)]
    assert np.abs(parts[0][0] + parts[1][0] - written).max() < 1e-5


def test_another_rate_is_brought_to_that_of_the_model(tmp_path: Path) -> None:
    time = np.arange(32_000) / 16_000
    source = tmp_path / "tone.wav"
    soundfile.write(source, 0.3 * np.sin(2 * np.pi * 440 * time), 16_000, subtype="FLOAT")
    found = np.concatenate(list(read_blocks(str(source), 0, RATE)))
    assert abs(len(found) - 16_000) <= 1
    middle = np.arange(2000, 14_000)
    assert np.abs(found[middle] - 0.3 * np.sin(2 * np.pi * 440 * middle / RATE)).max() < 1e-3


def test_what_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "cut.flac"
    soundfile.write(source, noise(200_000), RATE)
    source.write_bytes(source.read_bytes()[:100_000])
    targets = [tmp_path / "low.wav", tmp_path / "high.wav"]
    with pytest.raises((AudioError, InputError), match=r"cut\.flac"):
        write_parts(str(source), targets, MASKING, halves)
    assert [path.name for path in tmp_path.iterdir()] == ["cut.flac"]


@pytest.mark.parametrize("room", [10, 4000])
def test_a_full_disk_is_said_in_one_line(room: int, tmp_path: Path) -> None:
    """Whether there is no room for the header, or for a block."""
    source = tmp_path / "song.wav"
    soundfile.write(source, noise(2000), RATE, subtype="FLOAT")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        refused(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_so_is_one_that_shows_when_the_files_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "song.wav"
    soundfile.write(source, noise(2000), RATE, subtype="FLOAT")
    close = soundfile.SoundFile.close

    def without_room(file: soundfile.SoundFile) -> None:
        is_output = file.mode == "w" and not file.closed
        close(file)
        if is_output:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(soundfile.SoundFile, "close", without_room)
    refused(source)


def refused(source: Path) -> None:
    """Its parts cannot be written beside it, and nothing of them is left."""
    targets = [source.with_name("low.wav"), source.with_name("high.wav")]
    with pytest.raises(InputError, match=rf"^{source.parent}: cannot be written \(.*\)") as error:
        write_parts(str(source), targets, MASKING, halves)
    assert "\n" not in str(error.value)
    assert [path.name for path in source.parent.iterdir()] == [source.name]


def test_values_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    samples = noise(100_000)
    samples[90_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan\.wav: not finite"):
        list(read_blocks(str(tmp_path / "nan.wav"), 0, RATE))


def test_the_level_is_that_of_all_channels(tmp_path: Path) -> None:
    samples = np.stack([np.zeros(8000), 0.1 * np.ones(8000)], axis=1)
    soundfile.write(tmp_path / "right.wav", samples, RATE, subtype="FLOAT")
    assert level_of(str(tmp_path / "right.wav"), RATE) == pytest.approx(-20 - 10 * np.log10(2))
    soundfile.write(tmp_path / "none.wav", 0 * samples, RATE)
    with pytest.raises(AudioError, match=r"none\.wav: silent"):
        level_of(str(tmp_path / "none.wav"), RATE)


def test_parts_that_were_read_are_let_go() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    def spectra() -> Iterator[np.ndarray]:
        for number in range(20):
            block = np.full((2, 3, 4), number, np.complex64)
            alive.append(weakref.ref(block))
            yield block
            del block

    first, second = _apart(spectra(), 2)
    for number, (one, other) in enumerate(zip(first, second, strict=True)):
        assert (one == number).all() and (other == number).all()
        del one, other
        assert sum(reference() is not None for reference in alive) <= 2
    assert number == 19
