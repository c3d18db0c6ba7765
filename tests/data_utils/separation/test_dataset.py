"""Songs to chunks to padded batches of magnitudes."""

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from songs import RATE, SMALL, write_song

from data_utils.audio import AudioError
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.mixing import LEVEL_DB
from data_utils.separation.dataset import SongChunks, song_chunks
from data_utils.separation.settings import STEMS, SongSettings
from data_utils.separation.songs import Song, find_songs, read_songs, write_manifest
from data_utils.settings import StoreSettings
from data_utils.store import Store, write_store


def song(duration: float, rate: int = RATE) -> Song:
    return Song("mix", "vocal", "instrumental", duration, rate, "manifest.csv:2")


def chunks_of(folder: Path, settings: SongSettings = SMALL, **how: Any) -> SongChunks:
    """Chunks of the songs that are in a folder."""
    write_manifest(folder / "manifest.csv", find_songs(folder)[0])
    return SongChunks(read_songs(folder / "manifest.csv", folder), settings, **how)


@given(
    duration=st.floats(22, 4000),
    chunk=st.floats(0.5, 20),
    margin=st.floats(0, 1),
    n=st.integers(1, 40),
)
def test_chunks_start_where_the_formula_says(
    duration: float, chunk: float, margin: float, n: int
) -> None:
    settings = SongSettings(margin=margin, chunk_duration=chunk, n_chunks_per_song=n)
    chunks = list(song_chunks(song(duration), settings))
    expected = [
        margin if n == 1 else k * (duration - chunk - 2 * margin) / (n - 1) + margin
        for k in range(n)
    ]
    assert np.allclose([c.start for c in chunks], expected)
    assert np.allclose([c.end - c.start for c in chunks], chunk)
    assert chunks[0].start == margin and chunks[-1].end <= duration - margin + 1e-6


def test_the_defaults_of_the_table() -> None:
    """Fifteen chunks of 20 s in a song of 3 min 30 s: from 0.5 s to 189.5 s, 13.5 s apart."""
    starts = [c.start for c in song_chunks(song(210.0), SongSettings())]
    assert starts == pytest.approx([0.5 + 13.5 * k for k in range(15)])


@pytest.mark.parametrize(
    ("duration", "spans"),
    [
        (21.0, [(0.5, 20.5)] * 15),  # exactly a chunk and both margins
        (20.9, [(0.5, 20.4)]),
        (1.2, [(0.5, 0.7)]),
        (1.05, []),  # 50 ms between the margins, a frame lasts 93
        (0.5, []),
    ],
)
def test_a_short_song_is_one_chunk_of_what_is_there(
    duration: float, spans: list[tuple[float, float]]
) -> None:
    chunks = [(c.start, c.end) for c in song_chunks(song(duration), SongSettings())]
    assert np.allclose(chunks, spans) and len(chunks) == len(spans)


def test_short_songs_and_low_rates_are_said_once() -> None:
    songs = [song(100.0, 44100), song(12.0, 44100), song(0.9, 44100), song(100.0, 22050)]
    dataset = SongChunks(songs, SongSettings())
    assert len(dataset) == 15 + 1 + 0 + 15
    assert [note.split("): ")[-1] for note in dataset.notes] == [
        "one part of 11.0 s is used",
        "left out, not a frame fits between the margins",
        "nothing is learned of what lies above theirs",
    ]
    assert dataset.notes[0].startswith("manifest.csv:2: mix: 12.0 s, shorter than ")
    with pytest.raises(InputError, match="left out, not a frame fits"):
        SongChunks([song(0.9)], SongSettings())


def test_magnitudes_are_those_of_the_definition(tmp_path: Path) -> None:
    """The sums of the Fourier transform, written out, of the part of the file."""
    waves = write_song(tmp_path / "a", 4.0)
    dataset = chunks_of(tmp_path)
    assert len(dataset) == 3 and dataset.durations.tolist() == [1.0] * 3
    arrays = dataset.arrays(1)
    first = round((0.25 + (4.0 - 1.0 - 0.5) / 2) * RATE)
    part = waves[:, first : first + RATE].astype(np.float64)
    part *= 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(part[0] ** 2))
    n, k = np.arange(256), np.arange(64)
    basis = (
        np.exp(-2j * np.pi * np.outer(n, k) / 256)
        * (0.5 - 0.5 * np.cos(2 * np.pi * n / 255))[:, None]
    )
    for name, wave in zip(("mixture", *STEMS), part, strict=True):
        frames = [wave[t * 64 : t * 64 + 256] for t in range((RATE - 256) // 64 + 1)]
        assert arrays[name].dtype == np.float32
        assert np.allclose(arrays[name], np.abs(np.array(frames) @ basis), atol=1e-3)


def test_the_mixture_has_its_level_and_is_the_sum_of_its_stems(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0)
    mixture, vocals, accompaniment = chunks_of(tmp_path).waves(2)
    assert np.sqrt(np.mean(mixture**2)) == pytest.approx(10 ** (LEVEL_DB / 20), rel=1e-3)
    assert np.allclose(mixture, vocals + accompaniment, atol=1e-6)


def test_recordings_come_to_the_rate_of_the_settings(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0, rate=2 * RATE)
    higher, same = chunks_of(tmp_path).arrays(0)["vocals"], None
    write_song(tmp_path / "b", 4.0)
    same = chunks_of(tmp_path).arrays(3)["vocals"]
    assert higher.shape == same.shape
    tone = 300 * 256 // RATE
    assert higher.mean(axis=0).argmax() in (tone, tone + 1)


def test_channels_are_mixed_and_the_shortest_recording_decides(tmp_path: Path) -> None:
    waves = write_song(tmp_path / "a", 2.0)
    mono = chunks_of(tmp_path).waves(0)
    stereo = np.stack([2 * waves[1], np.zeros(2 * RATE)], axis=1)
    soundfile.write(tmp_path / "a/vocal.wav", stereo, RATE, subtype="FLOAT")
    assert np.allclose(chunks_of(tmp_path).waves(0), mono, atol=1e-6)
    soundfile.write(tmp_path / "a/vocal.wav", waves[1, : 2 * RATE - 700], RATE, subtype="FLOAT")
    settings = dataclasses.replace(SMALL, margin=0.0)
    dataset = SongChunks(read_songs(tmp_path / "manifest.csv", tmp_path), settings)
    assert dataset.waves(2).shape == (3, RATE - 700)


def test_only_the_chunk_is_read(tmp_path: Path) -> None:
    """What is broken elsewhere in the file is not met."""
    waves = write_song(tmp_path / "a", 4.0)
    waves[0, -RATE:] = np.nan
    soundfile.write(tmp_path / "a/mixture.wav", waves[0], RATE, subtype="FLOAT")
    dataset = chunks_of(tmp_path)
    dataset.arrays(0)
    with pytest.raises(AudioError, match=r"mixture\.wav: not finite"):
        dataset.arrays(2)


def test_a_batch_is_padded_to_whole_blocks(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0)
    write_song(tmp_path / "b", 0.8)  # one chunk of 0.3 s
    dataset = chunks_of(tmp_path)
    assert len(dataset) == 4
    batch = dataset.batch([3, 1])
    frames = [(2400 - 256) // 64 + 1, (8000 - 256) // 64 + 1]
    assert batch.frames.tolist() == frames and batch.frames.dtype == np.int64
    assert frames[1] == 122 and batch.mixture.shape == (2, 128, 64)
    assert batch.stems.shape == (2, 2, 128, 64) and batch.items == [3, 1] and len(batch) == 2
    for row, index in enumerate((3, 1)):
        example = dataset.arrays(index)
        assert np.array_equal(batch.mixture[row, : frames[row]], example["mixture"])
        for number, name in enumerate(STEMS):
            assert np.array_equal(batch.stems[row, number, : frames[row]], example[name])
        assert not batch.mixture[row, frames[row] :].any()
        assert not batch.stems[row, :, frames[row] :].any()


def test_what_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    for name in "ab":
        write_song(tmp_path / name, 4.0)
    dataset = chunks_of(tmp_path)
    (tmp_path / "a/vocal.wav").unlink()
    batch = dataset.batch([1, 4])
    assert batch.items == [4] and len(batch.mixture) == 1
    assert batch.problems == [
        f"{tmp_path}/manifest.csv:2, 1.5 to 2.5 s: {tmp_path}/a/vocal.wav: file not found"
    ]
    empty = dataset.batch([0, 1])
    assert len(empty) == 0 and len(empty.problems) == 2


def test_a_manifest_that_promises_too_much(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 2.0)
    dataset = chunks_of(tmp_path)
    for name in ("mixture", "vocal", "instrumental"):
        soundfile.write(tmp_path / f"a/{name}.wav", np.full(round(0.27 * RATE), 0.1), RATE)
    assert "no part from 0.25 s" in dataset.batch([0]).problems[0]
    tight = dataclasses.replace(SMALL, chunk_duration=0.1, margin=0.0, n_chunks_per_song=15)
    (listed,) = read_songs(tmp_path / "manifest.csv", tmp_path)
    promised = dataclasses.replace(listed, duration=0.35)
    assert "make it again" in SongChunks([promised], tight).batch([14]).problems[0]


def test_a_cache_reads_each_chunk_once_and_changes_nothing(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0)
    plain, cached = chunks_of(tmp_path), chunks_of(tmp_path, cache=RecordingCache(1 << 20))
    before = cached.arrays(1)
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    with pytest.raises(AudioError):
        plain.arrays(1)
    again = cached.arrays(1)
    assert all(np.array_equal(before[name], again[name]) for name in before)


class Variants:
    """In the place of a store: each example is full of its variant's number."""

    num_variants = 4
    draw = Store.draw

    def arrays(self, index: int, variant: int) -> dict[str, np.ndarray]:
        return dict.fromkeys(("mixture", *STEMS), np.full((5, SMALL.F), variant, np.float32))


def test_the_variant_is_drawn_anew_in_each_epoch(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0)
    dataset = chunks_of(tmp_path, store=Variants(), seed=1)
    drawn = [dataset.batch([0, 1, 2], epoch).mixture[:, 0, 0].tolist() for epoch in range(20)]
    assert drawn == [dataset.batch([0, 1, 2], e).mixture[:, 0, 0].tolist() for e in range(20)]
    assert {v for epoch in drawn for v in epoch} == {0, 1, 2, 3}
    assert len({tuple(epoch) for epoch in drawn}) > 5
    other = chunks_of(tmp_path, store=Variants(), seed=2)
    assert drawn != [other.batch([0, 1, 2], e).mixture[:, 0, 0].tolist() for e in range(20)]


def test_a_store_gives_the_batches_that_were_computed(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0)
    write_song(tmp_path / "b", 0.8, seed=1)
    computed = chunks_of(tmp_path)
    settings = StoreSettings(store_dir=str(tmp_path / "store"), store_dtype="float32")
    write_store(computed, settings, {}, 0, lambda done: None)
    stored = SongChunks(
        read_songs(tmp_path / "manifest.csv", tmp_path),
        SMALL,
        store=Store.open(tmp_path / "store", {}, settings),
    )
    expected, found = computed.batch([0, 3, 2]), stored.batch([0, 3, 2], epoch=7)
    for name in ("mixture", "stems", "frames"):
        assert np.array_equal(getattr(found, name), getattr(expected, name))


def test_a_worker_gets_a_copy(tmp_path: Path) -> None:
    write_song(tmp_path / "a", 4.0)
    dataset = chunks_of(tmp_path)
    copy = pickle.loads(pickle.dumps(dataset))
    assert np.array_equal(copy.batch([2]).mixture, dataset.batch([2]).mixture)
