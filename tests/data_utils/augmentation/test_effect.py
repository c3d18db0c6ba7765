"""What holds for every effect: `prob`, reproducible draws, inputs left alone."""

import dataclasses
import pickle

import numpy as np
import pytest

from data_utils.augmentation.pipeline import EFFECTS
from data_utils.errors import InputError

SHAPES = {"wave": (16000,), "features": (300, 161)}


@pytest.fixture(params=sorted(EFFECTS))
def make_effect(request, make_manifest):
    """Builds the effect with a probability; each draw of it changes something."""
    sound = np.random.default_rng(3).standard_normal(4000).astype(np.float32) * 0.1
    decay = np.float32([1.0, 0.0, 0.5, 0.25])
    settings = {
        "noise": lambda: {"noise_manifest_path": make_manifest([sound])},
        "impulse": lambda: {"impulse_manifest_path": make_manifest([decay])},
        "speed": lambda: {"num_rates": 2},
        "shift": lambda: {"min_shift_ms": 1, "max_shift_ms": 50},
        "trim": lambda: {"max_pause_ms": 100},
        "specaug": lambda: {"W": 10},
    }
    params = settings.get(request.param, dict)()
    return lambda prob: EFFECTS[request.param](prob=prob, **params)


def some_input(effect) -> np.ndarray:
    array = np.random.default_rng(1).standard_normal(SHAPES[effect.domain]).astype(np.float32)
    if effect.domain == "wave":  # with pauses at its ends
        array[:4000] *= 1e-3
        array[-4000:] *= 1e-3
    return array


@pytest.mark.parametrize("prob", [0.1, 0.5, 0.9])
def test_drawn_as_often_as_prob_says(make_effect, prob):
    effect = make_effect(prob)
    rng = np.random.default_rng(0)
    trials = 2000
    hits = sum(effect.draw(rng, SHAPES[effect.domain]) is not None for _ in range(trials))
    deviation = (trials * prob * (1 - prob)) ** 0.5
    assert abs(hits - trials * prob) < 4 * deviation


@pytest.mark.parametrize(("prob", "expected"), [(0.0, 0), (1.0, 500)])
def test_never_and_always(make_effect, prob, expected):
    effect = make_effect(prob)
    rng = np.random.default_rng(0)
    draws = [effect.draw(rng, SHAPES[effect.domain]) for _ in range(500)]
    assert sum(draw is not None for draw in draws) == expected


def test_changed_exactly_when_drawn(make_effect):
    effect = make_effect(0.5)
    array = some_input(effect)
    original = array.copy()
    for seed in range(20):
        drawn = effect.draw(np.random.default_rng(seed), array.shape)
        result = effect(array, np.random.default_rng(seed))
        changed = result.shape != array.shape or not np.array_equal(result, array)
        assert changed == (drawn is not None)
        assert result.dtype == np.float32
    np.testing.assert_array_equal(array, original)


def test_values_do_not_depend_on_prob(make_effect):
    shape = SHAPES[make_effect(1.0).domain]
    for seed in range(20):
        often, seldom = (
            make_effect(prob).draw(np.random.default_rng(seed), shape) for prob in (1.0, 0.3)
        )
        assert seldom is None or seldom == often


def test_same_draw_gives_the_same_result_after_pickling(make_effect):
    effect = make_effect(1.0)
    array = some_input(effect)
    params = effect.draw(np.random.default_rng(5), array.shape)
    again = pickle.loads(pickle.dumps(effect))
    np.testing.assert_array_equal(effect.apply(array, params), again.apply(array, params))


def test_params_are_dataclasses(make_effect):
    effect = make_effect(1.0)
    assert dataclasses.is_dataclass(effect.draw(np.random.default_rng(0), SHAPES[effect.domain]))


@pytest.mark.parametrize("prob", [-0.1, 1.1, float("nan"), "0.5", True, None])
def test_prob_is_a_share(prob):
    with pytest.raises(InputError, match="prob"):
        EFFECTS["volume"](prob=prob)
