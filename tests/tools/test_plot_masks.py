"""The command draws its picture where it is told, or says in one line why not."""

import sys
from pathlib import Path

import matplotlib.image
import pytest

from data_utils.errors import InputError
from tools import plot_masks


def test_the_picture_goes_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / "masks.png"
    monkeypatch.setattr(sys, "argv", ["plot_masks.py", f"--output_path={path}"])
    plot_masks.main()
    assert capsys.readouterr().out == f"written: {path}\n"
    assert matplotlib.image.imread(path).std() > 0.05


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--output_path=masks.txt", r"masks\.txt: the picture is a PNG"),
        ("--output_path=notes.png", r"notes\.png: .*another kind stands there"),
        ("--output_path=notes.png/masks.png", r"masks\.png: .*notes\.png is no folder"),
        ("--mask=psm", "unknown option --mask"),
    ],
)
def test_what_cannot_be_drawn_is_one_line_and_leaves_nothing(
    argument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.png").write_text("my notes")
    monkeypatch.setattr(sys, "argv", ["plot_masks.py", argument])
    with pytest.raises(InputError, match=message) as error:
        plot_masks.main()
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.png"]
    assert (tmp_path / "notes.png").read_text() == "my notes"
