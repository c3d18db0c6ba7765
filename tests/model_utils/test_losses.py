"""CTC against a forward algorithm of our own; what Paddle's would let pass or die of."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.dataset import required_frames
from model_utils.losses import ctc_loss, training_loss
from model_utils.settings import LossSettings

CLASSES = 4


def negative_log_likelihood(logits: np.ndarray, labels: list[int]) -> float:
    """Sum over all alignments in log space (Graves et al. 2006, eq. 5 to 8), float64.

    `alpha[s]` is the log-probability of having written the first s symbols of the labels with
    blanks around each of them.
    """
    logits = logits.astype(np.float64)
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    symbols = [0]
    for label in labels:
        symbols += [label, 0]
    alpha = np.full(len(symbols), -np.inf)
    alpha[:2] = log_probs[0, symbols[:2]]
    for frame in log_probs[1:]:
        before = alpha
        alpha = np.full(len(symbols), -np.inf)
        for s, symbol in enumerate(symbols):
            ways = [before[s]]
            if s >= 1:
                ways.append(before[s - 1])
            if s >= 2 and symbol != 0 and symbol != symbols[s - 2]:
                ways.append(before[s - 2])
            alpha[s] = np.logaddexp.reduce(ways) + frame[symbol]
    return -float(np.logaddexp(alpha[-1], alpha[-2]))


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Logits, valid frames and labels of a few items, repeats among them, each label fitting."""
    labels = draw(
        st.lists(
            st.lists(st.integers(1, CLASSES - 1), min_size=1, max_size=4), min_size=1, max_size=3
        )
    )
    lengths = np.array([required_frames(ids) + draw(st.integers(0, 4)) for ids in labels])
    frames = int(lengths.max()) + draw(st.integers(0, 2))
    seed = draw(st.integers(0, 2**32 - 1))
    spread = draw(st.sampled_from([0.1, 1.0, 10.0]))
    logits = np.random.default_rng(seed).normal(0, spread, (len(labels), frames, CLASSES))
    return logits.astype("float32"), lengths, labels


def padded(labels: list[list[int]], filling: int = 0) -> tuple[np.ndarray, np.ndarray]:
    lengths = np.array([len(ids) for ids in labels])
    array = np.full((len(labels), max(lengths)), filling, dtype=np.int32)
    for row, ids in enumerate(labels):
        array[row, : len(ids)] = ids
    return array, lengths


@given(batches(), st.sampled_from([0, 1, 2]), st.booleans())
@settings(max_examples=120, deadline=None)
def test_loss_equals_the_forward_algorithm(
    batch: tuple[np.ndarray, np.ndarray, list[list[int]]], filling: int, fast: bool
) -> None:
    logits, lengths, labels = batch
    losses = ctc_loss(paddle.to_tensor(logits), lengths, *padded(labels, filling), fast).numpy()
    for row, ids in enumerate(labels):
        expected = negative_log_likelihood(logits[row, : lengths[row]], ids)
        assert np.isclose(losses[row], expected, rtol=1e-4, atol=1e-4)


@given(batches(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_gradient_equals_finite_differences(
    batch: tuple[np.ndarray, np.ndarray, list[list[int]]], fast: bool
) -> None:
    logits, lengths, labels = batch
    weights = np.linspace(1.0, 2.0, len(labels))
    x = paddle.to_tensor(logits, stop_gradient=False)
    losses = ctc_loss(x, lengths, *padded(labels), fast)
    (losses * paddle.to_tensor(weights.astype("float32"))).sum().backward()
    gradient = x.grad.numpy()
    for row, ids in enumerate(labels):
        assert not gradient[row, lengths[row] :].any(), "padding has no influence"
        for place in np.ndindex(lengths[row], CLASSES):
            step = np.zeros((lengths[row], CLASSES))
            step[place] = 1e-5
            valid = logits[row, : lengths[row]].astype(np.float64)
            up, down = (negative_log_likelihood(valid + s, ids) for s in (step, -step))
            expected = weights[row] * (up - down) / 2e-5
            assert np.isclose(gradient[row][place], expected, atol=1e-3)


@pytest.mark.parametrize("spread", [60.0, 300.0])
def test_labels_next_to_impossible_have_their_loss(spread: float) -> None:
    """Paddle's own, of the plain engine, gives less: its logarithms end sooner."""
    logits = np.random.default_rng(1).normal(0, spread, (3, 20, CLASSES)).astype("float32")
    lengths, labels = np.array([20, 12, 9]), [[1, 2, 2], [3, 1], [2]]
    losses = ctc_loss(paddle.to_tensor(logits), lengths, *padded(labels), True).numpy()
    for row, ids in enumerate(labels):
        expected = negative_log_likelihood(logits[row, : lengths[row]], ids)
        assert losses[row] == pytest.approx(expected, rel=1e-5) and expected > 10


def loss_of(
    labels: list[list[int]], lengths: list[int], label_lengths: list[int] | None = None
) -> paddle.Tensor:
    array, counts = padded([ids or [0] for ids in labels])
    counts = np.array([len(ids) for ids in labels] if label_lengths is None else label_lengths)
    logits = paddle.zeros([len(labels), 5, CLASSES])
    return ctc_loss(logits, np.array(lengths), array, counts)


FITS = [1, 2]

# Paddle itself would return 0 without a gradient, die of SIGFPE, or corrupt memory.
REFUSED = {
    "labels that cannot fit": ([FITS, [1, 2, 3]], [5, 2], "item 1: its labels need 3 frames"),
    "repeats that cannot fit": ([FITS, [1, 1, 1]], [5, 4], "item 1: its labels need 5 frames"),
    "input length 0": ([FITS, FITS], [0, 5], "item 0: 0 frames"),
    "negative input length": ([FITS, FITS], [5, -1], "item 1: -1 frames"),
    "all labels empty": ([[], []], [5, 5], "item 0: 0 labels"),
    "one label empty": ([FITS, []], [5, 5], "item 1: 0 labels"),
    "input length beyond the tensor": ([FITS, FITS], [5, 6], "item 1: 6 frames"),
    "label id beyond the classes": ([FITS, [1, CLASSES]], [5, 5], "item 1: label ids 1..4"),
    "negative label id": ([[-1, 2], FITS], [5, 5], "item 0: label ids -1..2"),
    "the blank as a label": ([FITS, [1, 0, 2]], [5, 5], "item 1: label ids 0..2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_number_of_the_item(case: str) -> None:
    labels, lengths, message = REFUSED[case]
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        loss_of(labels, lengths)


@pytest.mark.parametrize("lengths", [[2, 3], [2, -1]])
def test_label_lengths_beyond_their_tensor_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match=f"item 1: {lengths[1]} labels"):
        loss_of([FITS, FITS], [5, 5], lengths)


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_any_whole_numbers_are_labels(dtype: str) -> None:
    # Paddle's own wants int32 alone.
    array, counts = padded([FITS, [3]])
    logits = paddle.zeros([2, 5, CLASSES])
    losses = ctc_loss(logits, np.array([5, 4]), array.astype(dtype), counts.astype(dtype))
    expected = [
        negative_log_likelihood(np.zeros((n, CLASSES)), ids) for n, ids in ((5, FITS), (4, [3]))
    ]
    assert np.allclose(losses.numpy(), expected, rtol=1e-5)


def test_loss_is_the_items_own_not_divided_by_anything() -> None:
    # Paddle's reduction="mean" divides by the label length.
    alone = loss_of([FITS], [5]).numpy()
    both = loss_of([FITS, [1]], [5, 5]).numpy()
    assert both.shape == (2,) and np.isclose(both[0], alone[0])


# The variants

VARIANTS = [
    LossSettings(label_smoothing=0.1),
    LossSettings(focal_gamma=0.5),
    LossSettings(focal_gamma=2.0),
    LossSettings(label_smoothing=0.05, focal_gamma=1.0),
]


def variant(logits: np.ndarray, labels: list[int], settings: LossSettings) -> float:
    """From the papers' formulas, float64: focal CTC, and KL(uniform || p) of each frame."""
    logits = logits.astype(np.float64)
    loss = negative_log_likelihood(logits, labels)
    loss *= (1 - np.exp(-loss)) ** settings.focal_gamma
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    uniform = 1 / logits.shape[1]
    divergence = (uniform * np.log(uniform / probabilities)).sum()
    return (1 - settings.label_smoothing) * loss + settings.label_smoothing * float(divergence)


@pytest.mark.parametrize("settings_", VARIANTS, ids=str)
@given(batches())
@settings(max_examples=20, deadline=None)
def test_a_variant_equals_its_formula(
    settings_: LossSettings, batch: tuple[np.ndarray, np.ndarray, list[list[int]]]
) -> None:
    logits, lengths, labels = batch
    losses = training_loss(paddle.to_tensor(logits), lengths, *padded(labels), settings_).numpy()
    assert losses.shape == (len(labels),)
    for row, ids in enumerate(labels):
        expected = variant(logits[row, : lengths[row]], ids, settings_)
        assert np.isclose(losses[row], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("settings_", VARIANTS, ids=str)
@given(batches(), st.booleans())
@settings(max_examples=10, deadline=None)
def test_the_gradient_of_a_variant_equals_finite_differences(
    settings_: LossSettings, batch: tuple[np.ndarray, np.ndarray, list[list[int]]], fast: bool
) -> None:
    logits, lengths, labels = batch
    x = paddle.to_tensor(logits, stop_gradient=False)
    training_loss(x, lengths, *padded(labels), settings_, fast).sum().backward()
    gradient = x.grad.numpy()
    for row, ids in enumerate(labels):
        assert not gradient[row, lengths[row] :].any(), "padding has no influence"
        for place in np.ndindex(lengths[row], CLASSES):
            step = np.zeros((lengths[row], CLASSES))
            step[place] = 1e-5
            valid = logits[row, : lengths[row]].astype(np.float64)
            up, down = (variant(valid + s, ids, settings_) for s in (step, -step))
            assert np.isclose(gradient[row][place], (up - down) / 2e-5, atol=1e-3)


@given(batches())
@settings(max_examples=20, deadline=None)
def test_without_smoothing_and_gamma_it_is_ctc_to_the_last_bit(
    batch: tuple[np.ndarray, np.ndarray, list[list[int]]],
) -> None:
    logits, lengths, labels = batch
    results = []
    for losses_of in (ctc_loss, lambda *given: training_loss(*given, LossSettings())):
        x = paddle.to_tensor(logits, stop_gradient=False)
        losses = losses_of(x, lengths, *padded(labels))
        losses.sum().backward()
        results.append((losses.numpy(), x.grad.numpy()))
    for plain, without in zip(*results, strict=True):
        assert np.array_equal(plain, without)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    "settings_", [LossSettings(), LossSettings(focal_gamma=1.0), LossSettings(label_smoothing=0.1)]
)
def test_logits_that_nobody_reads_again_may_be_consumed(
    settings_: LossSettings, fast: bool
) -> None:
    """Loss and gradients stay what they are, those of the layer in front too."""
    rng = np.random.default_rng(8)
    features = rng.standard_normal((3, 9, 4)).astype("float32")
    lengths, labels = np.array([9, 4, 6]), [[1, 2, 2], [3], [2, 1]]
    layer = paddle.nn.Linear(4, 5)
    results = []
    for consumed in (False, True):
        x = paddle.to_tensor(features, stop_gradient=False)
        logits = layer(x)
        before = logits.numpy()
        losses = training_loss(logits, lengths, *padded(labels), settings_, fast, consumed)
        taken = fast and consumed and not settings_.label_smoothing
        assert np.array_equal(logits.numpy(), before) != taken
        (losses * paddle.to_tensor([1.0, 2.0, -3.0])).sum().backward()
        results.append((losses.numpy(), x.grad.numpy(), layer.weight.grad.numpy()))
        layer.clear_gradients()
    for found, expected in zip(*results, strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("settings_", VARIANTS, ids=str)
def test_padding_and_batch_mates_do_not_matter(settings_: LossSettings) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (3, 9, CLASSES)).astype("float32")
    lengths, labels = np.array([4, 9, 6]), [[1, 2], [3, 3, 1], [2]]
    for row in range(3):
        logits[row, lengths[row] :] = rng.normal(0, 100, logits[row, lengths[row] :].shape)
    together = training_loss(paddle.to_tensor(logits), lengths, *padded(labels, 3), settings_)
    for row, ids in enumerate(labels):
        alone = paddle.to_tensor(logits[row : row + 1, : lengths[row]])
        loss = training_loss(alone, lengths[row : row + 1], *padded([ids]), settings_)
        assert np.isclose(loss.item(), together[row].item(), rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_of_a_certain_item_the_focal_gradient_is_finite(gamma: float) -> None:
    # Its loss rounds to 0, or a little below: the root of that is no number.
    x = paddle.to_tensor(np.array([[[0, 60.0, 0, 0]] * 3], "float32"), stop_gradient=False)
    loss = training_loss(x, np.array([3]), *padded([[1]]), LossSettings(focal_gamma=gamma))
    loss.sum().backward()
    assert np.isfinite(loss.numpy()).all() and np.isfinite(x.grad.numpy()).all()


def test_what_is_recognised_already_counts_for_less() -> None:
    logits = np.zeros((2, 3, CLASSES), "float32")
    logits[0, :, 1] = 3.0
    lengths, labels = np.array([3, 3]), padded([[1], [1]])
    plain = ctc_loss(paddle.to_tensor(logits), lengths, *labels)
    settings_ = LossSettings(focal_gamma=2.0)
    focal = training_loss(paddle.to_tensor(logits), lengths, *labels, settings_)
    easy, hard = (focal / plain).numpy()
    assert easy < 0.1 < 0.5 < hard < 1
