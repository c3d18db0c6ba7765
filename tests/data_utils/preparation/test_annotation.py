import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.errors import InputError
from data_utils.preparation.annotation import annotation_files, decode_lines, read_annotation

ENCODINGS = [
    ("utf-8", "UTF-8"),
    ("utf-8-sig", "UTF-8"),
    ("utf-16", "UTF-16"),
    ("gbk", "GB18030"),
    ("gb18030", "GB18030"),
]
LINES = ["音/甲.wav\t近几年不但我用书给女儿压岁", "b.wav\t联通", "c.wav\thello\ts1"]


@pytest.mark.parametrize(("written", "detected"), ENCODINGS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_encodings_are_detected(tmp_path: Path, written: str, detected: str, ending: str) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes(ending.join(LINES).encode(written))
    annotation = read_annotation(path)
    assert annotation.encoding == detected
    assert not annotation.problems
    assert [(line.audio, line.text, line.speaker) for line in annotation.lines] == [
        ("音/甲.wav", "近几年不但我用书给女儿压岁", None),
        ("b.wav", "联通", None),
        ("c.wav", "hello", "s1"),
    ]


@given(st.lists(st.text(st.characters(exclude_characters="\n\r", exclude_categories=("Cs",)))))
def test_utf8_comes_back_whatever_it_holds(lines: list[str]) -> None:
    encoding, decoded = decode_lines("\n".join(lines).encode("utf-8-sig"))
    assert encoding == "UTF-8"
    assert decoded == (lines or [""])


def test_a_damaged_line_does_not_change_the_encoding(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    good = "a.wav\t你好".encode()
    path.write_bytes(b"\n".join([good, good[:-1], good]))
    annotation = read_annotation(path)
    assert annotation.encoding == "UTF-8"
    assert [line.number for line in annotation.lines] == [1, 3]
    assert [str(problem) for problem in annotation.problems] == [
        f"{path.as_posix()}:2: not UTF-8 as the rest; save the file as UTF-8"
    ]


def test_malformed_lines_are_listed_with_their_reason(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("a.wav text\n\na\tb\tc\td\n\ttext\nok.wav\t\nok.wav\tx\t \n", "utf-8")
    annotation = read_annotation(path)
    where = path.as_posix()
    assert [str(problem) for problem in annotation.problems] == [
        f"{where}:1: path<TAB>text[<TAB>speaker] expected, found no tab",
        f"{where}:3: path<TAB>text[<TAB>speaker] expected, found 4 columns; those behind are "
        "written name=value",
        f"{where}:4: the path is empty",
    ]
    assert [(line.where, line.text, line.speaker) for line in annotation.lines] == [
        (f"{where}:5", "", None),
        (f"{where}:6", "x", None),
    ]


def test_further_columns_say_what_else_is_known(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    lines = [
        "a.wav\tx\ts1\tlanguage=zh\tnoise=street of = signs",
        "a.wav\tx\tlanguage = zh",
        "a.wav\tx\t\tlanguage=zh\t语言=中文",
        "a.wav\tx\ts1\tlanguage=",
        "a.wav\tx\ts 1=1",
    ]
    path.write_text("\n".join(lines), "utf-8")
    annotation = read_annotation(path)
    assert not annotation.problems
    assert [(line.speaker, line.fields) for line in annotation.lines] == [
        ("s1", {"language": "zh", "noise": "street of = signs"}),
        (None, {"language": "zh"}),
        (None, {"language": "zh", "语言": "中文"}),
        ("s1", {}),
        ("s 1=1", {}),  # no name, so a speaker as ever
    ]


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("s1\tzh", "found 4 columns; those behind are written name=value"),
        ("s1\tlanguage=zh\t", "found 5 columns; those behind are written name=value"),
        ("s1\ttext=a", "text=a: text is no name for a column of your own"),
        ("speaker=s1", "speaker=s1: speaker is no name for a column of your own"),
        ("a=1\ta=1", "a=1: a stands there twice"),
    ],
)
def test_columns_that_cannot_be_used_are_named(tmp_path: Path, columns: str, reason: str) -> None:
    path = tmp_path / "train.txt"
    path.write_text(f"a.wav\tx\t{columns}\nb.wav\ty\n", "utf-8")
    annotation = read_annotation(path)
    assert [line.audio for line in annotation.lines] == ["b.wav"]
    [problem] = annotation.problems
    assert str(problem).endswith(reason)


def test_a_binary_file_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "Thumbs.db").write_bytes(bytes(range(256)) * 100)
    assert [str(p) for p in read_annotation(tmp_path / "Thumbs.db").problems] == [
        f"{(tmp_path / 'Thumbs.db').as_posix()}: not a text file"
    ]


@pytest.mark.parametrize("written", ["utf-8", "gbk", "utf-16"])
def test_a_nul_character_costs_its_line_only(tmp_path: Path, written: str) -> None:
    path = tmp_path / "train.txt"
    path.write_bytes("a.wav\t你好\nb.wav\t再\0见\nc.wav\t你\n".encode(written))
    annotation = read_annotation(path)
    assert [line.audio for line in annotation.lines] == ["a.wav", "c.wav"]
    assert [str(problem) for problem in annotation.problems] == [
        f"{path.as_posix()}:2: a NUL character in it; write the line again"
    ]


@pytest.mark.parametrize("size", [100, 300, 1000, 3000])
@pytest.mark.parametrize("seed", range(5))
def test_a_few_random_bytes_are_no_text(tmp_path: Path, size: int, seed: int) -> None:
    content = random.Random(seed).randbytes(size).replace(b"\0", b"\1")
    (tmp_path / "train.txt").write_bytes(content)
    annotation = read_annotation(tmp_path / "train.txt")
    assert [problem.reason for problem in annotation.problems] == ["not a text file"]
    assert not annotation.lines


@pytest.mark.parametrize("kind", ["random", "wav", "utf-16 without mark"])
def test_binary_files_of_any_kind_are_one_problem(tmp_path: Path, kind: str) -> None:
    content = {
        "random": random.Random(0).randbytes(100_000),  # as a compressed file
        "wav": b"".join((100 * i % 3000).to_bytes(2, "little") for i in range(10_000)),
        "utf-16 without mark": "a.wav\t你好\n".encode("utf-16-le") * 100,
    }
    path = tmp_path / "train.txt"
    path.write_bytes(content[kind])
    annotation = read_annotation(path)
    assert not annotation.lines
    assert [problem.reason for problem in annotation.problems] == ["not a text file"]


def test_recordings_and_hidden_files_are_no_annotations(tmp_path: Path) -> None:
    for name in ("b.txt", "a", ".DS_Store", "README.md", "x.WAV", "y.flac"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()
    assert [path.name for path in annotation_files(tmp_path)] == ["a", "b.txt"]
    assert annotation_files(tmp_path / "b.txt") == [tmp_path / "b.txt"]


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder not found"):
        annotation_files(tmp_path / "none")
    with pytest.raises(InputError, match="no file in it"):
        annotation_files(tmp_path)
