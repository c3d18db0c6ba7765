import itertools
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils import manifest as manifest_module
from data_utils.errors import InputError
from data_utils.manifest import KEYS, Manifest, Utterance, write_manifests

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
SECONDS = st.floats(0, 1e5)
UTTERANCES = st.lists(
    st.builds(
        Utterance,
        TEXT.filter(bool),
        SECONDS,
        TEXT,
        st.none() | TEXT,
        st.none() | st.just(0.5),
        fields=st.dictionaries(TEXT.filter(lambda name: name not in KEYS), TEXT, max_size=3),
    ),
    min_size=1,
    max_size=8,
)


def lines(path: Path, *records: object) -> str:
    path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records), "utf-8")
    return str(path)


def record(audio: str = "a.wav", duration: object = 1.0, **more: object) -> dict[str, object]:
    return {"audio_filepath": audio, "duration": duration, "text": "你好", **more}


@given(UTTERANCES)
def test_what_is_written_is_read(utterances: list[Utterance]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.train")
        write_manifests({path: utterances})
        manifest = Manifest.open([str(path)])
        assert list(manifest) == utterances
        assert [file.name for file in Path(folder).iterdir()] == ["manifest.train"]
    np.testing.assert_array_equal(
        manifest.durations, np.array([u.duration for u in utterances], dtype=np.float32)
    )


def test_the_written_form(tmp_path: Path) -> None:
    path = tmp_path / "m"
    rows = [
        Utterance("音/a.wav", 1.5, "你好"),
        Utterance("b", 1, "", "s", 0.5, 1.5),
        Utterance("c", 1, "", fields={"noise": "street", "language": "zh"}),
    ]
    write_manifests({path: rows})
    assert path.read_text("utf-8").splitlines() == [
        '{"audio_filepath": "音/a.wav", "duration": 1.5, "text": "你好"}',
        '{"audio_filepath": "b", "duration": 1, "text": "", '
        '"speaker": "s", "start": 0.5, "end": 1.5}',
        '{"audio_filepath": "c", "duration": 1, "text": "", "noise": "street", "language": "zh"}',
    ]


def test_lines_of_older_packages(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(
        b"\xef\xbb\xbf"
        + '{"audio_filepath": "a", "duration": "2.5", "text": "你", "lang": 1}\r\n'.encode()
        + b'\n  \n{"audio_filepath": "b", "duration": 1, "text": 42}\n'
        + b'{"audio_filepath": "c", "duration": 1}'
    )
    manifest = Manifest.open([path])
    assert list(manifest) == [
        Utterance("a", 2.5, "你"),
        Utterance("b", 1.0, "42"),
        Utterance("c", 1.0, ""),
    ]
    assert [manifest.where(i) for i in range(3)] == [f"{path}:{line}" for line in (1, 4, 5)]


def test_durations_bound_what_is_read(tmp_path: Path) -> None:
    seconds = [0.4, 0.5, 1.0, 20.1, 20.2]
    path = lines(tmp_path / "m", *(record(str(s), s) for s in seconds))
    manifest = Manifest.open([path], min_duration=0.5, max_duration=20.1)
    assert [u.audio for u in manifest] == ["0.5", "1.0", "20.1"]
    assert len(manifest.left_out) == 2
    with pytest.raises(InputError, match="none of the 5 utterances lasts between 30 and inf s"):
        Manifest.open([path], min_duration=30)


def test_several_manifests_follow_one_another(tmp_path: Path) -> None:
    first = lines(tmp_path / "one", record("a"), record("b"))
    second = lines(tmp_path / "two", record("c"))
    manifest = Manifest.open([first, second])
    assert [u.audio for u in manifest] == ["a", "b", "c"]
    assert manifest.where(2) == f"{second}:1"
    assert len(Manifest.open(first)) == 2


def test_selection_slices_and_pickling(tmp_path: Path) -> None:
    path = lines(tmp_path / "m", *(record(str(i), i + 1) for i in range(10)))
    manifest = Manifest.open([path])
    chosen = pickle.loads(pickle.dumps(manifest.select([7, 2, 2])))
    assert [u.audio for u in chosen] == ["7", "2", "2"]
    assert chosen.durations.tolist() == [8, 3, 3]
    assert chosen.where(0) == f"{path}:8"
    with pytest.raises(ValueError, match="read-only"):
        manifest.durations[0] = 1
    assert [u.audio for u in manifest[2:9:3]] == ["2", "5", "8"]
    assert manifest[-1].audio == "9"
    assert len(manifest.select([])) == 0
    with pytest.raises(IndexError):
        manifest[10]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests of the test count as too large for the memory."""
    monkeypatch.setattr(manifest_module, "KEPT_BYTES", 0)


def test_what_has_a_problem_is_refused(tmp_path: Path) -> None:
    first = lines(tmp_path / "one", record("a", 1), record("bad", 2), record("bad", 60))
    second = lines(tmp_path / "two", record("b", 1), record("bad", 1))

    def problem(utterance: Utterance) -> str:
        return "bad" if utterance.audio == "bad" else ""

    manifest = Manifest.open([first, second], max_duration=20, problem=problem)
    assert [u.audio for u in manifest] == ["a", "b"]
    refused, outside = manifest.refused, manifest.left_out
    assert [refused.where(i) for i in range(len(refused))] == [f"{first}:2", f"{second}:2"]
    assert [outside.where(i) for i in range(len(outside))] == [f"{first}:3"], "said once"
    assert len(Manifest.open(first).refused) == 0
    nothing = Manifest.open(first, problem=lambda utterance: "all are bad")
    assert (len(nothing), len(nothing.refused)) == (0, 3)
    assert len(Manifest()) == 0 and not list(Manifest())


@pytest.mark.usefixtures("large")
@given(orders=st.data())
def test_walking_through_meets_what_asking_one_by_one_does(orders: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_module, "BLOCK", 3)
        counts = orders.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
        paths = [
            lines(Path(folder, str(n)), *(record(f"{n} {i}", i) for i in range(count)))
            for n, count in enumerate(counts)
        ]
        manifest = Manifest.open(paths)
        chosen = orders.draw(st.lists(st.integers(0, sum(counts) - 1), max_size=20))
        for walked in (manifest, manifest.select(chosen)):
            assert list(walked) == [walked[index] for index in range(len(walked))]


@pytest.mark.usefixtures("large")
def test_walking_through_a_large_file_opens_it_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lines(tmp_path / "m", *(record(str(number)) for number in range(1000)))
    opened = 0
    opening = Path.open

    def counted(self: Path, *mode: str) -> object:
        nonlocal opened
        opened += 1
        return opening(self, *mode)

    monkeypatch.setattr(Path, "open", counted)
    manifest = Manifest.open(path, problem=lambda utterance: "")
    assert opened == 2, "once for its size, once for its lines"
    monkeypatch.setattr(manifest_module, "BLOCK", 100)
    assert sum(1 for _ in manifest) == 1000
    assert opened == 2 + 10


@pytest.mark.usefixtures("large")
def test_memory_is_bounded_by_the_number_of_lines(tmp_path: Path) -> None:
    path = lines(tmp_path / "m", *(record("a" * 1000) for _ in range(1000)))
    assert len(pickle.dumps(Manifest.open([path]))) < 1000 * 21


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"audio_filepath": "a", "dur', "not valid JSON"),
        (b"[1]", "an object with audio_filepath"),
        (b'{"duration": 1, "text": "a"}', "audio_filepath missing"),
        (b'{"audio_filepath": "a", "text": "a"}', "duration missing"),
        (b'{"audio_filepath": "a", "duration": "long", "text": "a"}', "duration must be seconds"),
        (b'{"audio_filepath": "a", "duration": NaN, "text": "a"}', "duration must be seconds"),
        (b'{"audio_filepath": "a", "duration": -1, "text": "a"}', "duration must be seconds"),
        (b'{"audio_filepath": "a", "duration": true, "text": "a"}', "duration must be seconds"),
        (b'{"audio_filepath": "a", "duration": 1e305, "text": "a"}', "duration must be seconds"),
        (b'{"audio_filepath": "a", "duration": 1, "start": 1e305}', "start must be seconds"),
        (b'{"audio_filepath": "a", "duration": 1, "text": ["a"]}', "text must be text"),
        (
            b'{"audio_filepath": "a", "duration": 1, "text": "a", "start": 2, "end": 1}',
            "end 1 is not after start 2",
        ),
        (b'{"audio_filepath": "\xc4\xe3", "duration": 1, "text": "a"}', "not UTF-8"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "manifest.train"
    path.write_bytes(json.dumps(record()).encode() + b"\n" + line + b"\n")
    with pytest.raises(InputError) as error:
        Manifest.open([path])
    assert str(error.value).startswith(f"{path}:2: {message}")
    assert "\n" not in str(error.value)


def test_missing_and_empty_manifests_tell_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name in ("missing", "empty"):
        with pytest.raises(InputError, match=rf"{name}: .*python tools/create_manifest\.py"):
            Manifest.open([tmp_path / name])


def test_a_new_manifest_in_its_place_does_not_disturb(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_bytes(
        b"\xef\xbb\xbf" + "\r\n\n".join(map(json.dumps, [record("a"), record("b")])).encode()
    )
    manifest = Manifest.open([path])
    before = list(manifest)
    assert [utterance.audio for utterance in before] == ["a", "b"]
    write_manifests({path: [Utterance("longer", 2, "x")]})
    assert list(manifest) == before
    path.unlink()
    late = pickle.loads(pickle.dumps(manifest))  # a worker that starts now
    assert list(late) == before and late.where(1) == f"{path}:3"


@pytest.mark.usefixtures("large")
def test_a_large_manifest_that_changes_under_training_is_noticed(tmp_path: Path) -> None:
    path = lines(tmp_path / "m", record("a"), record("b"))
    manifest = Manifest.open([path])
    assert [u.audio for u in pickle.loads(pickle.dumps(manifest))] == ["a", "b"]
    lines(tmp_path / "m", record("longer"), record("b"))
    with pytest.raises(InputError, match="changed since it was opened"):
        manifest[1]


def test_nothing_is_written_unless_all_is(tmp_path: Path) -> None:
    lines(tmp_path / "one", record("before"))

    def breaks_off() -> object:
        yield Utterance("a", 1, "")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_manifests(
            {tmp_path / "one": [Utterance("b", 1, "")], tmp_path / "two": breaks_off()}  # type: ignore[dict-item]
        )
    assert [u.audio for u in Manifest.open(tmp_path / "one")] == ["before"]
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_keys_tell_parts_of_a_file_apart() -> None:
    parts = [Utterance("a", 1, "", start=s) for s in (None, 0.0, 1.5)] + [Utterance("b", 1, "")]
    assert all(one.key != other.key for one, other in itertools.combinations(parts, 2))
    assert Utterance("a", 1, "x").key == Utterance("a", 2, "y").key
