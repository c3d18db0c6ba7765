import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.augmentation.trim import Trim, TrimParams
from data_utils.errors import InputError

RATE = 16000


def padded(speech: np.ndarray, before: float, after: float, floor: float = 0.0) -> np.ndarray:
    """`speech` between pauses of so many seconds, in which there is noise of RMS `floor`."""
    rng = np.random.default_rng(1)
    pauses = [rng.standard_normal(round(seconds * RATE)) * floor for seconds in (before, after)]
    return np.concatenate([pauses[0], speech, pauses[1]]).astype(np.float32)


@pytest.mark.parametrize("floor", [0.0, 1e-3])  # speech is at 0.1, so 40 dB above
@pytest.mark.parametrize(("before_ms", "after_ms"), [(0, 0), (100, 40), (500, 250)])
def test_so_much_of_the_pauses_stays(speech, floor, before_ms, after_ms):
    clip = padded(speech, 0.5, 0.25, floor)
    trimmed = Trim().apply(clip, TrimParams(before_ms, after_ms))
    begin, end = 8000 - 16 * before_ms, 8000 + RATE + 16 * after_ms
    np.testing.assert_array_equal(trimmed, clip[begin:end])


def test_longer_pauses_than_there_are_change_nothing(speech):
    clip = padded(speech, 0.2, 0.1)
    np.testing.assert_array_equal(Trim().apply(clip, TrimParams(300, 300)), clip)


def test_half_a_second_of_speech_in_a_minute_is_found(speech):
    clip = padded(speech[:8000], 40, 20)
    np.testing.assert_array_equal(Trim().apply(clip, TrimParams(0, 0)), speech[:8000])


def test_a_click_costs_no_speech(speech):
    clip = padded(speech, 2, 2)
    clip[100] = 300.0  # 70 dB above the speech
    assert len(Trim().apply(clip, TrimParams(0, 0))) == 3 * RATE  # from the click on


def test_pauses_within_the_speech_stay(speech):
    clip = padded(np.concatenate([speech, np.zeros(RATE, np.float32), speech]), 0.3, 0.3)
    assert len(Trim().apply(clip, TrimParams(0, 0))) == 3 * RATE


def test_depth_says_what_a_pause_is(speech):
    clip = padded(speech, 0.5, 0.5, floor=0.01)  # 20 dB below
    assert len(Trim(depth_dB=25).apply(clip, TrimParams(0, 0))) == 2 * RATE
    assert len(Trim(depth_dB=15).apply(clip, TrimParams(0, 0))) == RATE


@given(st.integers(1, 3000), st.sampled_from([0.0, 0.1]))
def test_a_clip_of_one_loudness_is_left_alone(count, level):
    clip = np.full(count, level, np.float32)
    np.testing.assert_array_equal(Trim().apply(clip, TrimParams(0, 0)), clip)


def test_pauses_fill_their_range():
    effect = Trim(min_pause_ms=20, max_pause_ms=90)
    rng = np.random.default_rng(0)
    drawn = [effect.choose(rng, (100,)) for _ in range(300)]
    for values in zip(*[(each.before_ms, each.after_ms) for each in drawn], strict=True):
        assert 20 <= min(values) < 21 and 89 < max(values) <= 90


@pytest.mark.parametrize(
    "params",
    [{"min_pause_ms": 500}, {"max_pause_ms": -1}, {"depth_dB": 0}, {"depth_dB": "deep"}],
)
def test_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        Trim(**params)
