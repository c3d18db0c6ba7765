"""Error rates in noise, and enhancers against nothing: what must hold whatever the models."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle
import pytest
import soundfile
from models import save_models
from tones import Corpus

from benchmarks import noise, run
from benchmarks.noise import NoiseSettings
from data_utils.audio import level_db
from data_utils.augmentation.sounds import Sounds
from data_utils.enhancement.lists import read_list
from data_utils.enhancement.settings import SpectrumSettings
from data_utils.errors import InputError
from data_utils.manifest import Manifest
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary
from model_utils.enhancer import Enhancer
from model_utils.front_end import FrontEndModel
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.recogniser import Recogniser
from model_utils.settings import FrontEndTrainingSettings, NetworkSettings
from model_utils.trainer import checkpoint
from scoring import speech_quality

pytestmark = pytest.mark.usefixtures("prepared")

Command = Callable[..., list[str]]


@pytest.fixture
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    """Three utterances, noise, and models for them."""
    made = make_corpus(["一二三", "二三", "三一二一"])
    rng = np.random.default_rng(0)
    (made.folder / "noise").mkdir()
    soundfile.write(made.folder / "noise" / "a.wav", 0.1 * rng.standard_normal(16000), 16000)
    save_models(made)
    return made


def values(figures: list[str], name: str) -> list[float]:
    [line] = [figure for figure in figures if figure.startswith(f"{name}:")]
    return [float(value) for value in line.rpartition(": ")[2].split()]


def test_all_of_the_signal_kept_is_no_front_end(corpus: Corpus, measured: Command) -> None:
    figures = measured(
        "noise",
        f"--models={corpus.folder / 'recogniser/1'}",
        f"--frontends={corpus.folder / 'enhancer/1'}",
        *("--observations=0,1", "--test_snrs=10,-5", "--use_gpu=False", "--num_threads=1"),
        f"--test_manifest={corpus.manifest}",
        f"--test_noise={corpus.folder / 'noise'}",
    )
    plain = values(figures, "noise recogniser/1, none")
    assert len(plain) == 3 and plain == values(figures, "noise recogniser/1, enhancer/1, 1")
    assert len(values(figures, "noise recogniser/1, enhancer/1, 0")) == 3


def test_utterances_are_mixed_at_each_ratio_with_one_noise(corpus: Corpus) -> None:
    settings = NoiseSettings(test_snrs=(7.0, -3.0))
    manifest = Manifest.open(corpus.manifest)
    noises = Sounds(read_list(corpus.folder / "noise"))
    clean, *mixed = noise.mixtures(manifest, 0, noises, settings)
    for snr, mixture in zip(settings.test_snrs, mixed, strict=True):
        added = mixture - clean
        assert level_db(clean) - level_db(added) == pytest.approx(snr, abs=0.01)
    first, second = (mixture - clean for mixture in mixed)
    assert np.allclose(first * 10 ** (10 / 20), second, rtol=1e-3, atol=1e-6), "the same noise"
    again = list(noise.mixtures(manifest, 0, noises, settings))
    other = list(noise.mixtures(manifest, 0, noises, replace(settings, seed=1)))
    assert np.array_equal(again[1], mixed[0]) and not np.array_equal(other[1], mixed[0])


def test_nothing_done_to_a_mixture_leaves_its_ratio(corpus: Corpus, measured: Command) -> None:
    figures = measured(
        "enhancement",
        f"--models={corpus.folder / 'enhancer/1'}",
        *("--peers=False", "--test_snrs=5", "--use_gpu=False", "--num_threads=1"),
        f"--test_clean={corpus.manifest}",
        f"--test_noise={corpus.folder / 'noise'}",
    )
    assert [figure.split(":")[0] for figure in figures] == [
        "enhancement lstm (enhancer/1) SI-SDR gain at 5 dB"
    ]
    page = (corpus.folder / "table.md").read_text(encoding="utf-8")
    [before] = [line for line in page.splitlines() if line.startswith("| none |")][:1]
    # SI-SDR takes the part of the noise that is like the speech for speech: little of it.
    assert float(before.split("|")[2]) == pytest.approx(5, abs=0.3)


def test_recordings_that_cannot_be_used_end_no_table(
    corpus: Corpus, measured: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus.folder / "0.wav").write_bytes(b"RIFF")
    silent = np.zeros(soundfile.info(corpus.folder / "1.wav").frames)
    soundfile.write(corpus.folder / "1.wav", silent, 16000)
    common = ("--test_snrs=5", "--use_gpu=False", "--num_threads=1")
    measured(
        "noise",
        *(f"--models={corpus.folder / 'recogniser/1'}", *common),
        *(f"--test_manifest={corpus.manifest}", f"--test_noise={corpus.folder / 'noise'}"),
    )
    page = (corpus.folder / "table.md").read_text(encoding="utf-8")
    assert "\n1 utterances, 2 left out; 1 noises." in page and "`: one pass, means\n" in page

    named = corpus.folder / "clean.txt"
    named.write_text("".join(f"{number}.wav\n" for number in range(3)), encoding="utf-8")
    measured(
        "enhancement",
        *(f"--models={corpus.folder / 'enhancer/1'}", "--peers=False", *common),
        *(f"--test_clean={named}", f"--test_noise={corpus.folder / 'noise'}"),
    )
    page = (corpus.folder / "table.md").read_text(encoding="utf-8")
    assert "\n1 recordings, 2 left out, each at each ratio; 1 noises; means." in page


@pytest.mark.parametrize("is_there", [False, True])
def test_pesq_is_measured_where_its_package_is(
    is_there: bool, corpus: Corpus, measured: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_there:
        pytest.importorskip("pesq")
    else:
        monkeypatch.setattr(speech_quality, "has_pesq", lambda: False)
    measured(
        "enhancement",
        f"--models={corpus.folder / 'enhancer/1'}",
        *("--peers=False", "--test_snrs=5", "--use_gpu=False", "--num_threads=1"),
        f"--test_clean={corpus.manifest}",
        f"--test_noise={corpus.folder / 'noise'}",
    )
    page = (corpus.folder / "table.md").read_text(encoding="utf-8")
    assert ("## PESQ\n" in page) == (", pesq " in page) == is_there
    assert ("No PESQ: its package is not installed." in page) != is_there


@pytest.mark.parametrize("table", ["noise", "enhancement"])
def test_what_cannot_be_measured_is_refused(
    table: str, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        given = [table, f"--output_path={corpus.folder / 'x.md'}", *arguments]
        monkeypatch.setattr(sys, "argv", ["run.py", *given])
        with pytest.raises(InputError) as error:
            run.main()
        return str(error.value)

    assert refused().startswith("--models: no model given")
    other = "recogniser" if table == "enhancement" else "enhancer"
    wrong = refused(f"--models={corpus.folder / other / '1'}", "--use_gpu=False")
    assert f"a model for {'recognition' if other == 'recogniser' else 'enhancement'}" in wrong
    model = f"--models={corpus.folder / ('recogniser' if table == 'noise' else 'enhancer') / '1'}"
    assert "--test_snrs: 200 dB is not between" in refused(model, "--test_snrs=5,200")
    twice = refused(f"{model},{model.removeprefix('--models=')}")
    assert twice == f"{model.removeprefix('--models=')}: named twice; leave one out"
    assert not Path(corpus.folder / "x.md").exists()


def test_shares_are_checked_before_models_are_read() -> None:
    def refused(**given: object) -> str:
        with pytest.raises(InputError) as error:
            noise._check(NoiseSettings(models=("a",), frontends=("b",), **given))  # type: ignore[arg-type]
        return str(error.value)

    for share in (-0.1, 1.5):
        assert refused(observations=(0.0, share)) == (
            f"--observations: {share:g} is not between 0 and 1; mend it"
        )
    assert refused(observations=()).startswith("--observations: no share given; write one")
    assert refused(test_snrs=()).startswith("--test_snrs: no ratio given")
    noise._check(NoiseSettings(models=("a",), observations=()))  # nothing that needs shares


def test_a_recogniser_with_a_front_end_of_its_own_is_refused(
    corpus: Corpus, measured: Command
) -> None:
    spectrum = SpectrumSettings()
    enhancer = Enhancer(
        spectrum, complete(MaskNetworkSettings(network="lstm", d_model=8, n_level=1), spectrum)
    )
    settings = FeatureSettings("fbank", num_mel_bins=8)
    own = Recogniser(
        Vocabulary.load(corpus.vocabulary),
        settings,
        Normalizer(np.zeros(8), np.ones(8), settings),
        NetworkSettings(num_conv_layers=1, conv_channels=2, num_rnn_layers=1, rnn_layer_size=4),
        front_end=FrontEndModel(enhancer, FrontEndTrainingSettings("a", (0.0,), "frozen")),
    )
    weights = checkpoint.weights_of(own.build(fast=False))
    state = {"moment": paddle.zeros([1])}
    checkpoint.save(corpus.folder / "own", "1", weights, state, {"epoch": 1, **own.describe()})
    path = str(corpus.folder / "own" / "1")
    with pytest.raises(InputError) as error:
        measured("noise", f"--models={path}", "--use_gpu=False")
    assert str(error.value).startswith(f"{path}: carries a front end of its own")
    assert "\n" not in str(error.value)
