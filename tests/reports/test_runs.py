import json
from pathlib import Path

import matplotlib.image
import pytest

from data_utils.errors import InputError
from reports.runs import draw_losses, read_losses


def log(folder: Path, tag: str = "Train loss") -> Path:
    (folder / "run").mkdir(parents=True)
    rows = [json.dumps({"tag": tag, "step": step, "value": 9.0 / step}) for step in (1, 2, 3)]
    (folder / "run" / "metrics.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_losses_by_the_name_of_the_folder(tmp_path: Path) -> None:
    folders = [log(tmp_path / "small"), log(tmp_path / "large")]
    losses = read_losses(folders)
    assert losses == {name: [(1, 9.0), (2, 4.5), (3, 3.0)] for name in ("small", "large")}
    draw_losses(losses, tmp_path / "runs.png")
    assert matplotlib.image.imread(tmp_path / "runs.png").std() > 0


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training loss"):
        read_losses([log(tmp_path / "scores", "Dev cer")])
    with pytest.raises(InputError, match="second folder named same"):
        read_losses([log(tmp_path / "a" / "same"), log(tmp_path / "b" / "same")])
