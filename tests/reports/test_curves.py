import json
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from data_utils.errors import InputError
from reports import curves
from reports.curves import draw_curves, draw_run, read_curves


def log(folder: Path, *rows: tuple[str, int, float]) -> Path:
    folder.mkdir(parents=True)
    lines = [json.dumps({"tag": tag, "step": step, "value": v}) for tag, step, v in rows]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_single_point_is_seen(tmp_path: Path) -> None:
    draw_curves({"Train loss": [(1, 9.0)]}, tmp_path / "curves.png")
    colours = matplotlib.image.imread(tmp_path / "curves.png")[..., :3]
    blue = np.array([31, 119, 180]) / 255  # tab:blue
    assert (np.abs(colours - blue).max(axis=-1) < 0.02).any()


def test_a_resumed_run_goes_on(tmp_path: Path) -> None:
    log(tmp_path / "1", ("Train loss", 1, 9.0), ("Test cer", 1, 0.5), ("Train loss", 101, 5.0))
    log(tmp_path / "2", ("Train loss", 201, 3.0), ("Test cer", 2, 0.25))
    assert read_curves(tmp_path) == {
        "Train loss": [(1, 9.0), (101, 5.0), (201, 3.0)],
        "Test cer": [(1, 0.5), (2, 0.25)],
    }


def test_a_run_from_an_earlier_step_replaces_what_came_after(tmp_path: Path) -> None:
    log(tmp_path / "1", *(("Train loss", step, 1.0) for step in (1, 2, 3, 4)), ("Dev cer", 1, 0.9))
    log(tmp_path / "2", *(("Train loss", step, 2.0) for step in (2, 3)))
    assert read_curves(tmp_path) == {
        "Train loss": [(1, 1.0), (2, 2.0), (3, 2.0)],
        "Dev cer": [(1, 0.9)],
    }


def test_a_line_that_is_being_written_is_not_there_yet(tmp_path: Path) -> None:
    file = log(tmp_path / "1", ("Train loss", 1, 5.0), ("Train loss", 2, 4.0)) / "metrics.jsonl"
    whole = file.read_bytes()
    for end in range(whole.index(b"\n") + 1, len(whole)):
        file.write_bytes(whole[:end])
        assert read_curves(tmp_path) == {"Train loss": [(1, 5.0)]}
    file.write_bytes(b"")
    assert read_curves(tmp_path) == {}
    draw_curves({}, tmp_path / "curves.png")


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"tag": "Train loss"}', '{"tag": "a", "step": "b", "value": 1}', ""]
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    log(tmp_path / "1", ("Train loss", 1, 1.0))
    with (tmp_path / "1" / "metrics.jsonl").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(InputError, match=r"metrics\.jsonl:2: not a line"):
        read_curves(tmp_path)


def test_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run in it"):
        read_curves(tmp_path)


@pytest.mark.parametrize(
    "tags", [("Train loss", "Learning rate", "Test cer", "Dev cer"), ("Train loss",), ("Test cer",)]
)
def test_the_picture_shows_each_curve(tmp_path: Path, tags: tuple[str, ...]) -> None:
    rows = [(tag, step, 1.0 / step) for tag in tags for step in range(1, 6)]
    log(tmp_path / "1", *rows)
    path = tmp_path / "new" / "curves.png"
    draw_curves(read_curves(tmp_path), path)
    pixels = matplotlib.image.imread(path)[:, :, :3]
    assert pixels.shape == (340, 1200, 3)
    panels = dict(
        zip(("Train loss", "rates", "Learning rate"), np.split(pixels, 3, axis=1), strict=True)
    )
    blue = np.array([0x1F, 0x77, 0xB4]) / 255  # Matplotlib's first colour
    drawn = {
        name: int((np.abs(panel - blue).max(axis=2) < 0.05).sum()) for name, panel in panels.items()
    }
    assert drawn["Train loss"] > 100 or "Train loss" not in tags
    assert drawn["Learning rate"] > 100 or "Learning rate" not in tags
    assert drawn["rates"] > 100 or not any("cer" in tag for tag in tags)


@pytest.mark.parametrize(
    ("tags", "title", "unit"),
    [
        (("Dev cer", "Test cer"), "Character error rate", "%"),
        (("Dev stoi",), "Score", ""),
        ((), "Score", ""),
    ],
)
def test_the_panel_of_scores_says_what_they_are(
    tags: tuple[str, ...], title: str, unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(curves, "write_picture", lambda figure, path: drawn.append(figure))
    draw_curves({"Train loss": [(1, 2.0)], **{tag: [(1, 0.5)] for tag in tags}}, tmp_path / "c.png")
    axis = drawn[0].axes[1]
    assert (axis.get_title(), axis.get_ylabel()) == (title, unit)


def test_the_numbers_of_one_epoch_are_a_picture_too(tmp_path: Path) -> None:
    log(tmp_path / "1", ("Train loss", 1, 5.0), ("Learning rate", 1, 1e-4), ("Test cer", 1, 1.0))
    draw_curves(read_curves(tmp_path), tmp_path / "curves.png")
    assert matplotlib.image.imread(tmp_path / "curves.png").std() > 0


def test_of_a_runs_own_folder_that_run_alone(tmp_path: Path) -> None:
    log(tmp_path / "1", ("Train loss", 1, 9.0))
    run = log(tmp_path / "2", ("Train loss", 2, 5.0))
    assert read_curves(run) == {"Train loss": [(2, 5.0)]}


def test_only_error_rates_are_drawn_as_such(tmp_path: Path) -> None:
    scores = [("Dev cer", epoch, 1 / epoch) for epoch in (1, 2, 3)]
    others = [
        (tag, step, 1000.0 * step)
        for tag in ("Gradient norm", "Hours per hour", "Waiting share", "Memory MB", "Something")
        for step in (1, 100, 300)
    ]
    log(tmp_path / "plain", *scores)
    log(tmp_path / "more", *scores, *others)
    pictures = []
    for name in ("plain", "more"):
        draw_curves(read_curves(tmp_path / name), tmp_path / f"{name}.png")
        pictures.append((tmp_path / f"{name}.png").read_bytes())
    assert pictures[0] == pictures[1]


def test_accuracies_have_a_panel_of_their_own(tmp_path: Path) -> None:
    scores = [("Dev cer", epoch, 1 / epoch) for epoch in (1, 2, 3)]
    log(tmp_path / "plain", *scores)
    log(
        tmp_path / "more",
        *scores,
        ("Dev language accuracy", 1, 0.5),
        ("Dev language accuracy", 2, 1),
    )
    plain, more = (tmp_path / "plain.png", tmp_path / "more.png")
    for name, path in (("plain", plain), ("more", more)):
        draw_curves(read_curves(tmp_path / name), path)
    wide, narrow = (matplotlib.image.imread(path)[:, :, :3] for path in (more, plain))
    assert wide.shape == (340, 1600, 3) and narrow.shape == (340, 1200, 3)
    blue = np.array([0x1F, 0x77, 0xB4]) / 255  # Matplotlib's first colour
    assert (np.abs(wide[:, 1200:] - blue).max(axis=2) < 0.05).sum() > 100
    rates = [
        int((np.abs(panel - blue).max(axis=2) < 0.05).sum())
        for panel in (wide[:, 400:800], narrow[:, 400:800])
    ]
    assert abs(rates[0] - rates[1]) < 0.1 * rates[1], "the error rates stay what they were"


def test_a_run_is_drawn_into_its_folder_and_a_failure_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = log(tmp_path / "1", ("Train loss", 1, 9.0), ("Train loss", 2, 5.0))
    draw_run(run)
    assert matplotlib.image.imread(run / "curves.png").std() > 0
    assert capsys.readouterr().err == ""
    (run / "metrics.jsonl").write_text("{\n")
    draw_run(run)
    assert "warning: no picture of the curves" in capsys.readouterr().err
