"""What `loader` measures: a process that loads the batches of `train.py` and does nothing else."""

import multiprocessing
import time

from benchmarks.answering import answer
from benchmarks.memory import peak_mb
from data_utils.dataset import SpeechDataset
from data_utils.loader import AHEAD_PER_WORKER, Loader
from data_utils.sampling import epoch_batches
from data_utils.settings import BatchSettings
from model_utils.options import parse_task
from model_utils.settings import TASKS, RunSettings
from model_utils.setup.job import open_source


def load(arguments: list[str], epochs: int) -> dict[str, list[float]]:
    """Load whole epochs.

    Args:
        arguments: of train.py.
        epochs: how many.

    Returns:
        For each epoch: utterances in a second (`items`), and the peaks so far, in MB, of this
        process (`own`) and of its largest worker (`worker`).
    """
    options = parse_task("train.py", TASKS, arguments)
    source, batching = open_source(options), options[BatchSettings]
    assert isinstance(source, SpeechDataset), "the options are of the recogniser"
    seed = options[RunSettings].seed
    found: dict[str, list[float]] = {"items": [], "own": [], "worker": []}
    with Loader({"train": source}, batching.num_workers) as loader:
        # Workers start, and everybody imports, over a few utterances.
        few = AHEAD_PER_WORKER * max(1, loader.num_workers)
        first = epoch_batches(source.durations, batching, seed=seed, epoch=1)[:few]
        for _ in loader.batches("train", [batch[:1] for batch in first]):
            pass
        for epoch in range(1, epochs + 1):
            plan = epoch_batches(source.durations, batching, seed=seed, epoch=epoch)
            started = time.perf_counter()
            count = sum(len(batch) for batch in loader.batches("train", plan, epoch))
            found["items"].append(count / (time.perf_counter() - started))
            found["own"].append(peak_mb())
            workers = multiprocessing.active_children()
            found["worker"].append(max((peak_mb(worker.pid) for worker in workers), default=0.0))
    return found


if __name__ == "__main__":
    answer(load=load)
