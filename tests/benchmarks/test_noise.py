"""Error rates in noise, and enhancers against nothing: what must hold whatever the models."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from models import save_models
from tones import Corpus

from benchmarks import noise, run
from benchmarks.noise import NoiseSettings
from data_utils.audio import level_db
from data_utils.enhancement.lists import read_list
from data_utils.errors import InputError
from data_utils.manifest import Manifest

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
    manifest, noises = Manifest.open(corpus.manifest), read_list(corpus.folder / "noise")
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
    assert not Path(corpus.folder / "x.md").exists()
