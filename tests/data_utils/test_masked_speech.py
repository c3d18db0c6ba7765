"""What stands before masks: draws by seed, epoch and utterance, effects, and what a store keeps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tones import Corpus

from data_utils import features
from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.dataset import SpeechDataset, SpeechParts
from data_utils.errors import InputError
from data_utils.hearing import Hearing
from data_utils.loader import Loader
from data_utils.manifest import Manifest
from data_utils.masked_speech import MaskedSpeech
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings, StoreSettings
from data_utils.stft import Stft
from data_utils.store import Store, write_store
from data_utils.text import Vocabulary

TEXTS = ["一二三四", "二", "四三", "一一"]
WARP = {"type": "specaug", "params": {"F": 3, "T": 4, "W": 5}, "prob": 1.0}
VOLUME = {"type": "volume", "params": {"min_gain_dBFS": -9, "max_gain_dBFS": 9}, "prob": 1.0}
SETTINGS = FeatureSettings("fbank", num_mel_bins=8)
HEARING = Hearing(Stft(320, 160, 320), 16000, 100, -25.0)


@pytest.fixture
def corpus(make_corpus: Callable[..., Corpus]) -> Corpus:
    return make_corpus(TEXTS, SETTINGS)


def parts(corpus: Corpus, *effects: dict[str, Any]) -> SpeechParts:
    path = corpus.folder / "effects.json"
    path.write_text(json.dumps(effects), encoding="utf-8")
    return SpeechParts(
        manifest=Manifest.open(corpus.manifest),
        vocabulary=Vocabulary.load(corpus.vocabulary),
        settings=SETTINGS,
        normalizer=Normalizer.load(corpus.mean_std, SETTINGS),
        time_reduction=3,
        augmentation=AugmentationPipeline.load(path) if effects else None,
        seed=7,
    )


def masked(
    corpus: Corpus, *effects: dict[str, Any], bounds: tuple[float, float] = (0.2, 0.6)
) -> MaskedSpeech:
    return MaskedSpeech(HEARING, bounds, **parts(corpus, *effects))


def split(data: MaskedSpeech, index: int, epoch: int = 1) -> list[np.ndarray]:
    """Power, what is heard, what is kept, the shift [frames] and the share [frames]."""
    columns = data.example(index, epoch).features
    *found, shift, share = np.split(columns, np.cumsum(data.columns.sizes)[:-1], axis=1)
    return [*found, shift[:, 0], share[:, 0]]


def test_power_and_magnitudes_are_of_the_wave_behind_its_effects(corpus: Corpus) -> None:
    data = masked(corpus, VOLUME)
    for index in range(len(data)):
        power, heard, keep, shift, _ = split(data, index, epoch=3)
        wave = data.wave(index, 3)
        assert np.allclose(power, features.power_spectrum(wave, SETTINGS), rtol=1e-5, atol=0)
        assert np.array_equal(heard, HEARING.magnitudes(wave))
        assert keep.shape == (len(power), 8) and keep.all() and not shift.any()
    assert not np.array_equal(data.wave(0, 3), data.wave(0, 4))


def test_the_share_follows_from_seed_epoch_and_utterance(corpus: Corpus) -> None:
    data = masked(corpus, VOLUME)
    drawn = [split(data, index, epoch)[4] for index in (1, 3) for epoch in range(1, 40)]
    assert all((frames == frames[0]).all() for frames in drawn), "one for all frames"
    shares = np.array([frames[0] for frames in drawn])
    assert len(set(shares)) == len(shares), "each utterance and epoch its own"
    assert shares.min() >= 0.2 and shares.max() <= 0.6
    assert shares.min() < 0.25 and shares.max() > 0.55 and abs(shares.mean() - 0.4) < 0.05
    again = masked(corpus, VOLUME)
    order = [3, 0, 2, 1]
    with Loader({"train": again}, 1) as loader:
        [batch] = loader.batches("train", [np.array(order)], epoch=5)
    for row, index in enumerate(order):
        expected = data.example(index, 5).features
        assert np.array_equal(batch.features[row, : batch.frames[row]], expected)
        assert not batch.features[row, batch.frames[row] :].any()
    other = masked(corpus, VOLUME)
    other.seed = 8
    assert split(other, 1)[4][0] != split(data, 1)[4][0]
    # Other effects move no draw.
    assert split(masked(corpus, WARP), 1)[4][0] == split(data, 1)[4][0]


def test_in_scoring_it_is_the_middle_and_equal_bounds_are_no_draw(corpus: Corpus) -> None:
    assert {float(split(masked(corpus), i, e)[4][0]) for i in (0, 1) for e in (0, 1)} == {
        float(np.float32(0.4))
    }
    fixed = masked(corpus, VOLUME, bounds=(0.3, 0.3))
    assert {float(split(fixed, i, e)[4][0]) for i in (0, 1) for e in (1, 2)} == {
        float(np.float32(0.3))
    }


def test_masks_and_warp_are_those_of_plain_features(corpus: Corpus) -> None:
    """Moved and masked by hand, the plain features are what the effects make of them."""
    data, plain = masked(corpus, VOLUME, WARP), SpeechDataset(**parts(corpus, VOLUME, WARP))
    moved = 0
    for index in (0, 2):
        for epoch in range(1, 9):
            _, _, keep, shift, _ = split(data, index, epoch)
            before = plain.normalizer(plain.computed(index, epoch)["features"])
            places = np.arange(len(before)) + shift.astype(float)
            moved += int(np.abs(shift).max() > 0.1)
            stretched = np.stack(
                [np.interp(places, np.arange(len(before)), column) for column in before.T], axis=1
            )
            expected = plain.example(index, epoch).features
            assert np.abs(stretched * keep - expected).max() < 1e-4
            assert np.array_equal(keep == 0, expected == 0)
    assert moved > 8


def test_masks_of_a_second_specaug_would_be_warped(corpus: Corpus) -> None:
    with pytest.raises(InputError, match=r"^--augment_conf_path: a second specaug with W=5 .*W=0$"):
        masked(corpus, {**WARP, "params": {"F": 3, "W": 0}}, WARP)
    masked(corpus, WARP, {**WARP, "params": {"F": 3, "W": 0}})


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-6), ("float16", 2e-3), ("uint8", 0.2)]
)
def test_a_store_keeps_what_stands_before_masks(
    dtype: Any, tolerance: float, corpus: Corpus, tmp_path: Path
) -> None:
    data = masked(corpus, VOLUME, WARP)
    settings = StoreSettings(str(tmp_path / "store"), dtype, 2)
    write_store(data, settings, data.fingerprint(), 0)
    stored = masked(corpus, VOLUME, WARP)
    stored.store = Store.open(settings.store_dir, stored.fingerprint(), settings)
    variants = set()
    for epoch in range(1, 9):
        power, _, keep, shift, share = split(stored, 0, epoch)
        live = split(data, 0, epoch)
        for found, expected in zip((keep, shift, share), live[2:], strict=True):
            assert np.array_equal(found, expected), "drawn anew in each epoch, as without a store"
        errors = []
        for variant in (0, 1):
            first = split(data, 0, variant + 1)
            # Tones are in few bins, the noise between them 60 dB below: none of it may be lost.
            quiet = first[0] > 1e-12
            errors.append(np.abs(np.log(power[quiet] / first[0][quiet])).max())
        variants.add(int(np.argmin(errors)))
        assert min(errors) < tolerance
    assert variants == {0, 1}


def test_a_store_of_another_front_end_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    data = masked(corpus, VOLUME)
    settings = StoreSettings(str(tmp_path / "store"))
    write_store(data, settings, data.fingerprint(), 0)
    for changed, message in (
        (SpeechDataset(**parts(corpus, VOLUME)), "front_end.bins 100 where none is wanted"),
        (
            MaskedSpeech(Hearing(HEARING.stft, 16000, 161), (0, 1), **parts(corpus, VOLUME)),
            "front_end.bins 100 where 161 is wanted",
        ),
    ):
        with pytest.raises(InputError, match=message):
            Store.open(settings.store_dir, changed.fingerprint(), settings)
    bounds = masked(corpus, VOLUME, bounds=(0.0, 1.0))
    Store.open(settings.store_dir, bounds.fingerprint(), settings)
