"""Recordings are read once while there is room, and batches are the same with and without."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tones import Corpus

from data_utils import dataset as dataset_module
from data_utils.cache import RecordingCache
from data_utils.manifest import Manifest
from data_utils.normalizer import Normalizer
from data_utils.settings import BatchSettings
from data_utils.text import Vocabulary
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5)), max_size=30),
    st.integers(0, 60),
)
def test_whatever_fits_is_read_once_and_the_rest_each_time(
    asked: list[tuple[str, int]], capacity: int
) -> None:
    sizes = dict(asked)  # samples of four bytes
    cache = RecordingCache(capacity)
    kept: set[str] = set()
    room = capacity
    for name, _ in asked:
        reads: list[str] = []

        def read(name: str = name, reads: list[str] = reads) -> np.ndarray:
            reads.append(name)
            return np.full(sizes[name], ord(name), dtype=np.float32)

        found = cache.get(name, read)
        assert found.tolist() == [ord(name)] * sizes[name]
        assert reads == ([] if name in kept else [name])
        if name not in kept and 4 * sizes[name] <= room:
            room -= 4 * sizes[name]
            kept.add(name)
        assert cache.room == room >= 0


@pytest.mark.parametrize(("workers", "each"), [(0, 6), (1, 6), (2, 3), (3, 2)])
def test_all_processes_together_keep_what_the_user_allows(workers: int, each: int) -> None:
    batching = BatchSettings(audio_cache_mb=6, num_workers=workers)
    assert RecordingCache.of(batching).room == each * 1024 * 1024


@pytest.mark.parametrize("capacity", [0, 1000])
def test_what_comes_out_cannot_be_changed(capacity: int) -> None:
    cache = RecordingCache(capacity)
    for _ in range(2):
        samples = cache.get("a", lambda: np.zeros(3, dtype=np.float32))
        with pytest.raises(ValueError, match="read-only"):
            samples[0] = 1


def test_a_dataset_decodes_once_and_computes_the_same(
    make_corpus: Callable[..., Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = make_corpus(["一", "二三"])
    recogniser = Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std, corpus.features),
        NetworkSettings(),
    )
    # Two parts of one file must not be taken for each other.
    whole = Manifest.open(corpus.manifest)
    lines = corpus.manifest.read_text("utf-8").splitlines()
    part = lines[0].rstrip("}")
    corpus.manifest.write_text(
        "\n".join(
            [
                *lines,
                f'{part}, "start": 0, "end": 0.1}}',
                f'{part}, "start": 0, "end": 0.13}}',
            ]
        ),
        encoding="utf-8",
    )
    manifest = Manifest.open(corpus.manifest)
    assert len(manifest) == len(whole) + 2
    decoded: list[str] = []
    read = dataset_module.read_speech
    monkeypatch.setattr(
        dataset_module,
        "read_speech",
        lambda path, **where: decoded.append(path) or read(path, **where),
    )
    plain = recogniser.dataset(manifest)
    keeping = recogniser.dataset(manifest, cache=RecordingCache(1 << 20))
    for _ in range(2):
        first, second = plain.batch(range(4)), keeping.batch(range(4))
        assert first.problems == second.problems == []
        assert first.frames.tolist() == second.frames.tolist()
        assert len(set(first.frames[[0, 2, 3]].tolist())) == 3
        assert first.features.tobytes() == second.features.tobytes()
    assert len(decoded) == 8 + 4
