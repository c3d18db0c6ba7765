"""The checkpoints of one run: written, found again, kept no longer than wanted."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paddle import Tensor

from data_utils.errors import InputError
from model_utils import distributed
from model_utils.settings import RunSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.progress import Progress


class Keeper:
    """Where a run leaves what it has learned; of several processes the main one writes.

    Args:
        run: which folder, and what is kept there.
    """

    def __init__(self, run: RunSettings) -> None:
        self.last: Path | None = None
        """The newest checkpoint of the run, `best` apart, or the one that it goes on from."""
        self._run = run
        self._folder = Path(run.output_model_dir)
        self._folders = [self._folder]

    def sweep(self) -> None:
        """Remove what killed saves of earlier processes left half written."""
        if distributed.is_main():
            checkpoint.sweep(self._folder, distributed.STARTED)

    def goes_on_from(self, path: Path) -> None:
        """Note the checkpoint that the run was resumed from."""
        self.last = path
        self._folders.append(path.parent)

    def save(
        self,
        name: str,
        weights: Mapping[str, Tensor],
        optimizer: Mapping[str, Tensor],
        info: Mapping[str, Any],
        progress: Progress,
    ) -> None:
        """Write a checkpoint, and remove those that are not to be kept.

        Args:
            name: "23", "23_batch_2000" or `checkpoint.BEST`.
            weights: the network's state.
            optimizer: see `Updater.state`.
            info: JSON values, to which the progress is added.
            progress: the place in the run, which gets a name if it has none.

        Raises:
            InputError: it cannot be written, or a weight is not finite.
        """
        if distributed.is_main():
            progress.run = progress.run or uuid.uuid4().hex
            info = {**info, "progress": progress.describe()}
            checkpoint.save(self._folder, name, weights, optimizer, info)
            if self._run.keep_ckpt is not None:
                kept = self._run.keep_ckpt, self._run.keep_epochs
                checkpoint.prune(self._folder, progress.run, *kept)
        if name != checkpoint.BEST:
            self.last = self._folder / f"{name}{checkpoint.WEIGHTS}"

    def amend(self, progress: Progress) -> None:
        """Write the progress into the newest checkpoint again: its score is known now."""
        if self.last is not None and distributed.is_main():
            checkpoint.amend(self.last, progress=progress.describe())

    def best(self, score: Mapping[str, Any] | None) -> Path | None:
        """The checkpoint of the best score so far, in this run's folder or the resumed one's.

        None where there is no such score, or its checkpoint is not there any more: a file of that
        name may be of another run, or of an epoch later than the one resumed from.
        """
        if score is None:
            return None
        for folder in self._folders:
            for name in (checkpoint.BEST, score["epoch"]):
                path = folder / f"{name}{checkpoint.WEIGHTS}"
                if path.is_file() and _holds(path, score):
                    return path
        return None


def _holds(path: Path, best: Mapping[str, Any]) -> bool:
    """Whether the weights at `path` are those that had the score `best`."""
    try:
        info = checkpoint.read_info(path) or {}
    except InputError:
        return False  # damaged: whosever it was
    return bool(info.get("epoch") == best["epoch"] and info.get("progress", {}).get("best") == best)
