"""Examples of the recogniser, stored once and trained from."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
from tones import Corpus

from data_utils.dataset import SpeechDataset
from data_utils.errors import InputError
from data_utils.settings import StoreSettings
from data_utils.store import Report, Store
from model_utils import storing, training
from model_utils.options import Options, parse
from model_utils.settings import TRAINING
from model_utils.setup.job import open_source
from model_utils.storing import process_data

pytestmark = pytest.mark.usefixtures("prepared")

TEXTS = ["一", "二三", "四", "一二", "三", "二", "四一", "一一", "三四", "二四"]
EFFECTS = [
    {"type": "volume", "params": {"min_gain_dBFS": -6, "max_gain_dBFS": 6}},
    {"type": "specaug", "params": {"F": 2, "T": 3}, "prob": 1.0},
]


@pytest.fixture
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus(TEXTS)


def options(corpus: Corpus, folder: Path, mode: str, *more: str) -> Options:
    flags = small.training(corpus, folder, *small.NETWORK, f"--mode={mode}", *more)
    store = f"--store_dir={corpus.folder / 'store'}"
    return parse("train.py", TRAINING, [*flags, store, "--batch_size=4", "--num_epoch=1"])


def losses(folder: Path) -> list[float]:
    [metrics] = folder.glob("log/*/metrics.jsonl")
    rows = map(json.loads, metrics.read_text(encoding="utf-8").splitlines())
    return [row["value"] for row in rows if row["tag"] == "Train loss"]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("float16", 1e-3), ("uint8", 1e-2)]
)
def test_the_first_epoch_from_the_store_is_that_from_the_recordings(
    dtype: str, tolerance: float, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (f"--store_dtype={dtype}", "--log_interval=1")
    process_data(options(corpus, tmp_path, "process_data", *more))
    assert "10 items" in capsys.readouterr().out and not (tmp_path / "param").exists()
    for mode in ("train", "fast_train"):
        training.train(options(corpus, tmp_path / mode, mode, *more))
    plain, stored = losses(tmp_path / "train"), losses(tmp_path / "fast_train")
    assert len(plain) >= 2 and np.allclose(stored, plain, rtol=tolerance)
    assert dtype == "float32" or stored != plain, "it was rounded, so it came from the store"


def test_variants_are_drawn_anew_and_masks_stay_live(corpus: Corpus, tmp_path: Path) -> None:
    path = tmp_path / "effects.json"
    path.write_text(json.dumps(EFFECTS), encoding="utf-8")
    more = (f"--augment_conf_path={path}", "--num_variants=3", "--store_dtype=float32")
    given = options(corpus, tmp_path, "process_data", *more)
    process_data(given)
    dataset = open_source(given)
    fingerprint = dataset.fingerprint()
    assert [effect["type"] for effect in fingerprint["augmentation"]] == ["volume 1"]
    settings = given[StoreSettings]
    dataset.store = store = Store.open(settings.store_dir, fingerprint, settings)
    heard = [store.arrays(3, variant)["features"] for variant in range(3)]
    for variant in range(3):
        assert (heard[variant] == dataset.computed(3, variant + 1)["features"]).all()
    drawn, masks = set(), set()
    for epoch in range(1, 61):
        features = dataset.example(3, epoch).features
        masked = features == 0
        plain = [dataset.normalizer(one) for one in heard]
        [found] = [n for n, one in enumerate(plain) if (one == features)[~masked].all()]
        drawn.add(found)
        masks.add(masked.tobytes())
    assert drawn == {0, 1, 2} and len(masks) > 3


def test_a_stale_store_is_refused_by_what_changed(corpus: Corpus, tmp_path: Path) -> None:
    given = options(corpus, tmp_path, "process_data")
    process_data(given)
    dataset = open_source(given)
    shorter = f"--max_duration={sorted(set(dataset.durations))[-2]}"
    fingerprint = dataset.fingerprint()
    fingerprint["features"]["hop_ms"] = 10.0
    with pytest.raises(InputError, match=r"features.hop_ms 20.0 where 10.0 is wanted"):
        Store.open(corpus.folder / "store", fingerprint, given[StoreSettings])
    for change, message in (
        ("--store_dtype=uint8", "store_dtype float16 where uint8 is wanted"),
        (shorter, "another manifest"),
    ):
        with pytest.raises(InputError, match=message):
            training.train(options(corpus, tmp_path, "fast_train", change))
    training.train(options(corpus, tmp_path, "fast_train", "--seed=7", "--batch_size=3"))


def test_what_cannot_be_meant_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    for flag, message in (
        ("--nproc_per_node=2", "--nproc_per_node=2: --mode=process_data uses the cores of one"),
        ("--num_variants=3", "--num_variants=3: without effects on waves all variants are alike"),
    ):
        with pytest.raises(InputError, match=message):
            process_data(options(corpus, tmp_path, "process_data", flag))
    with pytest.raises(InputError, match="no store is here; make it with --mode=process_data"):
        training.train(options(corpus, tmp_path, "fast_train"))
    assert not (corpus.folder / "store").exists()


def test_all_processes_together_keep_what_the_user_allows(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[tuple[int, int]] = []

    def write_store(source: SpeechDataset, *others: Any) -> Report:
        stored.append((others[2], source.cache.room))
        return Report(0, 0, 0, 0, 0, (), 0)

    monkeypatch.setattr(storing, "available_cores", lambda: 4)
    monkeypatch.setattr(storing, "write_store", write_store)
    for workers in ("None", "2"):
        more = (f"--num_workers={workers}", "--audio_cache_mb=8")
        process_data(options(corpus, tmp_path, "process_data", *more))
    assert stored == [(4, 2 << 20), (2, 4 << 20)]


def test_other_noises_are_another_store(corpus: Corpus, tmp_path: Path) -> None:
    noises = tmp_path / "manifest.noise"
    effect = {"type": "noise", "params": {"noise_manifest_path": str(noises)}, "prob": 1.0}
    (tmp_path / "effects.json").write_text(json.dumps([effect]), encoding="utf-8")
    lines = corpus.manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    noises.write_text("".join(lines[:3]), encoding="utf-8")
    more = f"--augment_conf_path={tmp_path / 'effects.json'}"
    process_data(options(corpus, tmp_path, "process_data", more))
    noises.write_text("".join(lines[:4]), encoding="utf-8")
    with pytest.raises(InputError, match=r"another augmentation\.0\.recordings"):
        training.train(options(corpus, tmp_path, "fast_train", more))
