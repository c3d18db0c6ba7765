"""One step: from the parts of a batch to new weights."""

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
from paddle import Tensor

from model_utils import distributed
from model_utils.runtime import Device
from model_utils.settings import OptimisationSettings
from model_utils.trainer import checkpoint, gradients, optimisation
from model_utils.trainer.averaging import RunningAverage
from model_utils.trainer.checkpoint import Checkpoint
from model_utils.trainer.gradients import Outcome
from model_utils.trainer.precision import Precision
from model_utils.trainer.task import Task


class Updater:
    """The optimizer and all that belongs to it: precision, clipping, the average of the weights.

    Args:
        task: whose network is trained.
        settings: how gradients become weights.
        device: what is computed on.
        seed: of dropout.

    Raises:
        InputError: settings that contradict each other, or that this device cannot follow.
    """

    def __init__(
        self, task: Task[Any], settings: OptimisationSettings, device: Device, seed: int
    ) -> None:
        self.average = RunningAverage(task.network, settings.ema_decay)
        self.precision = Precision(settings.amp, device)
        self._task = task
        self._settings = settings
        self._seed = seed
        self._optimizer = optimisation.build_optimizer(settings, task.network, device.is_fast)

    def step(
        self,
        parts: list[Any],
        rate: float,
        number: int,
        is_asked_to_stop: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        """Update the weights by a batch; they stay as they are where a value is not finite.

        Args:
            parts: of the batch, those of this process, computed one after the other.
            rate: learning rate.
            number: of the step in the run, from 0.
            is_asked_to_stop: of this process, to be known to all of them.
        """
        # Dropout is a function of (seed, step, rank): a resumed run draws what it would have drawn.
        key = [self._seed, number, distributed.rank()]
        paddle.seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        parameters = self._task.network.parameters()
        total, items = 0.0, 0
        for part in parts:
            with self.precision.computing():
                losses = self._task.losses(part)
            if losses.shape[0] > 0:
                loss = losses.sum()
                (loss * self.precision.scale).backward()
                total, items = total + float(loss), items + self._task.size(part)
        outcome = gradients.combine(
            parameters, total, items, self.precision.scale, is_asked_to_stop()
        )
        self.precision.judge(outcome.is_finite)
        if outcome.is_good:
            kept = optimisation.kept_share(self._settings, outcome.norm)
            gradients.scale(parameters, kept / (outcome.items * outcome.scale))
            self._optimizer.set_lr(rate)
            self._optimizer.step()
            self.average.update(number)
        self._optimizer.clear_grad()
        return outcome

    def restore(self, saved: Checkpoint) -> None:
        """Weights, optimizer, average and precision as they were.

        Raises:
            InputError: the checkpoint is of another network or optimizer.
        """
        checkpoint.set_weights(self._task.network, saved)
        if saved.optimizer is not None:
            self.average.resume(
                optimisation.restore_optimizer(
                    self._optimizer, self._task.network, saved.optimizer, str(saved.path)
                )
            )
        self.precision.restore((saved.info or {}).get("precision", {}))

    def state(self, trained: dict[str, Tensor]) -> dict[str, Tensor]:
        """The optimizer's tensors by name, and the weights in training where there is an average.

        Args:
            trained: of `average.in_place`, inside of which this is asked.
        """
        return optimisation.optimizer_state(self._optimizer, self._task.network, trained)
