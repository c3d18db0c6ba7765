"""A recogniser behind a front end: what inference computes, with gradients."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import paddle
import pytest

from data_utils import features
from data_utils.classes import Classes
from data_utils.enhancement.settings import SpectrumSettings
from data_utils.masked_speech import Columns
from data_utils.normalizer import Normalizer
from data_utils.separation.settings import SongSettings
from data_utils.settings import FeatureSettings, FeatureType
from data_utils.text import Vocabulary
from inference.front_end import FrontEnd
from model_utils.enhancer import Enhancer
from model_utils.front_end import FrontEndModel, split
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.networks.front_end import MaskedDeepSpeech2
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.recogniser import Recogniser
from model_utils.separator import Separator
from model_utils.settings import FrontEndTrainingSettings, NetworkSettings
from model_utils.trainer.checkpoint import Checkpoint, set_weights, weights_of

FBANK = FeatureSettings("fbank")


def enhancer(n_fft: int = 320, name: str = "rt") -> Enhancer:
    spectrum = SpectrumSettings(16000, n_fft, 160, 320)
    network = MaskNetworkSettings(network=name, d_model=8, h=2, n_level=1, dropout=0.3)
    return Enhancer(spectrum, complete(network, spectrum))


def separator(bins: int = 128) -> Separator:
    return Separator(
        SongSettings(sample_rate=16000, frame_length=320, frame_step=160, T=64, F=bins)
    )


MODELS: dict[str, Callable[[], Enhancer | Separator]] = {
    "rt": enhancer,
    "lstm of finer bins": lambda: enhancer(512, "lstm"),
    "separator": separator,
}

# Bins of masks and power are the same, or others, in both directions.
CASES: list[tuple[str, FeatureType]] = [
    ("rt", "linear"),
    ("rt", "mfcc"),
    ("lstm of finer bins", "linear"),
    ("lstm of finer bins", "fbank"),
    ("separator", "fbank"),
]


def behind(
    model: Enhancer | Separator, settings: FeatureSettings, training: str = "frozen"
) -> Recogniser:
    rng = np.random.default_rng(1)
    bins = features.num_bins(settings)
    mean, std = 2 * rng.standard_normal(bins) - 15, 2 + 2 * rng.random(bins)
    return Recogniser(
        Vocabulary.build({"一": 1}),
        settings,
        Normalizer(mean, std, settings),
        NetworkSettings(conv_channels=2, num_rnn_layers=1, rnn_layer_size=8),
        front_end=FrontEndModel(model, FrontEndTrainingSettings("a", (0.0, 1.0), training)),  # type: ignore[arg-type]
    )


def speech(seconds: float, seed: int) -> np.ndarray:
    """Noise in syllables, of all levels and with a rise in the middle of the spectrum."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(int(seconds * 16000))
    noise += np.convolve(noise, np.cos(np.arange(60) * 0.7), "same")
    swell = 0.02 + np.sin(np.arange(len(noise)) / 2500) ** 4
    return (0.05 * noise * swell).astype(np.float32)


def packed(
    recogniser: Recogniser, waves: list[np.ndarray], shares: list[float]
) -> tuple[np.ndarray, np.ndarray]:
    """What `masked_speech` would give, padded: [batch, T, columns], frames."""
    assert recogniser.front_end is not None
    columns = recogniser.front_end.columns(recogniser.features)
    rows = []
    for wave, share in zip(waves, shares, strict=True):
        power = features.power_spectrum(wave, recogniser.features)
        heard = recogniser.front_end.model.hearing.magnitudes(wave)
        keep = np.ones((len(power), columns.features), bool)
        rows.append(columns.packed(power, heard, keep, np.zeros(len(power), "f4"), share))
    frames = np.array([len(row) for row in rows])
    batch = np.zeros((len(rows), frames.max(), rows[0].shape[1]), np.float32)
    for row, values in enumerate(rows):
        batch[row, : len(values)] = values
    return batch, frames


def network(recogniser: Recogniser, seed: int = 0) -> MaskedDeepSpeech2:
    paddle.seed(seed)
    built = recogniser.build(fast=False)
    assert isinstance(built, MaskedDeepSpeech2)
    rng = np.random.default_rng(seed)
    for name, value in weights_of(built).items():
        # Statistics and biases as training would leave them, masks of all sizes.
        if value.ndim == 1 and not name.endswith("variance"):
            value.set_value((value.numpy() + 0.3 * rng.standard_normal(value.shape)).astype("f4"))
    return built


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_computes_what_inference_computes(name: str, kind: FeatureType) -> None:
    settings = FeatureSettings(kind)
    recogniser = behind(MODELS[name](), settings)
    whole = network(recogniser)
    whole.eval()
    waves = [speech(2.3, 1), speech(0.63, 2), speech(0.7, 3)]  # 228, 61, 68 frames: 4, 1, 2 blocks
    shares = [0.0, 0.3, 1.0]
    batch, frames = packed(recogniser, waves, shares)
    with paddle.no_grad():
        logits, lengths = whole(paddle.to_tensor(batch), paddle.to_tensor(frames))

    values = {name: value.numpy() for name, value in weights_of(whole).items()}
    saved = Checkpoint(Path("a.pdparams"), values, None, {"epoch": 1, **recogniser.describe()})
    assert recogniser.front_end is not None
    own, before = split(saved, recogniser.front_end)
    alone = dataclasses.replace(recogniser, front_end=None)
    plain = alone.build(fast=False)
    assert type(plain) is DeepSpeech2
    set_weights(plain, own)
    plain.eval()
    changed = 0.0
    for row, (wave, share) in enumerate(zip(waves, shares, strict=True)):
        front = FrontEnd(before, settings, share)
        masked = features.from_power(front.power(wave), settings)
        heard = recogniser.normalizer(masked)[np.newaxis]
        with paddle.no_grad():
            expected, count = plain(
                paddle.to_tensor(heard), paddle.to_tensor(frames[row : row + 1])
            )
        assert int(count[0]) == int(lengths[row])
        found = logits.numpy()[row, : int(count[0])]
        assert np.abs(found - expected.numpy()[0]).max() < 1e-4
        changed = max(
            changed,
            np.abs(
                masked
                - features.extract(wave, dataclasses.replace(settings, use_db_normalization=False))
            ).max(),
        )
    assert changed > 1, "the masks do something"


def test_what_the_recogniser_begins_with_is_the_same_without_a_front_end() -> None:
    recogniser = behind(enhancer(), FBANK)
    paddle.seed(3)
    with_one = {n: v.numpy() for n, v in weights_of(recogniser.build(False)).items()}
    paddle.seed(3)
    alone = weights_of(dataclasses.replace(recogniser, front_end=None).build(False))
    assert all(np.array_equal(value.numpy(), with_one[name]) for name, value in alone.items())
    others = with_one.keys() - alone.keys()
    assert others and all(name.startswith("front_end.network.") for name in others)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("training", ["frozen", "joint"])
def test_frozen_it_stays_as_it_is_and_drops_nothing(name: str, training: str) -> None:
    recogniser = behind(MODELS[name](), FBANK, training)
    whole = network(recogniser)
    before = {n: v.numpy() for n, v in weights_of(whole).items()}
    batch, frames = packed(recogniser, [speech(0.8, 1), speech(0.5, 2)], [0.2, 0.1])
    found = []
    for _ in range(2):
        whole.train()
        found.append(whole.front_end(paddle.to_tensor(batch), paddle.to_tensor(frames)))
    is_random = not np.array_equal(found[0].numpy(), found[1].numpy())
    logits, _ = whole(paddle.to_tensor(batch), paddle.to_tensor(frames))
    logits.square().sum().backward()
    has_gradient = {
        n: p.grad is not None and bool((p.grad != 0).any())
        for n, p in whole.named_parameters()
        if n.startswith("front_end.")
    }
    assert has_gradient and not whole.front_end.features.parameters()
    moved = {n for n, v in weights_of(whole).items() if not np.array_equal(v.numpy(), before[n])}
    if training == "frozen":
        assert not is_random and not any(has_gradient.values())
        assert not any(n.startswith("front_end.") for n in moved) and moved
    else:
        assert is_random and sum(has_gradient.values()) > 0.8 * len(has_gradient)
        assert any(n.startswith("front_end.") for n in moved) == (name == "separator")


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_gradients_come_through_the_features(name: str, kind: FeatureType) -> None:
    """Along a random direction of the mask network's last weights, against small differences."""
    settings = FeatureSettings(kind)
    model = MODELS[name]()
    if isinstance(model, Enhancer):
        sizes = dataclasses.replace(model.network, dropout=0.0, emb_dropout=0.0)
        model = dataclasses.replace(model, network=sizes)
    recogniser = behind(model, settings, "joint")
    whole = network(recogniser)
    if isinstance(model, Separator):
        whole.eval()  # in which Paddle's LSTM has no gradients
    batch, frames = packed(recogniser, [speech(0.9, 1), speech(0.5, 2)], [0.3, 0.0])
    inputs, lengths = paddle.to_tensor(batch), paddle.to_tensor(frames)
    masks = whole.front_end.network
    weight = masks.unets[0].head.weight if name == "separator" else masks.output.weight
    rng = np.random.default_rng(4)
    value, direction = weight.numpy(), rng.standard_normal(weight.shape).astype("f4")
    target = paddle.to_tensor(
        rng.standard_normal(whole.front_end(inputs, lengths).shape).astype("f4")
    )

    def loss() -> paddle.Tensor:
        valid = paddle.arange(batch.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)
        heard = whole.front_end(inputs, lengths)
        return (heard * target * valid.unsqueeze(-1).astype("float32")).astype("float64").sum()

    loss().backward()
    found = float(np.sum(weight.grad.numpy() * direction))
    sides = []
    for side in (1, -1):
        weight.set_value(value + side * np.float32(3e-3) * direction)
        sides.append(float(loss()))
    expected = (sides[0] - sides[1]) / 6e-3
    assert found == pytest.approx(expected, rel=0.02, abs=0.05)


def test_a_head_stands_behind_it_too() -> None:
    recogniser = behind(enhancer(), FBANK)
    with_head = dataclasses.replace(recogniser, head=Classes("language", ("en", "zh", "ja")))
    whole = network(with_head)
    batch, frames = packed(with_head, [speech(0.5, 1), speech(0.4, 2)], [0.2, 0.1])
    logits, lengths, scores = whole.outputs(paddle.to_tensor(batch), paddle.to_tensor(frames))
    assert logits.shape[:2] == [2, int(lengths.max())] and scores.shape == [2, 3]
    info = json.loads(json.dumps(with_head.describe()))
    assert Recogniser.of(info, "a").head == with_head.head


def test_effects_on_features_come_behind_the_masks() -> None:
    recogniser = behind(enhancer(), FBANK)
    whole = network(recogniser)
    whole.eval()
    batch, frames = packed(recogniser, [speech(0.5, 1), speech(0.4, 2)], [0.2, 0.1])
    plain = whole.front_end(paddle.to_tensor(batch), paddle.to_tensor(frames)).numpy()
    assert recogniser.front_end is not None
    sizes = recogniser.front_end.columns(recogniser.features).sizes
    keep, shift = sum(sizes[:2]), sum(sizes[:3])
    rng = np.random.default_rng(0)
    kept = rng.random((*batch.shape[:2], sizes[2])) < 0.7
    moves = np.zeros(batch.shape[:2])
    for row, length in enumerate(frames):
        places = np.sort(rng.uniform(0, length - 1, length))
        moves[row, :length] = places - np.arange(length)
    batch[:, :, keep:shift] = kept
    batch[:, :, shift] = moves
    found = whole.front_end(paddle.to_tensor(batch), paddle.to_tensor(frames)).numpy()
    for row, length in enumerate(frames):
        frame = np.arange(length)
        expected = [np.interp(frame + moves[row, :length], frame, c) for c in plain[row, :length].T]
        expected = np.stack(expected, axis=1) * kept[row, :length]
        assert np.abs(found[row, :length] - expected).max() < 1e-4


def test_columns_are_packed_side_by_side() -> None:
    columns = Columns(3, 2, 4)
    power, heard = np.full((5, 3), 2.0, "f4"), np.full((5, 2), 3.0, "f4")
    keep = np.eye(5, 4) > 0
    found = columns.packed(power, heard, keep, np.arange(5, dtype="f4"), 0.25)
    expected = [np.r_[[2.0] * 3, [3.0] * 2, keep[t], t, 0.25] for t in range(5)]
    assert found.dtype == np.float32 and np.array_equal(found, np.array(expected, "f4"))
