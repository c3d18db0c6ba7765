"""The training loop, in the order in which things happen.

It knows steps, checkpoints, schedules and logs; what is trained, and on what, a task knows.
"""

import dataclasses
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from data_utils.errors import InputError
from model_utils import runtime
from model_utils.settings import OptimisationSettings, RunSettings, ScheduleSettings
from model_utils.trainer import checkpoint, optimisation, schedules
from model_utils.trainer.checkpoint import Checkpoint
from model_utils.trainer.progress import Progress
from model_utils.trainer.runlog import RunLog
from model_utils.trainer.task import Score, Task


class Trainer:
    """Trains the network of one task.

    Args:
        task: what is trained.
        settings: how gradients become weights.
        schedule: the learning rate over the run.
        run: how long, and what is left behind.
        device: what is computed on.
        options: every option of the command, kept in the checkpoints.
    """

    def __init__(
        self,
        task: Task,
        settings: OptimisationSettings,
        schedule: ScheduleSettings,
        run: RunSettings,
        device: runtime.Device,
        options: Mapping[str, Any],
    ) -> None:
        self.task = task
        self.schedule = schedule
        self.run = run
        self.device = device
        self.options = dict(options)
        self.progress = Progress()
        self._last_saved: Path | None = None
        self._folders = [Path(run.output_model_dir)]
        self.optimizer = optimisation.build_optimizer(settings, task.network)

    def resume(self, saved: Checkpoint) -> list[str]:
        """Go on where `saved` stopped: weights, optimizer, place in the epoch, best score.

        A place inside an epoch holds for the batches that the epoch had then. Where they follow
        from something else now (see `Task.plan`), the epoch begins again with its first batch.

        Returns:
            What that is, such as "batch_size was 16, is 32"; nothing where the place is kept.

        Raises:
            InputError: it is of another network or optimizer, or does not know its place.
        """
        checkpoint.set_weights(self.task.network, saved)
        self._last_saved = saved.path
        self._folders.append(saved.path.parent)
        if saved.optimizer is not None:
            optimisation.restore_optimizer(
                self.optimizer, self.task.network, saved.optimizer, str(saved.path)
            )
        if saved.info is None:
            self.progress = Progress(
                epoch=saved.epoch + 1, step=saved.epoch * self.task.num_batches()
            )
            return []
        self.progress = Progress.of(saved.info.get("progress"), saved.path)
        before, changed = saved.info.get("plan", {}), []
        if self.progress.batch:
            changed = [
                f"{name} was {before[name]}, is {now}"
                for name, now in self.task.plan().items()
                if name in before and before[name] != now
            ]
        if changed:
            self.progress.batch = 0
        return changed

    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best score so far, in this run's folder or the resumed one's.

        None where there is no such score, or its checkpoint is not there any more: a file of that
        name may be of another run, or of an epoch later than the one resumed from.
        """
        best = self.progress.best
        if best is None:
            return None
        for folder in self._folders:
            for name in (checkpoint.BEST, best["epoch"]):
                path = folder / f"{name}{checkpoint.WEIGHTS}"
                if path.is_file() and _holds(path, best):
                    return path
        return None

    def learning_rate(self, epoch: int, batch: int) -> float:
        """The rate of one batch of the run."""
        place = schedules.Place(
            epoch, batch, self.task.num_batches(), self.run.num_epoch, self.progress.reductions
        )
        return schedules.learning_rate(self.schedule, place)

    def train(self) -> None:
        """Train until epoch `num_epoch` is done.

        Raises:
            InputError: the task cannot go on, or a checkpoint cannot be written. The message names
                the checkpoint from which to go on, saved for that where batches were done since
                the last one.
        """
        num_batches = self.task.num_batches()
        self.log = RunLog(Path(self.run.log_dir), self.run.num_epoch, num_batches)
        try:
            self.log.list_left_out(self.task.left_out())
            for epoch in range(self.progress.epoch, self.run.num_epoch + 1):
                self._train_epoch(epoch, num_batches)
                self.progress.epoch, self.progress.batch = epoch + 1, 0
                # Saved before it is scored: whatever happens there, the epoch is not lost.
                saved = self._save(str(epoch), epoch)
                scores = self._score(epoch)
                for name, score in list(scores.items())[:1]:  # the first set decides
                    better = self.progress.judge(epoch, name, score, self.schedule.plateau_patience)
                    checkpoint.amend(saved, progress=dataclasses.asdict(self.progress))
                    if better:
                        self._save(checkpoint.BEST, epoch)
        except InputError as error:
            if self._last_saved is None:
                raise
            raise InputError(f"{error}; go on with --resume_model={self._last_saved}") from None
        finally:
            self.log.close()

    def _train_epoch(self, epoch: int, num_batches: int) -> None:
        self.task.network.train()
        self.log.start_epoch(epoch, self.progress.batch)
        lost: list[str] = []
        trained = False
        recent: list[float] = []
        for number, batch in self._batches(epoch, num_batches):
            rate = self.learning_rate(epoch, number)
            for problem in self.task.problems(batch):
                self.log.left_out(problem)
                lost.append(problem)
            loss = self._step(batch, rate)
            if np.isfinite(loss):
                recent.append(loss)
                trained = True
            self.progress.batch, self.progress.step = number + 1, self.progress.step + 1
            self.log.batch_done()
            if number % self.run.log_interval == 0 and recent:
                mean = float(np.mean(recent))
                self.log.train(epoch, number, self.progress.step, rate, mean)
                recent.clear()
            if (number + 1) % self.run.save_interval == 0 and number + 1 < num_batches:
                self._save(f"{epoch}_batch_{number + 1}", epoch)
        self.log.end_epoch()
        if lost and not trained:
            raise InputError(
                f"epoch {epoch}: nothing was learned, all {len(lost)} items had to be left out; "
                f"the first: {lost[0]}"
            )

    def _batches(self, epoch: int, num_batches: int) -> Iterator[tuple[int, Any]]:
        """The epoch's batches that are not done, with their numbers.

        What was trained is saved when no more of them come.
        """
        start = self.progress.batch
        try:
            yield from enumerate(self.task.train_batches(epoch, start), start)
        except InputError:
            if start < self.progress.batch < num_batches:
                self._save(f"{epoch}_batch_{self.progress.batch}", epoch)
            raise

    def _step(self, batch: Any, rate: float) -> float:
        """One update; returns the mean loss of the items, NaN where there was none."""
        # Dropout is a function of (seed, step): a resumed run draws what it would have drawn.
        state = np.random.SeedSequence([self.run.seed, self.progress.step]).generate_state(1)
        paddle.seed(int(state[0]))
        losses = self.task.losses(batch)
        if losses.shape[0] == 0:
            return float("nan")
        loss = losses.mean()
        value = float(loss)
        problem = "" if np.isfinite(value) else f"loss is {value}"
        if not problem:
            loss.backward()
            problem = "" if self._has_finite_gradients() else "a gradient is not finite"
        if problem:
            self.optimizer.clear_grad()
            names = ", ".join(self.task.names(batch))
            self.log.warn(f"{problem}, the step is skipped; its utterances: {names}")
            return float("nan")
        self.optimizer.set_lr(rate)
        self.optimizer.step()
        self.optimizer.clear_grad()
        return value

    def _has_finite_gradients(self) -> bool:
        gradients = [p.grad for p in self.task.network.parameters() if p.grad is not None]
        return bool(np.isfinite(float(paddle.add_n([gradient.sum() for gradient in gradients]))))

    def _score(self, epoch: int) -> dict[str, Score]:
        if self.run.test_off:
            return {}
        self.task.network.eval()
        scores = {}
        for name in self.task.score_sets:
            scores[name] = score = self.task.score(name)
            self.log.score(epoch, name, score.name, score.value, score.detail)
        return scores

    def _save(self, name: str, epoch: int) -> Path:
        info = {
            "format": 1,
            "epoch": epoch,
            "progress": dataclasses.asdict(self.progress),
            "plan": self.task.plan(),
            **self.task.describe(),
            "options": self.options,
            "device": dataclasses.asdict(self.device),
            "versions": {
                "paddle": runtime.paddle_version(),
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }
        state = optimisation.optimizer_state(self.optimizer, self.task.network)
        folder = Path(self.run.output_model_dir)
        weights = checkpoint.weights_of(self.task.network)
        saved = checkpoint.save(folder, name, weights, state, info)
        if name != checkpoint.BEST:
            self._last_saved = saved
        return saved


def _holds(path: Path, best: Mapping[str, Any]) -> bool:
    """Whether the weights at `path` are those that had the score `best`."""
    try:
        info = checkpoint.read_info(path) or {}
    except InputError:
        return False  # damaged: whosever it was
    return bool(info.get("epoch") == best["epoch"] and info.get("progress", {}).get("best") == best)
