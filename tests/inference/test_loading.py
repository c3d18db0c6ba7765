"""From options to a predictor: with a front end or without, and what is refused on the way."""

from collections.abc import Callable
from pathlib import Path

import pytest
from models import save_models
from tones import Corpus

from data_utils.errors import InputError
from data_utils.settings import FeatureSettings
from inference.loading import load_predictor
from inference.settings import ExportedSettings, FrontEndSettings, ModelSettings
from model_utils.options import Options, parse
from model_utils.settings import DeviceSettings, NetworkSettings

pytestmark = pytest.mark.usefixtures("prepared")

COMMAND = [
    ModelSettings,
    ExportedSettings,
    FrontEndSettings,
    NetworkSettings,
    FeatureSettings,
    DeviceSettings,
]


def options(*argv: str) -> Options:
    return parse("eval.py", COMMAND, argv)


@pytest.fixture
def models(make_corpus: Callable[..., Corpus]) -> Path:
    """`recogniser` and `enhancer`, as trainings leave them."""
    return save_models(make_corpus(["一"]))


def test_a_front_end_is_read_without_its_optimizer(models: Path) -> None:
    own = f"--resume_model={models / 'recogniser' / '1'}"
    assert load_predictor(options(own)).front_end is None
    (models / "enhancer" / "1.pdopt").write_bytes(b"whatever")
    found = load_predictor(
        options(own, f"--frontend={models / 'enhancer' / '1'}", "--observation=0.25")
    ).front_end
    assert found is not None and found.shares_frames is False, "the corpus has longer hops"
    assert found.observation == 0.25


def test_what_is_no_front_end_is_refused(models: Path, tmp_path: Path) -> None:
    own = f"--resume_model={models / 'recogniser' / '1'}"
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("recogniser", "a model for recognition, not for enhancement or separation"),
        ("empty", "no checkpoint in this folder; name one"),
    ):
        with pytest.raises(InputError, match=message):
            load_predictor(options(own, f"--frontend={models / name}"))


def test_a_share_of_what_no_front_end_takes_out_is_refused(models: Path) -> None:
    own = f"--resume_model={models / 'recogniser' / '1'}"
    with pytest.raises(InputError, match=r"^--observation=0\.1: .*give --frontend=MODEL"):
        load_predictor(options(own, "--observation=0.1"))
