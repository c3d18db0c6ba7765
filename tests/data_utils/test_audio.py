import io
import math
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import data_utils.audio
from data_utils.audio import (
    MAX_GAIN_DB,
    SAMPLE_RATE,
    SILENCE_DB,
    Audio,
    AudioError,
    check_speech,
    length_and_rate,
    level_db,
    loudness_gain,
    normalize_loudness,
    read_audio,
    read_speech,
    resample,
    speech_duration,
)


def tone(rate: int, seconds: float = 1.0, hz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype("f4")


def write(path: Path, samples: np.ndarray, rate: int = SAMPLE_RATE, **format: str) -> Path:
    soundfile.write(path, samples, rate, **format)
    return path


@pytest.mark.parametrize(
    ("name", "format", "tolerance"),
    [
        ("a.wav", {"subtype": "PCM_U8"}, 1 / 128),
        ("a.wav", {"subtype": "PCM_16"}, 1 / 32768),
        ("a.wav", {"subtype": "PCM_24"}, 1e-6),
        ("a.wav", {"subtype": "FLOAT"}, 0),
        ("a.wav", {"subtype": "DOUBLE"}, 0),
        ("a.flac", {}, 1 / 32768),
        ("a.aiff", {}, 1 / 32768),
        ("a.ogg", {}, 0.05),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 0.05),
        ("a.mp3", {}, 0.05),
        ("a.raw", {"format": "WAV"}, 1 / 32768),
    ],
)
def test_every_format_gives_the_samples_that_were_written(
    tmp_path: Path, name: str, format: dict[str, str], tolerance: float
) -> None:
    samples = tone(SAMPLE_RATE)
    path = write(tmp_path / name, samples, **format)
    audio = read_audio(path)
    assert audio.rate == SAMPLE_RATE
    assert audio.samples.dtype == np.float32 and audio.samples.shape == samples.shape
    middle = slice(1000, -1000)  # lossy codecs start and end softly
    assert np.abs(audio.samples - samples)[middle].max() <= tolerance
    assert speech_duration(path) == pytest.approx(1.0)
    assert np.array_equal(read_audio(path.read_bytes()).samples, audio.samples)
    with path.open("rb") as stream:
        assert np.array_equal(read_audio(stream).samples, audio.samples)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_becomes_16_khz(tmp_path: Path, rate: int) -> None:
    audio = read_audio(write(tmp_path / "a.wav", tone(rate), rate, subtype="FLOAT"))
    assert audio.rate == SAMPLE_RATE and audio.duration == pytest.approx(1.0)
    middle = slice(500, -500)
    assert np.allclose(audio.samples[middle], tone(SAMPLE_RATE)[middle], atol=1e-3)


def test_the_rate_of_the_file_can_be_kept(tmp_path: Path) -> None:
    samples = tone(44100)
    audio = read_audio(write(tmp_path / "a.wav", samples, 44100, subtype="FLOAT"), rate=None)
    assert audio.rate == 44100 and np.array_equal(audio.samples, samples)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right, back = tone(SAMPLE_RATE), tone(SAMPLE_RATE, hz=700), tone(SAMPLE_RATE, hz=90)
    stacked = np.stack([left, right, back], axis=1)
    audio = read_audio(write(tmp_path / "a.wav", stacked, subtype="FLOAT"))
    assert np.allclose(audio.samples, (left + right + back) / 3, atol=1e-7)


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    assert level_db(resample(tone(48000, hz=12000), 48000, SAMPLE_RATE)) < -60


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_a_part_is_that_part_of_the_whole(tmp_path: Path, name: str) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SAMPLE_RATE).astype("f4")
    path = write(tmp_path / name, noise)
    whole = read_audio(path).samples
    part = read_audio(path, start=1.25, end=2.5).samples
    assert np.allclose(part, whole[20000:40000], atol=1e-4)
    assert np.allclose(read_audio(path, start=2.0).samples, whole[32000:], atol=1e-4)


def test_a_part_may_end_a_little_late_but_not_outside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(SAMPLE_RATE))
    assert len(read_audio(path, start=0.5, end=1.05).samples) == 8000
    with pytest.raises(AudioError, match=r"a.wav: no part from 0.50 s to 2.00 s in its 1.00 s"):
        read_audio(path, start=0.5, end=2.0)
    with pytest.raises(AudioError, match=r"no part from 1.00 s to the end in its 1.00 s"):
        read_audio(path, start=1.0)
    for start, end in ((0.5, 0.5), (0.5, 0.2), (-1.0, 0.5)):
        with pytest.raises(AudioError, match="no part from"):
            read_audio(path, start=start, end=end)


def test_names_beyond_ascii(tmp_path: Path) -> None:
    assert speech_duration(write(tmp_path / "录音 🎤.wav", tone(SAMPLE_RATE))) == 1.0


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.wav", {}),
        ("a.wav", {"subtype": "FLOAT"}),
        ("a.wav", {"format": "RF64"}),
        ("a.wav", {"format": "W64"}),
        ("a.aiff", {}),
        ("a.au", {}),
    ],
)
def test_uncompressed_files_cut_short_say_how_much_is_left(
    tmp_path: Path, name: str, format: dict[str, str]
) -> None:
    path = write(tmp_path / name, tone(SAMPLE_RATE, seconds=5), **format)
    cut(path, 0.6)
    for read in (speech_duration, read_audio):
        with pytest.raises(AudioError, match=rf"{name}: truncated: (2\.99|3\.00) s of 5\.00 s$"):
            read(path)
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path.read_bytes())


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.flac", {}),
        ("a.ogg", {}),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
        ("a.mp3", {}),
        ("a.caf", {}),
    ],
)
def test_compressed_files_cut_short_are_refused(
    tmp_path: Path, name: str, format: dict[str, str]
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLE_RATE)
    path = write(tmp_path / name, noise, **format)
    cut(path, 0.6)
    with pytest.raises(AudioError, match=rf"{name}: truncated"):
        read_audio(path)


def test_a_header_that_promises_a_little_more_is_accepted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(SAMPLE_RATE))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 40, len(content))  # the header counted as audio
    path.write_bytes(content)
    assert len(read_audio(path).samples) == SAMPLE_RATE


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_written_to_a_pipe_has_no_length_and_is_accepted(tmp_path: Path, size: int) -> None:
    path = write(tmp_path / "a.wav", tone(SAMPLE_RATE))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, 4, 0xFFFFFFFF)
    struct.pack_into("<I", content, 40, size)
    path.write_bytes(content)
    assert len(read_audio(path).samples) == SAMPLE_RATE


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"no audio at all, only words\n" * 20, "not audio that libsndfile can read"),
        (b"\0" * 500, "not audio that libsndfile can read"),
    ],
)
def test_what_is_no_audio_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for read in (speech_duration, read_audio):
        with pytest.raises(AudioError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {reason}"
    with pytest.raises(AudioError, match=f"^audio: {reason}$"):
        read_audio(io.BytesIO(content))


def test_a_header_alone_holds_no_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(0, "f4"))
    with pytest.raises(AudioError, match=r"a.wav: no samples"):
        speech_duration(path)
    write(path, tone(SAMPLE_RATE))
    path.write_bytes(path.read_bytes()[:44])
    with pytest.raises(AudioError, match=r"a.wav: truncated: no samples"):
        read_audio(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"b.wav: file not found"):
        read_audio(tmp_path / "b.wav")
    with pytest.raises(AudioError, match="is a folder"):
        read_audio(tmp_path)
    for name in ("a" * 300, "a\0b"):
        with pytest.raises(AudioError, match="cannot be read"):
            read_audio(name)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_not_finite_are_refused(tmp_path: Path, bad: float) -> None:
    samples = tone(SAMPLE_RATE)
    samples[77] = bad
    with pytest.raises(AudioError, match=r"a.wav: not finite"):
        read_audio(write(tmp_path / "a.wav", samples, subtype="FLOAT"))
    with pytest.raises(AudioError, match="not finite"):
        check_speech(Audio(samples, SAMPLE_RATE))


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(content: bytes) -> None:
    for start in (b"", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", b"OggS\0\2", b"fLaC\0\0\0\x22"):
        try:
            read_audio(start + content)
        except AudioError as error:
            assert "\n" not in str(error)


def test_silence_is_refused_as_speech_only(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(SAMPLE_RATE, "f4"))
    assert read_audio(path).duration == 1.0
    with pytest.raises(AudioError, match=r"a.wav: silent \(-inf dBFS"):
        read_speech(path)
    flicker = np.random.default_rng(0).integers(-1, 2, SAMPLE_RATE) / 32768
    with pytest.raises(AudioError, match="silent"):
        read_speech(write(path, flicker))
    assert read_speech(write(path, tone(SAMPLE_RATE, level=0.001))).duration == 1.0


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("frames", [1000, 12000, SAMPLE_RATE])  # the last: one block, to its end
def test_block_by_block_gives_what_the_whole_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, frames: int
) -> None:
    monkeypatch.setattr(data_utils.audio, "_BLOCK", frames)
    stereo = np.random.default_rng(0).normal(0, 0.1, (SAMPLE_RATE, 2)).astype("f4")
    path = write(tmp_path / name, stereo)
    assert speech_duration(path) == read_speech(path).duration == 1.0
    stereo[:-100] = 0  # the sound is in the last block, and too little
    with pytest.raises(AudioError, match=r"a\.\w+: silent"):
        speech_duration(write(path, 1e-3 * stereo))


@pytest.mark.parametrize(("name", "format"), [("a.flac", {}), ("a.mp3", {}), ("a.caf", {})])
def test_a_file_cut_short_is_found_in_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, format: dict[str, str]
) -> None:
    monkeypatch.setattr(data_utils.audio, "_BLOCK", 7000)
    path = write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLE_RATE))
    cut(path, 0.6)
    with pytest.raises(AudioError, match=rf"{name}: truncated"):
        speech_duration(path)


def test_what_is_not_finite_is_found_in_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_utils.audio, "_BLOCK", 7000)
    samples = tone(SAMPLE_RATE)
    samples[9000] = math.nan
    with pytest.raises(AudioError, match=r"a.wav: not finite"):
        speech_duration(write(tmp_path / "a.wav", samples, subtype="FLOAT"))


def test_memory_does_not_grow_with_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_utils.audio, "_BLOCK", 1 << 16)
    path = write(tmp_path / "a.wav", np.tile(tone(8000), 20 * 60), 8000)
    tracemalloc.start()
    try:
        assert speech_duration(path) == 20 * 60
        assert tracemalloc.get_traced_memory()[1] < 2e6  # the whole takes 38 MB
    finally:
        tracemalloc.stop()


def test_levels_in_closed_form() -> None:
    # A sine of amplitude a has the RMS a / sqrt(2): -3.01 dB below its peak.
    assert level_db(tone(SAMPLE_RATE, level=1.0)) == pytest.approx(-3.0103, abs=1e-3)
    assert level_db(np.full(100, 0.1, "f4")) == pytest.approx(-20.0, abs=1e-5)
    assert level_db(np.zeros(10, "f4")) == -math.inf
    assert level_db(np.zeros(0, "f4")) == -math.inf
    assert level_db(np.full(10, 1e30, "f4")) == pytest.approx(600, abs=1e-3)


@given(st.floats(-69, 20), st.floats(-40, 0))
def test_speech_comes_to_the_target(level: float, target: float) -> None:
    samples = np.random.default_rng(1).normal(0, 10 ** (level / 20), 4000).astype("f4")
    before = samples.copy()
    result = normalize_loudness(samples, target)
    reached = min(target, level_db(samples) + MAX_GAIN_DB)
    assert result.dtype == np.float32
    assert level_db(result) == pytest.approx(reached, abs=1e-3)
    assert np.array_equal(samples, before)


def test_silence_is_not_amplified() -> None:
    zeros = np.zeros(100, "f4")
    assert np.array_equal(normalize_loudness(zeros), zeros)
    faint = np.full(100, 10 ** ((SILENCE_DB - 1) / 20), "f4")
    assert np.array_equal(normalize_loudness(faint), faint)
    assert np.isfinite(normalize_loudness(np.full(10, 3e38, "f4"))).all()


def test_what_belongs_to_a_recording_can_be_scaled_alike() -> None:
    samples = tone(16000, level=0.02)
    own, other = normalize_loudness(samples, -25.0), np.ones(3, "f4")
    assert np.allclose(other * loudness_gain(samples, -25.0), own[1000] / samples[1000])


@pytest.mark.parametrize(("name", "rate"), [("a.wav", 44100), ("a.flac", 16000), ("a.ogg", 8000)])
def test_length_and_rate_are_those_of_the_samples(tmp_path: Path, name: str, rate: int) -> None:
    soundfile.write(tmp_path / name, np.zeros((12345, 2)), rate)
    assert length_and_rate(tmp_path / name) == (12345, rate)


def test_a_length_that_the_file_does_not_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(16000), 16000)
    path.write_bytes(path.read_bytes()[:16044])
    with pytest.raises(AudioError, match=r"a\.wav: truncated: 0\.50 s of 1\.00 s"):
        length_and_rate(path)


@pytest.mark.skipif(os.name == "nt", reason="names are always text there")
def test_a_name_that_is_not_utf8_is_refused_in_one_line(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/x\xff.wav"
    with open(path, "wb") as stream:  # noqa: PTH123
        soundfile.write(stream, np.ones(160), 16000, format="WAV")
    with pytest.raises(AudioError, match="its name is not UTF-8; rename it"):
        read_audio(os.fsdecode(path))
