"""Sounds that are drawn until one can be heard."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.audio import SAMPLE_RATE, AudioError
from data_utils.augmentation.sounds import DRAWS, Sounds
from data_utils.enhancement.lists import RecordingList, read_list

RECORDING = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE).astype(np.float32)
SILENCE = np.zeros(SAMPLE_RATE, np.float32)
FAINT = np.full(SAMPLE_RATE, 3e-5, np.float32)
"""Below -80 dBFS: nothing that can be heard, and not zero."""


@pytest.fixture
def listed(tmp_path: Path) -> RecordingList:
    """Silence, a damaged recording, a faint one, and one that can be heard in its second half."""
    half = np.where(np.arange(SAMPLE_RATE) < SAMPLE_RATE // 2, 0, RECORDING)
    for name, wave in (("a", SILENCE), ("b", FAINT), ("c", FAINT), ("d", half)):
        soundfile.write(tmp_path / f"{name}.wav", wave, SAMPLE_RATE, subtype="FLOAT")
    found = read_list(tmp_path)
    damaged = (tmp_path / "b.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(damaged[: len(damaged) // 2])
    return found


@pytest.mark.parametrize("seed", range(8))
def test_draws_go_on_where_nothing_can_be_heard(listed: RecordingList, seed: int) -> None:
    """What follows from a seed stays: a recording, a place in it, a recording, and so on."""
    sounds, count = Sounds(listed), 1600
    rng, again = np.random.default_rng(seed), np.random.default_rng(seed)
    chosen = start = 0
    while chosen != 3 or start + count <= SAMPLE_RATE // 2:
        chosen, place = int(again.integers(4)), float(again.random())
        start = int(place * (SAMPLE_RATE - count + 1))
    expected = np.where(np.arange(SAMPLE_RATE) < SAMPLE_RATE // 2, 0, RECORDING)
    assert np.array_equal(sounds.heard_part(rng, count), expected[start : start + count])
    assert rng.random() == again.random()

    while again.integers(4) != 3:
        pass
    assert np.array_equal(sounds.heard_whole(rng), expected)
    assert rng.random() == again.random()


def test_a_list_in_which_nothing_can_be_heard_is_named(tmp_path: Path) -> None:
    for name, wave in (("a", SILENCE), ("b", FAINT)):
        soundfile.write(tmp_path / f"{name}.wav", wave, SAMPLE_RATE, subtype="FLOAT")
    path = tmp_path / "noise.txt"
    path.write_text("a.wav\nb.wav\n", encoding="utf-8")
    sounds, rng = Sounds(read_list(path)), np.random.default_rng(0)
    for draw in (lambda: sounds.heard_whole(rng), lambda: sounds.heard_part(rng, 100)):
        with pytest.raises(AudioError) as error:
            draw()
        assert str(error.value) == (
            f"{path}:1: {DRAWS} draws from this list were damaged or silent; mend it"
        )
