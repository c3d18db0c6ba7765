"""The loader: the same batches for any number of workers, and what becomes of bad files."""

import dataclasses
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from tones import Corpus

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.augmentation.specaug import SpecAugment
from data_utils.augmentation.speed import Speed
from data_utils.dataset import Batch, Example, SpeechDataset, collate
from data_utils.errors import InputError
from data_utils.loader import AHEAD_PER_WORKER, MAX_DEATHS, Loader, default_workers
from data_utils.manifest import Manifest
from data_utils.normalizer import Normalizer
from data_utils.sampling import epoch_batches
from data_utils.settings import BatchSettings
from data_utils.text import Vocabulary

MakeCorpus = Callable[..., Corpus]


def dataset(corpus: Corpus) -> SpeechDataset:
    return SpeechDataset(
        Manifest.open(corpus.manifest),
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std),
        time_reduction=3,
        augmentation=AugmentationPipeline.of([Speed(prob=0.5), SpecAugment(F=3, T=5, prob=1.0)]),
        seed=5,
    )


def content(batch: Batch) -> dict[str, object]:
    values = dataclasses.asdict(batch).items()
    return {k: (v.shape, v.tobytes()) if isinstance(v, np.ndarray) else v for k, v in values}


@dataclasses.dataclass
class Numbers:
    """Batches that only say which they are."""

    offset: int = 0
    folder: Path | None = None

    def batch(self, indices: Sequence[int] | np.ndarray, epoch: int) -> Batch:
        first = int(indices[0])
        if first == 1:
            time.sleep(0.3)  # those behind it are ready first
        if first == 98:
            raise InputError("manifest:98: changed")
        if first == 99:
            os._exit(1)
        if first == 97 and self.folder is not None and not (self.folder / "97").exists():
            (self.folder / "97").touch()
            os._exit(1)
        if self.folder is not None:
            (self.folder / str(first)).touch()
        value = np.full((1, 1), self.offset + 1000 * epoch + first, dtype=np.float32)
        return collate([Example(value, [1])])


def numbers(batches: Iterator[Batch]) -> list[int]:
    return [int(batch.features[0, 0, 0]) for batch in batches]


def plan(count: int) -> list[np.ndarray]:
    return [np.array([i]) for i in range(count)]


@pytest.fixture(scope="module")
def pool() -> Iterator[Loader]:
    with Loader({"a": Numbers(), "b": Numbers(500)}, num_workers=2) as loader:
        yield loader


def test_the_same_batches_for_any_number_of_workers(make_corpus: MakeCorpus) -> None:
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("一二三四"), rng.integers(1, 5))) for _ in range(14)]
    corpus = make_corpus(texts)
    (corpus.folder / "5.wav").write_bytes(b"RIFF")
    data = dataset(corpus)
    durations = data.manifest.durations
    found: list[list[dict[str, object]]] = []
    for workers in (0, 1, 2):
        with Loader({"train": data}, workers) as loader:
            found.append([])
            for epoch in (1, 2):
                by_four = BatchSettings(4, shuffle_method="batch_shuffle")
                batches = epoch_batches(durations, by_four, seed=0, epoch=epoch)
                found[-1] += [content(b) for b in loader.batches("train", batches, epoch)]
    assert len(found[0]) == 8
    assert found[0] == found[1] == found[2]
    # The file that cannot be read is named once an epoch, and costs nothing else.
    for epoch in (found[1][:4], found[1][4:]):
        [problem] = [problem for batch in epoch for problem in batch["problems"]]
        assert problem.startswith(f"{corpus.manifest}:6: {corpus.folder / '5.wav'}: ")
        items = [index for batch in epoch for index in batch["items"]]
        assert sorted(items) == [i for i in range(14) if i != 5]


def test_batches_come_in_the_order_asked_for(pool: Loader) -> None:
    assert numbers(pool.batches("a", plan(20), epoch=2)) == [2000 + i for i in range(20)]


class Work:
    """Batches that take a while, whatever else the processor has to do."""

    def batch(self, indices: Sequence[int] | np.ndarray, epoch: int) -> Batch:
        time.sleep(0.05)
        return collate([Example(np.full((1, 1), os.getpid(), dtype=np.float32), [1])])


def test_two_workers_are_faster_than_one() -> None:
    with Loader({"a": Work()}, 1) as one, Loader({"a": Work()}, 2) as two:
        for loader in (one, two):
            list(loader.batches("a", plan(4)))  # the start does not count
        for _ in range(5):  # somebody else may hold one up for a while
            seconds = []
            for loader in (one, two):
                started = time.perf_counter()
                batches = list(loader.batches("a", plan(12)))
                seconds.append(time.perf_counter() - started)
            assert len({float(batch.features[0, 0, 0]) for batch in batches}) == 2
            if seconds[1] < 0.8 * seconds[0]:
                return
    raise AssertionError(f"one worker {seconds[0]:.2f} s, two {seconds[1]:.2f} s")


def test_several_datasets_share_the_workers(pool: Loader) -> None:
    mixed = zip(pool.batches("a", plan(3)), pool.batches("b", plan(3)), strict=True)
    assert [numbers(iter(pair)) for pair in mixed] == [[0, 500], [1, 501], [2, 502]]


def test_a_plan_may_be_left_unfinished(pool: Loader) -> None:
    batches = pool.batches("a", plan(50))
    assert numbers(batches.__next__() for _ in range(2)) == [0, 1]
    batches.close()  # type: ignore[attr-defined]
    assert numbers(pool.batches("a", plan(2))) == [0, 1]
    assert numbers(pool.batches("a", [])) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_worker_is_the_callers(workers: int, pool: Loader) -> None:
    loader = pool if workers else Loader({"a": Numbers()}, 0)
    with pytest.raises(InputError, match="manifest:98: changed"):
        list(loader.batches("a", [np.array([0]), np.array([98]), np.array([2])]))
    assert numbers(loader.batches("a", plan(2))) == [0, 1], "it is usable still"


def test_no_more_batches_are_made_than_will_fit(tmp_path: Path) -> None:
    with Loader({"a": Numbers(folder=tmp_path)}, num_workers=1) as loader:
        batches = loader.batches("a", plan(50))
        next(batches)
        time.sleep(0.5)  # the worker goes on as far as it may
        assert len(list(tmp_path.iterdir())) <= AHEAD_PER_WORKER + 1
        assert len(list(batches)) == 49


def test_a_worker_that_dies_is_replaced_and_the_batches_are_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [np.array([i]) for i in (0, 2, 97, 3, 4, 5, 6, 7)]
    with Loader({"a": Numbers(folder=tmp_path), "b": Numbers(500)}, num_workers=2) as loader:
        others = loader.batches("b", plan(20))
        assert numbers(iter([next(others)])) == [500]
        assert numbers(loader.batches("a", order, epoch=1)) == [1000 + int(i[0]) for i in order]
        assert (tmp_path / "97").exists()
        # What was asked for before the death goes on too.
        assert numbers(others) == [500 + i for i in range(1, 20)]
    complaints = capsys.readouterr().err
    assert complaints.count("\n") == 1 and "warning: a data worker died" in complaints


def test_a_worker_killed_between_two_epochs_is_replaced() -> None:
    before = set(multiprocessing.active_children())
    with Loader({"a": Numbers()}, num_workers=1) as loader:
        assert numbers(loader.batches("a", plan(2))) == [0, 1]
        [worker] = set(multiprocessing.active_children()) - before
        worker.kill()
        worker.join()
        assert numbers(loader.batches("a", plan(2), epoch=1)) == [1000, 1001]


def test_workers_that_die_again_and_again_are_a_clear_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    order = [np.array([0]), np.array([99]), np.array([2])]
    with Loader({"a": Numbers()}, num_workers=1) as loader:
        batches = loader.batches("a", order)
        assert numbers(iter([next(batches)])) == [0], "what came before is not lost"
        with pytest.raises(InputError, match=rf"died {MAX_DEATHS} times.*--num_workers=0"):
            next(batches)
        assert capsys.readouterr().err.count("warning: a data worker died") == MAX_DEATHS - 1
        assert numbers(loader.batches("a", plan(2))) == [0, 1], "it is usable still"


def test_default_number_of_workers() -> None:
    assert 1 <= default_workers() <= 4
    with Loader({"a": Numbers()}, num_workers=0) as loader:
        assert loader.num_workers == 0
        assert numbers(loader.batches("a", plan(3), epoch=1)) == [1000, 1001, 1002]


def test_closing_waits_for_the_workers_to_end() -> None:
    # Python 3.11 complains of a closed pipe where it exits while they do.
    others = set(multiprocessing.active_children())
    with Loader({"a": Numbers()}, num_workers=1) as loader:
        assert numbers(loader.batches("a", plan(1))) == [0]
        assert len(set(multiprocessing.active_children()) - others) == 1
    assert not set(multiprocessing.active_children()) - others
