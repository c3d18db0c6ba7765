"""Every schedule against Paddle's own scheduler or its formula, at every batch of a run."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_utils.settings import ScheduleSettings
from model_utils.trainer.schedules import Place, device_factor, learning_rate

NUM_BATCHES, NUM_EPOCH, PEAK = 7, 12, 0.3
TOTAL = NUM_BATCHES * NUM_EPOCH
PLACES = [
    Place(epoch, batch, NUM_BATCHES, NUM_EPOCH)
    for epoch in range(1, NUM_EPOCH + 1)
    for batch in range(NUM_BATCHES)
]
lr = paddle.optimizer.lr


def rates(**settings: Any) -> list[float]:
    chosen = ScheduleSettings(learning_rate=PEAK, **settings)
    return [learning_rate(chosen, place) for place in PLACES]


def stepped(scheduler: Any, interval: str) -> list[float]:
    """What a scheduler of Paddle gives when it is stepped each epoch, or each batch."""
    found = []
    for _ in range(NUM_EPOCH if interval == "epoch" else TOTAL):
        found += [scheduler()] * (NUM_BATCHES if interval == "epoch" else 1)
        scheduler.step()
    return found


def test_constant() -> None:
    assert set(rates(lr_schedule="constant")) == {PEAK}


PADDLES: dict[str, tuple[dict[str, Any], Callable[[], Any], str]] = {
    "exponential": ({"lr_decay": 0.83}, lambda: lr.ExponentialDecay(PEAK, gamma=0.83), "epoch"),
    "exponential by batch": (
        {"lr_decay": 0.83, "lr_interval": "batch"},
        lambda: lr.ExponentialDecay(PEAK, gamma=0.83 ** (1 / NUM_BATCHES)),
        "batch",
    ),
    "step": (
        {"lr_decay": 0.5, "lr_step_epochs": 3},
        lambda: lr.StepDecay(PEAK, step_size=3, gamma=0.5),
        "epoch",
    ),
    "multistep": (
        {"lr_decay": 0.1, "lr_milestones": (2, 5, 11)},
        lambda: lr.MultiStepDecay(PEAK, milestones=[2, 5, 11], gamma=0.1),
        "epoch",
    ),
    "cosine": (
        {"lr_end_share": 0.1},
        lambda: lr.CosineAnnealingDecay(PEAK, T_max=NUM_EPOCH, eta_min=0.03),
        "epoch",
    ),
    "cosine by batch": (
        {"lr_end_share": 0.1, "lr_interval": "batch"},
        lambda: lr.CosineAnnealingDecay(PEAK, T_max=TOTAL, eta_min=0.03),
        "batch",
    ),
    "cosine with restarts": (
        {"lr_cycle_epochs": 2, "lr_cycle_growth": 2, "lr_end_share": 0.1},
        lambda: lr.CosineAnnealingWarmRestarts(PEAK, T_0=2, T_mult=2, eta_min=0.03),
        "epoch",
    ),
    "linear": (
        {"lr_start_share": 0.25, "lr_end_share": 0.75},
        lambda: lr.LinearLR(PEAK, NUM_EPOCH, start_factor=0.25, end_factor=0.75),
        "epoch",
    ),
    "linear by batch": (
        {"lr_start_share": 1.0, "lr_end_share": 0.0, "lr_interval": "batch"},
        lambda: lr.LinearLR(PEAK, TOTAL, start_factor=1.0, end_factor=0.0),
        "batch",
    ),
    "inverse": (
        {"lr_decay": 0.05},
        lambda: lr.InverseTimeDecay(PEAK, gamma=0.05),
        "batch",
    ),
    "noam": (
        {"warmup_steps": 20},
        # Paddle's is d_model ** -0.5 * min(s ** -0.5, s * w ** -1.5), from step 1.
        lambda: lr.NoamDecay(d_model=1, warmup_steps=20, learning_rate=PEAK * math.sqrt(20)),
        "noam",
    ),
}


@pytest.mark.parametrize("name", PADDLES)
def test_equals_paddles_own(name: str) -> None:
    settings, scheduler, interval = PADDLES[name]
    found = rates(lr_schedule=name.split()[0], **settings)
    theirs = scheduler()
    if interval == "noam":
        theirs.step()
        interval = "batch"
    assert np.allclose(found, stepped(theirs, interval), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rise", [0.1, 0.3, 0.75])
def test_one_cycle_equals_paddles_own(rise: float) -> None:
    scheduler = lr.OneCycleLR(
        max_learning_rate=PEAK,
        total_steps=TOTAL,
        divide_factor=25.0,
        end_learning_rate=PEAK * 1e-4,
        # Paddle's share is of all steps, less one.
        phase_pct=(rise * (TOTAL - 1) + 1) / TOTAL,
    )
    found = rates(lr_schedule="onecycle", warmup_share=rise)
    assert np.allclose(found, stepped(scheduler, "batch"), rtol=1e-9)


@pytest.mark.parametrize("rise", [0.0, 0.5, 1.0])
def test_one_cycle_begins_turns_and_ends_where_it_should(rise: float) -> None:
    found = np.array(rates(lr_schedule="onecycle", warmup_share=rise)) / PEAK
    assert found.max() <= 1.0 and found.min() >= 1e-4 - 1e-12
    assert math.isclose(found[0], 1.0 if rise == 0 else 1 / 25)
    assert math.isclose(found[-1], 1.0 if rise == 1 else 1e-4)
    top = int(np.argmax(found))
    assert (np.diff(found[: top + 1]) >= 0).all() and (np.diff(found[top:]) <= 0).all()
    once = ScheduleSettings(lr_schedule="onecycle", warmup_share=rise)
    assert learning_rate(once, Place(1, 0, 1, 1)) > 0, "a run of a single step"


def test_plateau_falls_with_each_reduction() -> None:
    settings = ScheduleSettings(lr_schedule="plateau", learning_rate=PEAK, lr_decay=0.5)
    found = [learning_rate(settings, Place(3, 1, 7, 12, reductions=n)) for n in range(4)]
    assert found == [PEAK, PEAK / 2, PEAK / 4, PEAK / 8]


RISING = ("noam", "onecycle")
OTHERS = ("constant", "exponential", "step", "cosine", "linear", "plateau")


@pytest.mark.parametrize("schedule", OTHERS)
def test_warm_up_rises_in_a_line_to_the_schedule(schedule: str) -> None:
    plain = np.array(rates(lr_schedule=schedule))
    warm = np.array(rates(lr_schedule=schedule, warmup_steps=10))
    rise = np.minimum(1.0, np.arange(1, TOTAL + 1) / 10)
    assert np.allclose(warm, plain * rise, rtol=1e-12)


@given(st.sampled_from(OTHERS + RISING), st.integers(1, 200), st.integers(0, 300))
def test_never_above_the_peak_nor_below_zero(schedule: str, epoch: int, warmup: int) -> None:
    settings = ScheduleSettings(
        lr_schedule=schedule, learning_rate=PEAK, warmup_steps=warmup, lr_interval="batch"
    )
    for batch in range(NUM_BATCHES):
        rate = learning_rate(settings, Place(epoch, batch, NUM_BATCHES, 200))
        assert 0 <= rate <= PEAK * (1 + 1e-12)


@pytest.mark.parametrize("schedule", ["exponential", "step", "multistep", "constant", "noam"])
def test_more_epochs_never_start_a_schedule_again(schedule: str) -> None:
    settings = ScheduleSettings(lr_schedule=schedule, lr_milestones=(3,), warmup_steps=5)
    short, long = (
        [learning_rate(settings, Place(e, 2, NUM_BATCHES, total)) for e in range(1, NUM_EPOCH + 1)]
        for total in (NUM_EPOCH, 60)
    )
    assert short == long


def test_a_longer_run_goes_on_along_the_longer_one_cycle() -> None:
    settings = ScheduleSettings(lr_schedule="onecycle", learning_rate=1.0, warmup_share=0.3)
    # Half of the longer run is done: it is on its way down, neither at the top nor at the end.
    stretched = learning_rate(settings, Place(NUM_EPOCH + 1, 0, NUM_BATCHES, 2 * NUM_EPOCH))
    assert 0.5 < stretched < 1.0


@pytest.mark.parametrize(
    ("scaling", "factors"),
    [("linear", [1, 2, 8]), ("sqrt", [1, 2**0.5, 8**0.5]), ("none", [1] * 3)],
)
def test_devices_scale_the_rate(scaling: Any, factors: list[float]) -> None:
    found = [device_factor(scaling, devices) for devices in (1, 2, 8)]
    assert found == pytest.approx(factors, rel=1e-12)
