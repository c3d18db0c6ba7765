"""Every kind of real recording decodes whole."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.audio import SAMPLE_RATE, read_audio, speech_duration

pytestmark = pytest.mark.real

ENDINGS = {".wav", ".ogg", ".flac", ".mp3"}


def recordings(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix in ENDINGS)
    assert found, f"{folder}: no recording in it"
    return found


@pytest.mark.parametrize(
    ("folder", "every"), [("zh_aishell_sample", 1), ("noise", 4), ("music", 2)]
)
def test_every_recording_decodes_whole(speech_data: Path, folder: str, every: int) -> None:
    for path in islice(recordings(speech_data / folder), 0, None, every):
        expected = soundfile.info(path)
        seconds = expected.frames / expected.samplerate
        assert speech_duration(path) == pytest.approx(seconds, abs=1e-9), path
        audio = read_audio(path, rate=None)
        assert (len(audio.samples), audio.rate) == (expected.frames, expected.samplerate), path
        heard = read_audio(path)
        assert heard.rate == SAMPLE_RATE and heard.samples.dtype == np.float32
        assert abs(len(heard.samples) - seconds * SAMPLE_RATE) <= 1, path
        assert 0 < np.abs(heard.samples).max() < 2, path


def test_wavs_are_read_sample_by_sample(speech_data: Path) -> None:
    wavs = recordings(speech_data / "zh_aishell_sample" / "data_aishell" / "wav" / "dev")
    for path in wavs:
        # 16 bit, mono, 16 kHz: behind a header of 44 bytes lie the samples themselves.
        steps = np.frombuffer(path.read_bytes()[44:], "<i2")
        assert np.array_equal(read_audio(path).samples * 32768, steps), path


def test_a_part_is_what_lies_between_its_ends(speech_data: Path) -> None:
    for path in recordings(speech_data / "zh_aishell_sample" / "data_thchs30" / "test"):
        whole = read_audio(path).samples
        part = read_audio(path, start=0.5, end=1.75).samples
        assert np.array_equal(part, whole[8000:28000]), path
