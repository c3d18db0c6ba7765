"""Examples are stored once, whole, and alike however the work was divided or interrupted."""

import contextlib
import dataclasses
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from data_utils import store
from data_utils.audio import AudioError
from data_utils.errors import InputError
from data_utils.settings import StoreSettings
from data_utils.shards import Arrays, Field
from data_utils.store import Report, Store, write_store
from data_utils.workers import spawned_map

HOME = Path(__file__).resolve().parents[2]
MADE_WITH = {"features": {"hop_ms": 10.0}, "manifest": "0f" * 32}


@dataclasses.dataclass
class Numbers:
    """Random arrays of random lengths; some cannot be read, some end the process."""

    items: int = 40
    rows: tuple[int, int] = (1, 30)
    unreadable: frozenset[int] = frozenset()
    unreadable_variants: frozenset[tuple[int, int]] = frozenset()
    deadly: int | None = None
    long: int | None = None
    pause: float = 0.0

    def __len__(self) -> int:
        return self.items

    def where(self, index: int) -> str:
        return f"manifest:{index + 1}"

    def fields(self) -> dict[str, Field]:
        return {"noisy": Field(5, "decibel"), "mask": Field(3)}

    def arrays(self, index: int, variant: int) -> Arrays:
        time.sleep(self.pause)
        if index == self.deadly:
            os._exit(1)
        if index in self.unreadable or (index, variant) in self.unreadable_variants:
            raise AudioError(f"{index}.wav: file not found")
        rng = np.random.default_rng([index, variant])
        rows = 5000 if index == self.long else rng.integers(*self.rows, endpoint=True)
        shapes = {name: (rows, field.columns) for name, field in self.fields().items()}
        return {name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}


@pytest.fixture(autouse=True)
def several_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small stores are divided into 16 shards at most."""
    monkeypatch.setattr(store, "MIN_SHARD_BYTES", 0)


@pytest.fixture
def settings(tmp_path: Path) -> StoreSettings:
    return StoreSettings(store_dir=str(tmp_path / "store"), store_dtype="float32", num_variants=2)


def written(settings: StoreSettings, source: Numbers | None = None, num_workers: int = 0) -> Report:
    return write_store(Numbers() if source is None else source, settings, MADE_WITH, num_workers)


def opened(settings: StoreSettings) -> Store:
    return Store.open(settings.store_dir, MADE_WITH, settings)


def content(settings: StoreSettings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(settings.store_dir).iterdir())}


def elsewhere(settings: StoreSettings, name: str) -> StoreSettings:
    return dataclasses.replace(settings, store_dir=f"{settings.store_dir}-{name}")


def shards_in(settings: StoreSettings) -> int:
    return len(list(Path(settings.store_dir).glob("shard-*.json")))


# What comes out is what was put in


@pytest.mark.parametrize("dtype", ["float16", "uint8", "float32"])
def test_every_example_comes_back(settings: StoreSettings, dtype: str) -> None:
    settings = dataclasses.replace(settings, store_dtype=dtype)
    report = written(settings)
    assert (report.items, report.computed, report.left_out) == (40, 14, ())  # 3 items a shard
    found, source = opened(settings), Numbers()
    assert (len(found), found.num_variants, found.fields) == (40, 2, source.fields())
    atol = {"float16": 2.0**-12, "uint8": 1 / 50, "float32": 0}[dtype]  # values below 1
    for index in np.random.default_rng(0).permutation(40):
        for variant in range(2):
            expected = source.arrays(index, variant)
            arrays = found.arrays(index, variant)
            assert list(arrays) == list(expected)
            for name, values in arrays.items():
                assert values.dtype == np.float32
                np.testing.assert_allclose(values, expected[name], rtol=0, atol=atol)


def test_a_draw_is_each_of_the_variants_and_follows_from_the_generator(
    settings: StoreSettings,
) -> None:
    written(settings)
    found, source = opened(settings), Numbers()
    of = [source.arrays(7, variant) for variant in range(2)]
    drawn = []
    for seed in range(30):
        arrays, again = (found.draw(7, np.random.default_rng(seed)) for _ in range(2))
        assert all(np.array_equal(arrays[name], again[name]) for name in arrays)
        [variant] = [v for v in (0, 1) if all(np.array_equal(arrays[n], of[v][n]) for n in of[v])]
        drawn.append(variant)
    assert 5 < sum(drawn) < 25


def test_the_size_is_that_of_the_shards(settings: StoreSettings) -> None:
    report = written(settings)
    total = sum(path.stat().st_size for path in Path(settings.store_dir).glob("shard-*"))
    assert report.nbytes == opened(settings).nbytes == total


def test_any_number_of_workers_writes_the_same_bytes(settings: StoreSettings) -> None:
    source = Numbers(unreadable=frozenset({3, 4, 5, 20}))
    contents, reports, told = [], [], []
    for workers in (0, 1, 2):
        here = elsewhere(settings, str(workers))
        steps: list[int] = []
        reports.append(write_store(source, here, MADE_WITH, workers, steps.append))
        contents.append(content(here))
        told.append(sum(steps))
    assert contents[0] == contents[1] == contents[2] and len(contents[0]) == 1 + 2 * 14
    assert reports[0] == reports[1] == reports[2]
    assert told == [40, 40, 40]


def test_a_large_store_has_shards_of_the_size_asked_for(
    settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "SHARD_BYTES", 10_000)
    source = Numbers(items=300, rows=(10, 10))
    written(settings, source)
    sizes = [path.stat().st_size for path in sorted(Path(settings.store_dir).glob("*.bin"))]
    item = 2 * 10 * 8 * 4  # variants, rows, columns, bytes
    assert set(sizes[:-1]) == {10_000 // item * item}
    assert sum(sizes) == 300 * item


def test_a_store_travels_to_a_worker(settings: StoreSettings) -> None:
    written(settings, Numbers(items=400))
    found = opened(settings)
    for index in range(400):
        found.arrays(index, 0)
    assert len(pickle.dumps(found)) < 1000
    [arrays] = spawned_map(first_example, [found], 1, cure="")
    np.testing.assert_array_equal(arrays["mask"], Numbers().arrays(0, 0)["mask"])


def first_example(found: Store) -> Arrays:
    return found.arrays(0, 0)


# Memory


def test_an_example_is_read_without_its_neighbours(settings: StoreSettings) -> None:
    written(settings)
    expected = Numbers().arrays(4, 1)
    size = sum(values.nbytes for values in expected.values())
    path = Path(settings.store_dir) / "shard-00001.bin"
    block = np.concatenate(list(expected.values()), axis=1).tobytes()
    offset = path.read_bytes().index(block)
    path.write_bytes(os.urandom(offset) + block)
    os.truncate(path, 1 << 40)  # nothing that reads the whole file would come back
    assert len(block) == size
    for name, values in opened(settings).arrays(4, 1).items():
        np.testing.assert_array_equal(values, expected[name])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads what Linux tells")
def test_memory_stays_flat(settings: StoreSettings) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    written(settings, Numbers(items=300, rows=(2000, 2000)))
    found = opened(settings)
    assert found.nbytes > 35e6
    found.arrays(0, 0)
    before = resident()
    for index in range(300):
        found.arrays(index, index % 2)
    assert resident() - before < 5e6


# Interruption


CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below a shell's background job
from data_utils import store
from tests.data_utils.test_store import MADE_WITH, Numbers, StoreSettings
store.MIN_SHARD_BYTES = 0
settings = StoreSettings(store_dir=sys.argv[1], store_dtype="float32", num_variants=2)
source = Numbers(items=int(sys.argv[3]), pause=0.01)
store.write_store(source, settings, MADE_WITH, int(sys.argv[2]))
"""


def halves(folder: Path) -> bool:
    return bool(list(folder.glob(".shard-*.tmp")))


@contextlib.contextmanager
def started(
    settings: StoreSettings, workers: int, until: Callable[[], bool], items: int = 40
) -> Iterator[subprocess.Popen]:
    """A process that stores, from the moment on when `until` is true."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, settings.store_dir, str(workers), str(items)],
        cwd=HOME,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not until():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.001)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize(
    ("how", "workers"), [(signal.SIGKILL, 0), (signal.SIGKILL, 2), (signal.SIGINT, 2)]
)
def test_an_interrupted_run_goes_on(
    settings: StoreSettings, how: signal.Signals, workers: int
) -> None:
    folder = Path(settings.store_dir)
    with started(settings, workers, lambda: shards_in(settings) >= 3 and halves(folder)) as process:
        process.send_signal(how)
        process.wait(timeout=15)
    time.sleep(0.2)  # its workers follow it
    kept = shards_in(settings)
    assert 3 <= kept < 14
    if how == signal.SIGINT:
        assert not halves(folder)
    with pytest.raises(InputError, match=rf"unfinished, {14 - kept} of 14 .*--mode=process_data"):
        opened(settings)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("shard-*.json")}
    report = written(settings)
    assert (report.kept, report.computed, report.rebuilt) == (kept, 14 - kept, 0)
    assert before.items() <= {path: path.stat().st_mtime_ns for path in before}.items()
    whole = elsewhere(settings, "whole")
    written(whole)
    assert content(settings) == content(whole)  # nothing half written is left either


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_does_not_wait_for_a_shard(settings: StoreSettings) -> None:
    folder = Path(settings.store_dir)
    items = 16 * 1500  # half a minute for each of 16 shards
    with started(settings, 2, lambda: halves(folder), items) as process:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)
    assert [path.name for path in folder.iterdir()] == ["store.json"]


def test_a_finished_store_is_left_alone(settings: StoreSettings) -> None:
    first = written(settings)
    before = {path: path.stat().st_mtime_ns for path in Path(settings.store_dir).iterdir()}
    again = written(settings)
    assert (again.kept, again.computed, again.rebuilt, again.completed) == (14, 0, 0, 0)
    assert before == {path: path.stat().st_mtime_ns for path in Path(settings.store_dir).iterdir()}
    assert str(first).endswith(" MB: shards 14 computed")
    assert str(again).endswith(" MB: finished and sound already, nothing to do")


def test_a_worker_that_dies_costs_no_finished_shard(settings: StoreSettings) -> None:
    with pytest.raises(InputError, match=r"a worker process died .*process_data again"):
        written(settings, Numbers(deadly=38, pause=0.005), num_workers=2)
    finished = shards_in(settings)
    assert finished > 0
    report = written(settings)
    assert report.kept == finished and report.computed == 14 - finished


@pytest.mark.skipif(os.name == "nt", reason="limits of Unix")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_costs_no_finished_shard(settings: StoreSettings, workers: int) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # of one file
    try:
        with pytest.raises(InputError) as caught:
            written(settings, Numbers(long=38), workers)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == (
        f"{settings.store_dir}: the store cannot be written (File too large); finished shards "
        "stay: make room and run --mode=process_data again, it goes on from there"
    )
    finished = shards_in(settings)
    # The other worker may have had one of the first twelve in hand, or the last one done.
    assert 12 - (workers > 0) <= finished <= 13 and not halves(Path(settings.store_dir))
    assert written(settings, Numbers(long=38)).kept == finished


# Damage


def flips(size: int) -> Iterator[int]:
    yield from np.random.default_rng(1).integers(0, size, 10).tolist()


def test_a_flipped_byte_is_found_and_mended(settings: StoreSettings) -> None:
    written(settings)
    before = content(settings)
    path = Path(settings.store_dir) / "shard-00005.bin"
    for place in flips(path.stat().st_size):
        flipped = bytearray(before[path.name])
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        found = opened(settings)
        damaged = []
        for index in range(40):
            for variant in range(2):
                try:
                    arrays = found.arrays(index, variant)
                except AudioError as error:
                    assert re.fullmatch(
                        rf"{path}: damaged at byte \d+ or behind; run --mode=process_data again, "
                        "which mends it",
                        str(error),
                    )
                    damaged.append((index, variant))
                else:
                    expected = Numbers().arrays(index, variant)["noisy"]
                    np.testing.assert_array_equal(arrays["noisy"], expected)
        assert len(damaged) == 1 and damaged[0][0] in (15, 16, 17)
        report = written(settings)
        assert (report.kept, report.rebuilt) == (13, 1)
        assert str(report).endswith("shards 1 damaged and computed anew, 13 kept")
        assert content(settings) == before


def test_a_damaged_index_is_found_and_mended(settings: StoreSettings) -> None:
    settings = dataclasses.replace(settings, store_dtype="uint8")  # levels are in the index
    written(settings)
    before = content(settings)
    path = Path(settings.store_dir) / "shard-00005.json"
    cases = [b"", b"{}", b"[]", before[path.name][:100], before["shard-00004.json"][:-9]]
    for place in flips(path.stat().st_size):
        flipped = bytearray(before[path.name])
        flipped[place] ^= 1
        cases.append(bytes(flipped))
    for case in cases:
        path.write_bytes(case)
        found = opened(settings)
        try:
            arrays = found.arrays(15, 0)
        except AudioError as error:
            assert "damaged; run --mode=process_data again" in str(error)
            assert written(settings).rebuilt == 1
        else:  # a bit that changes nothing, as of a space
            levels = 1 / 50
            np.testing.assert_allclose(arrays["mask"], Numbers().arrays(15, 0)["mask"], 0, levels)
            path.write_bytes(before[path.name])
        assert content(settings) == before


def test_a_file_cut_short_or_gone_is_found_and_mended(settings: StoreSettings) -> None:
    written(settings)
    before = content(settings)
    path = Path(settings.store_dir) / "shard-00005.bin"
    found = opened(settings)
    for size in (0, 1, path.stat().st_size - 1):
        os.truncate(path, size)
        with pytest.raises(AudioError, match=r"shard-00005\.bin: missing or cut short; run "):
            found.arrays(17, 1)
        assert written(settings).rebuilt == 1
    path.unlink()
    with pytest.raises(AudioError, match="missing or cut short"):
        found.arrays(17, 1)
    with pytest.raises(InputError, match="unfinished, 1 of 14 shards are missing"):
        opened(settings)
    assert written(settings).rebuilt == 1
    assert content(settings) == before


# Items that cannot be read


def test_what_cannot_be_read_is_listed_and_left_out(settings: StoreSettings) -> None:
    source = Numbers(
        unreadable=frozenset({0, 6, 7, 8}), unreadable_variants=frozenset({(20, 1), (21, 0)})
    )
    report = written(settings, source)
    lines = [f"manifest:{i + 1}: {i}.wav: file not found" for i in (0, 6, 7, 8, 20, 21)]
    lines[4] += " (1 of 2 variants)"
    lines[5] += " (1 of 2 variants)"
    assert list(report.left_out) == lines
    assert str(report).startswith("40 items, 6 of them left out, ")
    found = opened(settings)
    with pytest.raises(AudioError, match=r"^6\.wav: file not found \(so it was left out of the"):
        found.arrays(6, 1)
    with pytest.raises(AudioError, match=r"^20\.wav"):
        found.arrays(20, 1)
    for index, variant in ((1, 0), (9, 1), (20, 0), (21, 1)):
        expected = source.arrays(index, variant)["mask"]
        np.testing.assert_array_equal(found.arrays(index, variant)["mask"], expected)
    again = written(settings, source)
    assert (again.kept, again.left_out) == (14, report.left_out)


def test_what_can_be_read_again_is_made_up_for(settings: StoreSettings) -> None:
    written(
        settings, Numbers(unreadable=frozenset({7, 8}), unreadable_variants=frozenset({(1, 1)}))
    )
    report = written(settings, Numbers(unreadable=frozenset({8})))
    assert (report.kept, report.completed, len(report.left_out)) == (12, 2, 1)
    assert str(report).endswith("shards 2 computed anew with what can be read now, 12 kept")
    whole = elsewhere(settings, "whole")
    written(whole, Numbers(unreadable=frozenset({8})))
    assert content(settings) == content(whole)


@pytest.mark.parametrize("items", [0, 1, 20])
def test_nothing_to_store_leaves_nothing(settings: StoreSettings, items: int) -> None:
    source = Numbers(items=items, unreadable=frozenset(range(items)))
    first = "; the first: manifest:1: 0.wav: file not found" if items else ""
    with pytest.raises(InputError, match=f"^none of the {items} items can be read{first}$"):
        written(settings, source)
    assert not Path(settings.store_dir).exists()


def test_one_that_can_be_read_is_enough(settings: StoreSettings) -> None:
    report = written(settings, Numbers(unreadable=frozenset(range(40)) - {17}))
    assert len(report.left_out) == 39
    assert len(opened(settings).arrays(17, 0)["mask"]) > 0


# What the folder may hold


CHANGES = [
    ({"features": {"hop_ms": 12.5}}, "features.hop_ms 10.0 where 12.5 is wanted"),
    ({"manifest": "1e" * 32}, "another manifest"),
    ({"store_dtype": "uint8"}, "store_dtype float32 where uint8 is wanted"),
    ({"num_variants": 3}, "num_variants 2 where 3 is wanted"),
    (
        {"features": {"hop_ms": 12.5}, "manifest": "1e" * 32, "num_variants": 1},
        "features.hop_ms 10.0 where 12.5 is wanted, another manifest, "
        "num_variants 2 where 1 is wanted",
    ),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_a_store_of_something_else_is_refused_by_name(
    settings: StoreSettings, change: dict, said: str
) -> None:
    written(settings)
    before = content(settings)
    wanted = MADE_WITH | {name: change[name] for name in MADE_WITH if name in change}
    options = {name: change[name] for name in ("store_dtype", "num_variants") if name in change}
    other = dataclasses.replace(settings, **options)
    message = re.escape(
        f"{settings.store_dir}: made with {said}; give the options it was made with, another "
        "--store_dir, or delete the folder and run --mode=process_data"
    )
    with pytest.raises(InputError, match=f"^{message}$"):
        write_store(Numbers(), other, wanted, 0)
    with pytest.raises(InputError, match=f"^{message}$"):
        Store.open(settings.store_dir, wanted, other)
    assert content(settings) == before


def test_another_dataset_under_the_same_fingerprint_is_refused(settings: StoreSettings) -> None:
    written(settings)
    with pytest.raises(InputError, match="made with items 40 where 41 is wanted;"):
        written(settings, Numbers(items=41))

    class Wider(Numbers):
        def fields(self) -> dict[str, Field]:
            return {"noisy": Field(6, "decibel"), "mask": Field(3)}

    with pytest.raises(InputError, match=r"made with fields\.noisy\.columns 5 where 6 is wanted;"):
        written(settings, Wider())


def test_a_folder_of_other_things_is_refused(settings: StoreSettings) -> None:
    folder = Path(settings.store_dir)
    folder.mkdir()
    (folder / "README.md").write_text("# About")
    (folder / "shard-00000.bin").touch()
    with pytest.raises(InputError, match=r"holds README.md and 1 more, and no store; give another"):
        written(settings)
    assert sorted(content(settings)) == ["README.md", "shard-00000.bin"]


def test_an_empty_folder_is_taken(settings: StoreSettings) -> None:
    Path(settings.store_dir).mkdir()
    (Path(settings.store_dir) / ".store.json.123.tmp").write_text("{")  # left by a kill
    assert written(settings).computed == 14
    assert not (Path(settings.store_dir) / ".store.json.123.tmp").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(settings: StoreSettings) -> None:
    Path(settings.store_dir).touch()
    with pytest.raises(InputError, match="cannot be written"):
        written(settings)


def test_no_store_names_the_mode_that_makes_it(settings: StoreSettings) -> None:
    with pytest.raises(InputError, match=r"store: no store is here; .*--mode=process_data$"):
        opened(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "damaged, or of something else"),
        ("[]", "damaged, or of something else"),
        ('{"name": "a shop"}', "damaged, or of something else"),
        ('{"format": 1, "layout": {}}', "damaged, or of something else"),
        ('{"format": 99}', "format 99 where this version reads 1"),
    ],
)
def test_another_description_is_refused(settings: StoreSettings, text: str, said: str) -> None:
    written(settings)
    path = Path(settings.store_dir) / "store.json"
    path.write_text(text)
    before = content(settings)
    for attempt in (written, opened):
        with pytest.raises(InputError, match=rf"store\.json: {said}; give another --store_dir"):
            attempt(settings)
    assert content(settings) == before


def test_the_description_can_be_read_by_people(settings: StoreSettings) -> None:
    written(settings)
    description = json.loads((Path(settings.store_dir) / "store.json").read_text("utf-8"))
    assert description["fingerprint"] == MADE_WITH
