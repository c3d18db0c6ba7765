"""Masks are found again from what is zero in features that were one."""

import numpy as np
import pytest

from data_utils.augmentation.specaug import Mask, SpecAugment, SpecAugmentParams, Warp
from data_utils.errors import InputError

FRAMES, BINS = 300, 161
NONE = {"W": 0, "n_freq_masks": 0, "n_time_masks": 0}


def draws(effect: SpecAugment, count: int = 300, frames: int = FRAMES) -> list[SpecAugmentParams]:
    rng = np.random.default_rng(0)
    return [effect.choose(rng, (frames, BINS)) for _ in range(count)]


def masked(effect: SpecAugment, seed: int) -> np.ndarray:
    """True where features of ones were set to zero: [frames, bins]."""
    result = effect(np.ones((FRAMES, BINS), np.float32), np.random.default_rng(seed))
    assert set(np.unique(result)) <= {0.0, 1.0}
    return result == 0


def test_frequency_masks_are_bands_of_bins():
    effect = SpecAugment(**NONE | {"n_freq_masks": 1}, F=10)
    widths = []
    for seed in range(200):
        zero = masked(effect, seed)
        assert (zero.all(axis=0) == zero.any(axis=0)).all()  # a bin is masked in all frames or none
        (bins,) = np.nonzero(zero[0])
        assert not len(bins) or bins[-1] - bins[0] + 1 == len(bins)
        widths.append(len(bins))
    assert set(widths) == set(range(11))


def test_time_masks_are_stretches_of_frames():
    effect = SpecAugment(**NONE | {"n_time_masks": 1}, T=8)
    widths = []
    for seed in range(200):
        zero = masked(effect, seed)
        assert (zero.all(axis=1) == zero.any(axis=1)).all()
        (frames,) = np.nonzero(zero[:, 0])
        assert not len(frames) or frames[-1] - frames[0] + 1 == len(frames)
        widths.append(len(frames))
    assert set(widths) == set(range(9))


def test_masks_reach_both_ends():
    effect = SpecAugment(**NONE | {"n_freq_masks": 1, "n_time_masks": 1}, F=40, T=100)
    cover = np.sum([masked(effect, seed) for seed in range(200)], axis=0)
    assert (cover > 0).all()


def test_widths_are_uniform():
    effect = SpecAugment(**NONE | {"n_time_masks": 2000}, T=9)
    widths = [mask.width for mask in draws(effect, 1)[0].time_masks]
    counts = np.bincount(widths, minlength=10)
    assert len(counts) == 10 and (np.abs(counts - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5).all()


@pytest.mark.parametrize("number", [0, 1, 3])
def test_number_of_masks(number):
    (params,) = draws(SpecAugment(n_freq_masks=number, n_time_masks=number + 1), 1)
    assert len(params.freq_masks) == number
    assert len(params.time_masks) == number + 1


def test_masks_wider_than_the_features():
    effect = SpecAugment(W=0, F=1000, T=1000)
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert effect(np.ones((3, 2), np.float32), rng).shape == (3, 2)


def test_p_limits_the_share_of_time():
    widths = [m.width for d in draws(SpecAugment(T=200, p=0.1)) for m in d.time_masks]
    assert max(widths) == 30
    widths = [m.width for d in draws(SpecAugment(T=20, p=0.1)) for m in d.time_masks]
    assert max(widths) == 20
    assert {m.width for d in draws(SpecAugment(p=0.0)) for m in d.time_masks} == {0}


def test_adaptive_number_and_its_limit():
    effect = SpecAugment(adaptive_number_ratio=0.02, max_n_time_masks=5)
    assert len(draws(effect, 1, frames=100)[0].time_masks) == 2
    assert len(draws(effect, 1, frames=200)[0].time_masks) == 4
    assert len(draws(effect, 1, frames=1000)[0].time_masks) == 5
    assert len(draws(SpecAugment(n_time_masks=30), 1)[0].time_masks) == 30


def test_adaptive_size():
    effect = SpecAugment(adaptive_size_ratio=0.05, n_time_masks=10, T=3)
    for frames in (100, 400):
        widths = [m.width for d in draws(effect, 50, frames) for m in d.time_masks]
        assert max(widths) == frames * 0.05


def test_warp_moves_the_point_and_keeps_ends_and_length():
    ramp = np.repeat(np.arange(FRAMES, dtype=np.float32)[:, None], 2, axis=1)
    for center, distance in [(100, 30), (100, -30), (250, 20), (81, -80), (150, 0)]:
        params = SpecAugmentParams(Warp(center, distance), (), ())
        warped = SpecAugment().apply(ramp, params)
        assert warped.shape == ramp.shape and warped.dtype == np.float32
        # A ramp shows, at every frame, from where it was taken.
        source = warped[:, 0]
        assert source[0] == 0 and source[-1] == FRAMES - 1
        assert source[center + distance] == pytest.approx(center, abs=1e-3)
        steps = np.diff(source)
        left, right = steps[: center + distance], steps[center + distance :]
        np.testing.assert_allclose(left, center / (center + distance), atol=1e-3)
        np.testing.assert_allclose(
            right, (FRAMES - 1 - center) / (FRAMES - 1 - center - distance), atol=1e-3
        )


def test_w_limits_the_warp():
    warps = [d.warp for d in draws(SpecAugment(W=40), 2000)]
    assert all(warp is not None for warp in warps)
    distances = {warp.distance for warp in warps}
    assert distances == set(range(-40, 41))
    centers = [warp.center for warp in warps]
    assert min(centers) == 41 and max(centers) == FRAMES - 41
    assert {d.warp for d in draws(SpecAugment(W=0), 20)} == {None}


@pytest.mark.parametrize(("frames", "warped"), [(1, False), (161, False), (162, True)])
def test_utterances_without_room_are_not_warped(frames, warped):
    drawn = draws(SpecAugment(W=80), 20, frames)
    assert all((d.warp is not None) == warped for d in drawn)


def test_warp_comes_before_the_masks():
    params = SpecAugmentParams(Warp(100, 50), (Mask(3, 2),), (Mask(10, 5),))
    result = SpecAugment().apply(np.ones((FRAMES, BINS), np.float32), params)
    expected = np.ones((FRAMES, BINS))
    expected[:, 3:5] = 0
    expected[10:15] = 0
    np.testing.assert_allclose(result, expected)


@pytest.mark.parametrize(
    "params",
    [
        {"F": -1},
        {"T": 1.5},
        {"n_freq_masks": -1},
        {"n_time_masks": "2"},
        {"p": 1.5},
        {"W": -80},
        {"adaptive_number_ratio": -0.1},
        {"adaptive_size_ratio": 2},
        {"max_n_time_masks": -1},
    ],
)
def test_bad_values(params):
    with pytest.raises(InputError, match=next(iter(params))):
        SpecAugment(**params)
