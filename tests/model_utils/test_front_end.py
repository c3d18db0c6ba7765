"""A front end as part of a recogniser's description and weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tones import Corpus

from data_utils.enhancement.settings import SpectrumSettings
from data_utils.errors import InputError
from data_utils.normalizer import Normalizer
from data_utils.separation.settings import SongSettings
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary
from inference.settings import FrontEndSettings
from model_utils import enhancer, separator
from model_utils.enhancer import Enhancer
from model_utils.front_end import FrontEndModel, check_frames, check_shares, split
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.options import parse
from model_utils.recogniser import Recogniser
from model_utils.separator import Separator
from model_utils.settings import TASKS, TRAINING, FrontEndTrainingSettings, NetworkSettings
from model_utils.trainer.checkpoint import Checkpoint

SPECTRUM = SpectrumSettings()
MODELS = [
    Enhancer(SPECTRUM, complete(MaskNetworkSettings(), SPECTRUM)),
    Separator(SongSettings(sample_rate=16000, frame_length=320, frame_step=160, T=64, F=128)),
]
COARSE = SpectrumSettings(n_fft=512, win_length=512, hop_length=256)
SETTINGS = FrontEndTrainingSettings("models/a", (0.1, 0.5), "joint")


def behind(corpus: Corpus, model: Enhancer | Separator = MODELS[0]) -> Recogniser:
    return Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std),
        NetworkSettings(),
        front_end=FrontEndModel(model, SETTINGS),
    )


@pytest.mark.parametrize("model", MODELS, ids=["enhancer", "separator"])
def test_it_survives_the_json(
    model: Enhancer | Separator, make_corpus: Callable[..., Corpus]
) -> None:
    own = behind(make_corpus([]), model)
    read = Recogniser.of(json.loads(json.dumps(own.describe())), "a.json")
    assert read.front_end == own.front_end
    assert read.num_columns == own.num_columns == 257 + model.hearing.bins + 8 + 2


def test_a_recogniser_without_one_says_nothing_of_it(make_corpus: Callable[..., Corpus]) -> None:
    corpus = make_corpus([])
    alone = Recogniser(
        *(getattr(behind(corpus), n) for n in ("vocabulary", "features", "normalizer", "network"))
    )
    assert "front_end" not in alone.describe() and alone.num_columns == alone.num_bins == 8


@pytest.mark.parametrize(
    "content",
    [
        None,
        5,
        [],
        {},
        {"model": {}, "settings": {}},
        {"model": {"task": "recognition"}, "settings": {}},
        {"settings": {"observation": [0, 1]}},
        {"model": MODELS[0].describe(), "settings": {"observation": [1, 0]}},
        {"model": MODELS[0].describe(), "settings": {"observation": "much"}},
        {"model": MODELS[0].describe(), "settings": {"frontend_training": "both"}},
        {"model": MODELS[0].describe(), "settings": {"more": 1}},
        {"model": {**MODELS[1].describe(), "songs": {"T": 65}}, "settings": {}},
    ],
)
def test_another_description_is_refused_in_one_line(
    content: Any, make_corpus: Callable[..., Corpus]
) -> None:
    info = {**behind(make_corpus([])).describe(), "front_end": content}
    with pytest.raises(InputError, match=r"^a\.json: ") as error:
        Recogniser.of(info, "a.json")
    assert "\n" not in str(error.value)


@given(st.lists(st.floats(-0.5, 1.5), max_size=3))
def test_shares_are_one_or_two_from_0_to_1_in_their_order(bounds: list[float]) -> None:
    settings = FrontEndTrainingSettings(observation=tuple(bounds))
    good = len(bounds) in (1, 2) and sorted(bounds) == bounds
    if good and all(0 <= bound <= 1 for bound in bounds):
        check_shares(settings)
        assert FrontEndModel(MODELS[0], settings).bounds == (min(bounds), max(bounds))
    else:
        with pytest.raises(InputError, match=r"^--observation=.*two shares from 0 to 1"):
            check_shares(settings)


def test_another_geometry_is_refused_with_what_to_train() -> None:
    for model in MODELS:
        check_frames(model, FeatureSettings(), "a")
    with pytest.raises(InputError) as error:
        check_frames(MODELS[1], FeatureSettings(window_ms=25.0, hop_ms=12.5), "models/a")
    assert str(error.value) == (
        "models/a: hears 320 samples every 160 at 16000 Hz, the recogniser 400 every 200 at 16000 "
        "Hz; to train behind it, train one with --sample_rate=16000 --frame_length=400 "
        "--frame_step=200 --F=192 (eval.py and infer.py take any)"
    )
    song = Separator(SongSettings())
    with pytest.raises(InputError, match=r"^a: hears 4096 samples every 1024 at 44100 Hz"):
        check_frames(song, FeatureSettings(), "a")


@pytest.mark.parametrize(("window_ms", "hop_ms"), [(20.0, 10.0), (25.0, 12.5), (30.0, 10.0)])
@pytest.mark.parametrize(
    ("model", "resolve"),
    [
        (Enhancer(COARSE, complete(MaskNetworkSettings(), COARSE)), enhancer.resolve),
        (Separator(SongSettings()), separator.resolve),
    ],
    ids=["enhancement", "separation"],
)
def test_what_is_advised_can_be_trained(
    model: Enhancer | Separator, resolve: Callable[..., Any], window_ms: float, hop_ms: float
) -> None:
    settings = FeatureSettings(window_ms=window_ms, hop_ms=hop_ms)
    with pytest.raises(InputError) as error:
        check_frames(model, settings, "a")
    flags = [word for word in str(error.value).split() if word.startswith("--")]
    task = TASKS[model.describe()["task"]]
    check_frames(resolve(parse("train.py", task.settings, flags), None), settings, "b")


def test_weights_are_split() -> None:
    names = ("conv.weight", "front_end.network.body.weight", "output.bias")
    weights = {name: np.full(2, number) for number, name in enumerate(names)}
    saved = Checkpoint(Path("a.pdparams"), weights, {}, {"epoch": 3, "task": "recognition"})
    own, front = split(saved, FrontEndModel(MODELS[0], SETTINGS))
    assert own.weights.keys() == {"conv.weight", "output.bias"} and own.info == saved.info
    assert front.weights.keys() == {"body.weight"} and front.weights["body.weight"][0] == 1
    assert front.path == saved.path and front.info is not None
    assert Enhancer.of(front.info, "a") == MODELS[0]


def test_a_configuration_of_train_py_names_no_front_end_for_eval_py(tmp_path: Path) -> None:
    """There `observation` has two bounds, and the checkpoint carries the front end."""
    path = tmp_path / "behind.json5"
    path.write_text('{frontend: "models/a", observation: [0, 1], learning_rate: 1e-3}', "utf-8")
    flag = f"--config={path}"
    assert parse("train.py", TRAINING, [flag])[FrontEndTrainingSettings].observation == (0, 1)
    groups = (FrontEndSettings, FeatureSettings)
    options = parse("eval.py", groups, [flag], shares_config_with=TRAINING)
    assert options[FrontEndSettings] == FrontEndSettings() and not options.given
