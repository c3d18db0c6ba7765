"""The training loop, in the order in which things happen.

It knows steps, checkpoints, schedules and logs; what is trained, and on what, a task knows.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.errors import InputError
from model_utils import distributed, runtime
from model_utils.settings import OptimisationSettings, RunSettings, ScheduleSettings
from model_utils.trainer import checkpoint, schedules
from model_utils.trainer.checkpoint import Checkpoint
from model_utils.trainer.gradients import Outcome
from model_utils.trainer.health import Collapse, SkippedSteps
from model_utils.trainer.interruption import Interruption
from model_utils.trainer.keeping import Keeper
from model_utils.trainer.progress import Progress
from model_utils.trainer.runlog import RunLog
from model_utils.trainer.task import Score, Task
from model_utils.trainer.updating import Updater
from model_utils.trainer.watchdog import Watchdog


class Stopped(Exception):
    """The run ends before its last epoch, everything saved; the message says why."""


class Trainer:
    """Trains the network of one task.

    Args:
        task: what is trained.
        settings: how gradients become weights.
        schedule: the learning rate over the run.
        run: how long, and what is left behind.
        device: what is computed on.
        options: every option of the command, kept in the checkpoints.

    Raises:
        InputError: settings that contradict each other, or that this device cannot follow.
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
        self.updater = Updater(task, settings, device, run.seed)
        self.keeper = Keeper(run)
        self._skipped = SkippedSteps(settings.grad_clip)
        self._collapse = Collapse()
        self._interruption = Interruption()
        self._watchdog = Watchdog(run.watchdog_seconds)
        self._is_asked_to_stop = False
        self._versions = runtime.versions()

    def resume(self, saved: Checkpoint, start_epoch: int = 0) -> list[str]:
        """Go on where `saved` stopped: weights, optimizer, place in the epoch, best score.

        A place inside an epoch holds for the batches that the epoch had then. Where they follow
        from something else now (see `Task.plan`), the epoch begins again with its first batch.

        Args:
            saved: what to go on from.
            start_epoch: epoch to go on with, from its first batch; 0: where `saved` says.

        Returns:
            What that is, such as "batch_size was 16, is 32"; nothing where the place is kept.

        Raises:
            InputError: it is of another network or optimizer, or does not know its place.
        """
        self.updater.restore(saved)
        self.keeper.goes_on_from(saved.path)
        if saved.info is None:
            self.progress = Progress(
                epoch=saved.epoch + 1, step=saved.epoch * self.task.num_batches()
            )
        else:
            self.progress = Progress.of(saved.info.get("progress"), saved.path)
        if start_epoch:
            self.progress.epoch, self.progress.batch = start_epoch, 0
            self.progress.is_to_score = False
        if saved.info is None:
            return []
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

    def learning_rate(self, epoch: int, batch: int) -> float:
        """The rate of one batch of the run, on as many devices as there are."""
        place = schedules.Place(
            epoch, batch, self.task.num_batches(), self.run.num_epoch, self.progress.reductions
        )
        factor = schedules.device_factor(self.schedule.lr_scaling, distributed.world_size())
        return factor * schedules.learning_rate(self.schedule, place)

    def train(self) -> str:
        """Train until epoch `num_epoch` is done.

        Returns:
            Why it ended earlier, with everything saved; empty where it did not.

        Raises:
            InputError: the task cannot go on, or a checkpoint cannot be written. The message names
                the checkpoint from which to go on, saved for that where batches were done since
                the last one.
        """
        self._meet()
        self.keeper.sweep()
        num_batches = self.task.num_batches()
        folder = Path(self.run.log_dir) if distributed.is_main() else None
        self.log = RunLog(folder, self.run.num_epoch, num_batches, self.run.clean_logs)
        self.log.keep_options(self.options, self._versions)
        try:
            with self._interruption.listening(), self._watchdog.watching():
                self.log.list_left_out(self.task.left_out())
                if self.progress.is_to_score:  # stopped between an epoch and its score
                    self._score_epoch(self.progress.epoch - 1)
                for epoch in range(self.progress.epoch, self.run.num_epoch + 1):
                    self._train_epoch(epoch, num_batches)
                    self.progress.epoch, self.progress.batch = epoch + 1, 0
                    self.progress.is_to_score = bool(self.task.score_sets) and not self.run.test_off
                    # Saved before it is scored: whatever happens there, the epoch is not lost.
                    self._save(str(epoch), epoch)
                    self._score_epoch(epoch)
                    self._stop_if_due(epoch)
        except Stopped as stopped:
            return str(stopped)
        except InputError as error:
            if self.keeper.last is None:
                raise
            raise InputError(f"{error}; go on with --resume_model={self.keeper.last}") from None
        finally:
            self.log.close()
        return ""

    def _meet(self) -> None:
        """Refuse processes that would train from different places.

        Of several machines each reads the checkpoint from its own disk, or none.
        """
        place = (self.progress.epoch, self.progress.batch, self.task.num_batches())
        for rank, other in enumerate(distributed.gathered(place)):
            if other != place:
                raise InputError(
                    f"process {distributed.rank()} begins with epoch {place[0]}, batch {place[1]} "
                    f"of {place[2]}, process {rank} with epoch {other[0]}, batch {other[1]} of "
                    f"{other[2]}; all machines need the same data and checkpoints"
                )

    def _train_epoch(self, epoch: int, num_batches: int) -> None:
        self.task.network.train()
        self.log.start_epoch(epoch, self.progress.batch)
        lost: list[str] = []
        recent: list[float] = []
        trained = False
        for number, parts in self._batches(epoch, num_batches):
            rate = self.learning_rate(epoch, number)
            for problem in [problem for part in parts for problem in self.task.problems(part)]:
                self.log.left_out(problem)
                lost.append(problem)
            outcome = self._step(parts, rate)
            if outcome.is_good:
                recent.append(outcome.loss)
                trained = True
            self.progress.batch, self.progress.step = number + 1, self.progress.step + 1
            self.log.batch_done(sum(self.task.seconds(part) for part in parts))
            if number % self.run.log_interval == 0 and recent:
                mean = float(np.mean(recent))
                self.log.train(epoch, number, self.progress.step, rate, mean, outcome.norm)
                recent.clear()
            if number + 1 < num_batches:
                if (number + 1) % self.run.save_interval == 0:
                    self._save(f"{epoch}_batch_{number + 1}", epoch)
                self._stop_if_due(epoch)
        self.log.end_epoch()
        lost = [problem for each in distributed.gathered(lost) for problem in each]
        for problem in lost:  # those of other processes are news to the main one
            self.log.left_out(problem)
        if lost and not trained:
            raise InputError(
                f"epoch {epoch}: nothing was learned, all {len(lost)} items had to be left out; "
                f"the first: {lost[0]}"
            )

    def _batches(self, epoch: int, num_batches: int) -> Iterator[tuple[int, list[Any]]]:
        """The epoch's batches that are not done, of each the own share, with their numbers.

        What was trained is saved when no more of them come.
        """
        start = self.progress.batch
        batches = self.log.waiting(self.task.train_batches(epoch, start))
        try:
            yield from enumerate(batches, start)
        except InputError:
            if start < self.progress.batch < num_batches:
                self._save(f"{epoch}_batch_{self.progress.batch}", epoch)
            raise

    def _step(self, parts: list[Any], rate: float) -> Outcome:
        """One update, and what it shows of the run's health."""
        outcome = self.updater.step(parts, rate, self.progress.step, self._interruption.is_asked)
        self._is_asked_to_stop |= outcome.is_asked_to_stop
        if not outcome.is_finite and not self.updater.precision.is_searching:
            self._name_skipped(parts, outcome)
        self._skipped.judge(outcome)
        self._watchdog.step_done()
        return outcome

    def _name_skipped(self, parts: list[Any], outcome: Outcome) -> None:
        own = [name for part in parts for name in self.task.names(part)]
        names = ", ".join(name for others in distributed.gathered(own) for name in others)
        self.log.warn(f"{outcome.problem}, the step is skipped; its utterances: {names}")

    def _stop_if_due(self, epoch: int) -> None:
        """End the run here where that was asked for, by signal or by option."""
        reason, patience = "", self.run.early_stopping
        if self._is_asked_to_stop:
            reason = "stopped as asked"
        elif self.run.max_steps is not None and self.progress.step >= self.run.max_steps:
            reason = f"stopped after {self.progress.step} steps (--max_steps)"
        elif patience is not None and self.progress.stale > patience:
            reason = f"stopped: no better score in {self.progress.stale} epochs (--early_stopping)"
        if not reason:
            return
        if self.progress.batch:
            self._save(f"{epoch}_batch_{self.progress.batch}", epoch)
        raise Stopped(reason)

    def _score_epoch(self, epoch: int) -> None:
        """Score what `epoch` left, and note whether it is the best so far."""
        if self.run.test_off or not self.task.score_sets:
            return
        self.task.network.eval()
        scores: dict[str, Score] = {}
        with self.updater.average.in_place():
            for name in self.task.score_sets:
                scores[name] = score = self.task.score(name, self._scored_batch)
                self.log.score(epoch, name, score)
        name, score = next(iter(scores.items()))  # the first set decides
        better = self.progress.judge(epoch, name, score, self.schedule.plateau_patience)
        self.progress.is_to_score = False
        if better:
            self._save(checkpoint.BEST, epoch)
        # Last: a run that is killed before scores this epoch again, and saves the best again.
        self.keeper.amend(self.progress)
        if advice := self._collapse.judge(score):
            self.log.warn(advice)

    def _scored_batch(self) -> None:
        self._watchdog.step_done()
        # Of several processes none may leave the others waiting: they finish the scoring.
        if self._interruption.is_asked() and distributed.world_size() == 1:
            raise Stopped("stopped as asked")

    def _save(self, name: str, epoch: int) -> None:
        info = {
            "format": 1,
            "epoch": epoch,
            "precision": self.updater.precision.state(),
            "plan": self.task.plan(),
            **self.task.describe(),
            "options": self.options,
            "device": dataclasses.asdict(self.device),
            "versions": self._versions,
        }
        with self.updater.average.in_place() as trained:
            weights = checkpoint.weights_of(self.task.network)
            self.keeper.save(name, weights, self.updater.state(trained), info, self.progress)
        self._watchdog.step_done()
