import errno
import os
import re
from pathlib import Path

import pytest

from data_utils.atomic import check_place, room, write_atomically
from data_utils.errors import InputError


def test_files_appear_when_the_block_ends(tmp_path: Path) -> None:
    paths = [tmp_path / "new" / "a.npz", tmp_path / "b"]
    with write_atomically(*paths) as temporaries:
        for path, temporary in zip(paths, temporaries, strict=True):
            assert temporary.parent == path.parent
            temporary.write_text(path.name)
        assert not any(path.exists() for path in paths)
    assert [path.read_text() for path in paths] == ["a.npz", "b"]
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["a.npz", "b"]


def test_an_error_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("before")
    with pytest.raises(KeyError), write_atomically(path) as (temporary,):
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "a", tmp_path / "folder"):
        with (
            pytest.raises(InputError, match=f"{target}: cannot be written"),
            write_atomically(target),
        ):
            pass


def test_a_place_is_checked_without_a_trace(tmp_path: Path) -> None:
    check_place(tmp_path / "a", tmp_path / "new" / "folder" / "b")
    (tmp_path / "taken").touch()
    check_place(tmp_path / "taken")  # would be replaced
    for place in (tmp_path / "taken" / "a", tmp_path / "taken" / "new" / "a", tmp_path):
        with pytest.raises(InputError, match=r"cannot be written \(.*\); choose another place"):
            check_place(place)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_full_disk_is_told_in_one_line_and_leaves_what_stood_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old", encoding="utf-8")
    with (
        pytest.raises(InputError, match=r"the list cannot be written \(No space.*\); make room"),
        room(tmp_path, "list"),
        write_atomically(tmp_path / "a"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert [path.read_text("utf-8") for path in tmp_path.iterdir()] == ["old"]


def test_a_file_of_another_kind_is_not_replaced(tmp_path: Path) -> None:
    kind = re.compile(rb"[^\n]*\nref: ")
    path = tmp_path / "a"
    for own in (b"", b"name\nref: text", ("长" * 2000).encode() + b"\nref: text\n" + bytes(50_000)):
        path.write_bytes(own)
        check_place(path, tmp_path / "new", kind=kind)
    for foreign in (b"# README\n\nref: text", b"name\nref", b"\0"):
        path.write_bytes(foreign)
        with pytest.raises(InputError, match=r"a: cannot be written \(a file of another kind"):
            check_place(path, kind=kind)
        check_place(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_protected_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="no permission"):
        check_place(tmp_path / "a")
