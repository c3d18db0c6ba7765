"""The U-Nets: sizes, and that neither padding nor level nor other blocks change a mask."""

import numpy as np
import paddle
import pytest

from data_utils.separation.settings import STEMS
from model_utils.networks.rnn import count_parameters
from model_utils.networks.unet import FLOOR, SeparationNetwork, UNet, relative_level

BLOCK, BINS = 128, 64


@pytest.fixture(scope="module")
def network() -> SeparationNetwork:
    """In evaluation mode, with running statistics other than 0 and 1."""
    paddle.seed(5)
    network = SeparationNetwork(BLOCK)
    network(magnitudes(0, 2), paddle.to_tensor([BLOCK, BLOCK]))
    network.eval()
    return network


def magnitudes(seed: int, batch: int, frames: int = BLOCK) -> paddle.Tensor:
    rng = np.random.default_rng(seed)
    return paddle.to_tensor(rng.gamma(0.5, 20.0, (batch, frames, BINS)).astype("float32"))


def masks(network: SeparationNetwork, x: paddle.Tensor, lengths: list[int]) -> np.ndarray:
    with paddle.no_grad():
        return network(x, paddle.to_tensor(lengths)).numpy()


def test_parameters_are_those_of_the_sizes() -> None:
    """Convolutions without bias and two values a channel of batch norm; the head has 16 and one."""
    down = [(1, 16), (16, 32), (32, 64), (64, 128), (128, 256), (256, 512)]
    # Each but the first of those that double gets the skip connection beside what comes up.
    up = [(512, 256), (512, 128), (256, 64), (128, 32), (64, 16), (32, 1)]
    expected = sum(25 * a * b + 2 * b for a, b in (*down, *up)) + 16 + 1
    assert count_parameters(UNet()) == expected
    assert count_parameters(SeparationNetwork(BLOCK)) == len(STEMS) * expected


@pytest.mark.parametrize(("frames", "bins"), [(64, 64), (128, 64), (64, 192)])
def test_masks_have_the_shape_of_what_they_mask(frames: int, bins: int) -> None:
    x = paddle.rand([3, 2 * frames, bins])
    y = SeparationNetwork(frames)(x, paddle.to_tensor([2 * frames, frames + 7, 5])).numpy()
    assert y.shape == (3, 2, 2 * frames, bins) and y.dtype == np.float32
    assert (y >= 0).all() and (y <= 1).all() and not np.array_equal(y[:, 0], y[:, 1])
    for row, length in enumerate((2 * frames, frames + 7, 5)):
        assert (y[row, :, :length] > 0).all() and not y[row, :, length:].any()


@pytest.mark.parametrize("length", [1, 63, 65, 128, 200])
def test_batch_mates_and_padding_change_nothing_in_evaluation(
    network: SeparationNetwork, length: int
) -> None:
    blocks = -(-length // BLOCK)
    alone = magnitudes(length, 1, blocks * BLOCK)
    alone[:, length:] = 0.0
    expected = masks(network, alone, [length])
    together = magnitudes(99, 3, 3 * BLOCK)  # large values in the padding, and a block more
    together[1:2, :length] = alone[:, :length]
    found = masks(network, together, [3 * BLOCK, length, 7])
    assert np.allclose(found[1, :, :length], expected[0, :, :length], atol=1e-5)
    assert not found[1, :, length:].any()


def test_frames_are_valid_as_long_as_a_kernel_stands_on_a_valid_one() -> None:
    """Of 65 frames 33, 17, 9, 5, 3 and 2 are left, and nothing stands behind them."""
    net, left = UNet(), []
    for halving in net.halvings:
        halving.register_forward_post_hook(
            lambda _, __, y: left.append(np.flatnonzero(y.numpy().any(axis=(0, 1, 2))).tolist())
        )
    x = paddle.rand([1, 1, 64, 128])
    x[:, :, :, 65:] = 0.0
    net(x, paddle.to_tensor([65]))
    assert left == [list(range(count)) for count in (33, 17, 9, 5, 3, 2)]


def test_blocks_are_examples_of_their_own(network: SeparationNetwork) -> None:
    x = magnitudes(1, 1, 3 * BLOCK)
    length = 2 * BLOCK + 20
    whole = masks(network, x, [length])
    for block in range(3):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        expected = masks(network, x[:, part], [min(BLOCK, length - block * BLOCK)])
        assert np.allclose(whole[:, :, part], expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1e-6, 0.01, 1000.0])
def test_the_level_changes_no_mask(network: SeparationNetwork, factor: float) -> None:
    x = magnitudes(2, 1)
    assert np.allclose(masks(network, x, [100]), masks(network, x * factor, [100]), atol=1e-4)


def test_the_input_is_relative_to_the_level_of_valid_frames() -> None:
    x = np.random.default_rng(0).gamma(0.5, 20.0, (2, 1, BINS, 20)).astype("float32")
    y = relative_level(paddle.to_tensor(x), paddle.to_tensor([20, 12])).numpy()
    for row, length in enumerate((20, 12)):
        valid = x[row, 0, :, :length].astype(np.float64)
        expected = np.log(1 + valid / np.sqrt(np.mean(valid**2)) / FLOOR)
        assert np.allclose(y[row, 0, :, :length], expected, rtol=1e-5)
        assert not y[row, :, :, length:].any()


def test_silence_and_items_without_a_frame_are_harmless() -> None:
    network = SeparationNetwork(BLOCK)
    x = magnitudes(3, 3)
    x[0] = 0.0
    y = network(x, paddle.to_tensor([BLOCK, 0, 50]))
    (y.sum()).backward()
    assert np.isfinite(y.numpy()).all() and not y[1].numpy().any()
    for name, parameter in network.named_parameters():
        assert np.isfinite(parameter.grad.numpy()).all(), name


def test_padding_changes_no_statistics_and_no_gradient_in_training() -> None:
    """What stands in the padding, and a block of nothing else, leave no trace."""
    networks = [SeparationNetwork(64) for _ in range(2)]
    networks[1].set_state_dict(networks[0].state_dict())
    short = magnitudes(4, 2, 64)
    lengths = paddle.to_tensor([50, 30])
    short[0, 50:], short[1, 30:] = 0.0, 0.0
    long = paddle.concat([short, magnitudes(5, 2, 64)], axis=1)
    long[0, 50:], long[1, 30:] = 1e4, 1e4
    weights = paddle.randn([2, 2, 64, BINS])
    results = []
    for network, x in zip(networks, (short, long), strict=True):
        for layer in network.sublayers():
            if isinstance(layer, paddle.nn.Dropout):
                layer.p = 0.0  # it draws for other shapes
        y = network(x, lengths)
        (y[:, :, :64] * weights).sum().backward()
        results.append(y[:, :, :64].numpy())
    assert np.allclose(*results, atol=1e-5)
    for (name, a), b in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        scale = np.abs(a.grad.numpy()).max()
        assert np.allclose(a.grad.numpy(), b.grad.numpy(), atol=1e-3 * scale + 1e-6), name
    for name, value in networks[0].state_dict().items():
        other = networks[1].state_dict()[name].numpy()
        assert np.allclose(value.numpy(), other, rtol=1e-4, atol=1e-5), name


def test_every_parameter_learns() -> None:
    network = SeparationNetwork(BLOCK)
    y = network(magnitudes(6, 1), paddle.to_tensor([BLOCK]))
    (y * paddle.randn(y.shape)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.numpy().any(), name


def test_the_three_innermost_layers_that_double_drop_half_in_training() -> None:
    net = UNet()
    outputs: list[np.ndarray] = []
    for doubling in net.doublings:
        doubling.register_forward_post_hook(lambda _, __, y: outputs.append(y.numpy()))
    x = paddle.rand([2, 1, 256, 256])
    lengths = paddle.to_tensor([256, 256])
    net(x, lengths)
    shares = [float((y == 0).mean()) for y in outputs]
    assert np.allclose(shares[:3], 0.5, atol=0.05) and max(shares[3:]) < 0.01
    net.eval()
    outputs.clear()
    first = net(x, lengths)
    assert max(float((y == 0).mean()) for y in outputs) < 0.01
    assert np.array_equal(first.numpy(), net(x, lengths).numpy())


def test_it_learns_which_bins_are_whose() -> None:
    """The lower half of the bins belongs to the vocals, the upper to the accompaniment."""
    paddle.seed(0)
    network = SeparationNetwork(64)
    optimizer = paddle.optimizer.Adam(0.01, parameters=network.parameters())
    truth = np.zeros((1, 2, 1, 64), dtype="float32")
    truth[0, 0, 0, :32] = truth[0, 1, 0, 32:] = 1.0
    lengths = paddle.to_tensor([64, 64])
    losses = []
    for step in range(6):
        x = magnitudes(step, 2, 64).unsqueeze(1)
        difference = network(x.squeeze(1), lengths) * x - paddle.to_tensor(truth) * x
        loss = difference.abs().mean() / x.mean()
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(float(loss))
    assert losses[0] > 0.4 and losses[-1] < 0.7 * losses[0], losses
