"""The learning-rate range test: its steps are the trainer's, its end and its suggestion."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from regression import DEVICE, SETTINGS, Regression, train

from data_utils.errors import InputError
from model_utils.settings import OptimisationSettings, ScheduleSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.range_test import DIVERGED, SETTLED, RangeTest, range_test
from model_utils.trainer.updating import Updater

SGD = OptimisationSettings(optimizer="sgd", momentum=0.0, weight_decay=0.0, grad_clip=None)


def run(
    task: Regression, settings: OptimisationSettings, start: float, end: float, steps: int
) -> RangeTest:
    return range_test(
        task,
        Updater(task, settings, DEVICE, seed=1),
        lr_start=start,
        lr_end=end,
        num_steps=steps,
    )


def test_its_steps_are_those_of_the_trainer(tmp_path: Path) -> None:
    constant = ScheduleSettings(learning_rate=0.02, lr_schedule="constant")
    trained = train(tmp_path, schedule=constant, num_epoch=2)
    task = Regression()
    run(task, SETTINGS, 0.02, 0.02, 10)
    own = checkpoint.weights_of(task.network)
    for name, value in checkpoint.weights_of(trained.task.network).items():
        assert np.array_equal(value.numpy(), own[name].numpy()), name


def test_rates_rise_geometrically_over_epochs() -> None:
    task = Regression()
    task.points = 100
    found = run(task, SETTINGS, 1e-6, 1e-2, 13)
    assert found.rates == pytest.approx([1e-6 * 10 ** (4 * n / 12) for n in range(13)])
    assert task.asked == [(1, 0), (2, 0), (3, 0)]
    assert set(task.modes) == {True}


def test_it_ends_where_the_loss_runs_away() -> None:
    task = Regression()
    task.points = 100
    found = run(task, SGD, 1e-5, 1e3, 200)
    assert len(found.rates) < 200
    assert found.ran_away
    *before, last = found.smoothed[SETTLED:]
    assert last > DIVERGED * min(before)
    assert all(before[n] <= DIVERGED * min(before[: n + 1]) for n in range(len(before)))
    # Curvatures around 1 leave no room above 2 (Goodfellow et al. 2016, section 8.2.4).
    assert 1e-3 < found.suggestion < 0.2


def test_it_ends_at_a_loss_that_is_not_finite() -> None:
    task = Regression()
    task.poisoned = {3}
    found = run(task, SETTINGS, 1e-6, 1e-4, 20)
    assert len(found.losses) == 3 and found.ran_away


def test_a_loss_that_runs_away_at_the_last_step_has_run_away() -> None:
    task = Regression()
    task.points = 100
    steps = len(run(task, SGD, 1e-5, 1e3, 200).rates)
    task = Regression()
    task.points = 100
    last = 1e-5 * (1e3 / 1e-5) ** ((steps - 1) / 199)
    found = run(task, SGD, 1e-5, last, steps)
    assert len(found.rates) == steps and found.ran_away


def test_a_batch_without_items_is_no_step() -> None:
    task = Regression()
    task.empty = {2}
    found = run(task, SETTINGS, 1e-6, 1e-4, 5)
    assert len(found.losses) == 4 and not found.ran_away


def test_where_nothing_can_be_read_the_first_is_named() -> None:
    task = Regression()
    task.empty = set(range(20))
    with pytest.raises(InputError, match="every item had to be left out; the first: point 0 is"):
        run(task, SETTINGS, 1e-6, 1e-4, 20)


def test_the_smoothed_loss() -> None:
    found = RangeTest()
    for rate, loss in enumerate((8.0, 2.0, 5.0)):
        found.add(rate, loss)
    third = (5 + 0.9 * 2 + 0.81 * 8) / (1 + 0.9 + 0.81)
    assert found.smoothed == pytest.approx([8.0, (2 + 0.9 * 8) / 1.9, third])


def test_the_suggestion_is_a_tenth_of_the_rate_at_the_lowest_loss() -> None:
    losses = [1.0] * SETTLED + [5.0, 4.0, 3.0, 6.0]  # a lucky beginning says nothing
    rates = [1e-5] * SETTLED + [1e-4, 1e-3, 1.234e-2, 1e-1]
    assert RangeTest(rates, losses, losses).suggestion == 1.2e-3


@pytest.mark.parametrize("losses", [[], [3.0], list(range(1, 30))])
def test_where_the_loss_never_fell_there_is_none(losses: list[float]) -> None:
    found = RangeTest()
    for number, loss in enumerate(losses):
        found.add(10.0**number, loss)
    with pytest.raises(InputError, match=f"never fell in {len(losses)} steps; try a smaller"):
        _ = found.suggestion


def test_paddle_is_left_without_gradients() -> None:
    task = Regression()
    run(task, SETTINGS, 1e-6, 1e-4, 2)
    for parameter in task.network.parameters():
        assert parameter.grad is None or not bool(paddle.any(parameter.grad != 0))
