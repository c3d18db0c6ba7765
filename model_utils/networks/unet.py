"""A U-Net for each stem, from the magnitudes of a mixture to the stem's mask.

Jansson et al. 2017, "Singing voice separation with deep U-Net convolutional networks", with the
sizes, the order of ReLU and batch norm, and the mask head of Spleeter (Hennequin et al. 2020). What
differs from Spleeter:

- The input is on a logarithmic scale, relative to the level of its block. Spleeter feeds linear
  magnitudes: there a tone 40 dB below another is next to nothing, and a mask changes with the
  volume. Here it does not, so that nobody has to bring a recording to a level before it is heard.
- Skip connections carry what the layers put out, as in the paper. Spleeter's carry the convolutions
  before their batch norm, and the norm of the sixth reaches nothing.
- No convolution but the last has a bias: the batch norm behind or before it has one.

Padded frames are zero before every layer and are left out of the batch statistics; see `conv`.
"""

import paddle
from paddle import Tensor, nn
from paddle.nn import functional

from data_utils.separation.settings import HALVINGS, STEMS
from model_utils.networks.batch_norm import ValidBatchNorm
from model_utils.networks.conv import frame_mask
from model_utils.networks.dropout import Dropout

CHANNELS = (16, 32, 64, 128, 256, 512)
KERNEL = 5
SLOPE = 0.2
"""Of the leaky ReLU below zero."""
DROPOUT = 0.5
NUM_DROPOUTS = 3
"""So many of the layers that double sizes, the innermost, drop values in training."""
FLOOR = 1e-3
"""60 dB below the RMS of the block the input begins to rise from 0: what is fainter tells of codecs
and converters more than of music."""

assert len(CHANNELS) == HALVINGS


class Halving(nn.Layer):
    """A convolution that halves bins and frames, batch norm, leaky ReLU."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2D(
            in_channels, channels, KERNEL, stride=2, padding=KERNEL // 2, bias_attr=False
        )
        self.norm = ValidBatchNorm(channels, ceiling=None)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[n, in_channels, bins, frames], [n, 1, 1, frames / 2] -> [n, channels, half, half]."""
        return functional.leaky_relu(self.norm(self.conv(x), mask), SLOPE)


class Doubling(nn.Layer):
    """A transposed convolution that doubles bins and frames, ReLU, batch norm, perhaps dropout."""

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2DTranspose(
            in_channels,
            channels,
            KERNEL,
            stride=2,
            padding=KERNEL // 2,
            output_padding=1,
            bias_attr=False,
        )
        self.norm = ValidBatchNorm(channels, ceiling=None)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[n, in_channels, bins, frames], [n, 1, 1, 2 frames] -> [n, channels, double, double]."""
        return self.dropout(self.norm(functional.relu(self.conv(x)), mask))


class UNet(nn.Layer):
    """What a stem's share of each bin is, by what stands around it in time and frequency."""

    def __init__(self) -> None:
        super().__init__()
        self.halvings = nn.LayerList(
            Halving(*pair) for pair in zip((1, *CHANNELS), CHANNELS, strict=False)
        )
        self.doublings = nn.LayerList()
        width = CHANNELS[-1]
        for number, channels in enumerate((*CHANNELS[-2::-1], 1)):
            dropout = DROPOUT if number < NUM_DROPOUTS else 0.0
            self.doublings.append(Doubling(width, channels, dropout))
            width = 2 * channels  # the skip connection brings as many
        self.head = nn.Conv2D(1, 1, 4, dilation=2, padding=3)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Mask of a stem.

        Args:
            x: float32 [n, 1, bins, frames], both multiples of 64, zero in the padding.
            lengths: valid frames, int64 [n].

        Returns:
            Float32 between 0 and 1, like x, zero in the padding.
        """
        masks = []
        for level in range(HALVINGS + 1):
            # A frame in the middle of a kernel at a valid frame is valid: 2 o < length.
            valid = (lengths + 2**level - 1) // 2**level
            masks.append(frame_mask(valid, x.shape[3] // 2**level).unsqueeze([1, 2]))
        skips = []
        for halving, mask in zip(self.halvings, masks[1:], strict=True):
            x = halving(x, mask)
            skips.append(x)
        skips.pop()
        for doubling, mask in zip(self.doublings, reversed(masks[:-1]), strict=True):
            x = doubling(x, mask)
            if skips:
                x = paddle.concat([skips.pop(), x], axis=1)
        # Paddle's product with a broadcast operand is slow.
        return functional.sigmoid(self.head(x)) * masks[0].expand(x.shape)


class SeparationNetwork(nn.Layer):
    """Magnitudes of a mixture to a mask for each of `STEMS`.

    Blocks of frames are examples of their own inside: what is far away in a song changes nothing,
    and songs of any length take the memory of a block where they are given in parts.

    Args:
        block: frames of a block, `T`; a multiple of 64.
    """

    def __init__(self, block: int) -> None:
        super().__init__()
        self.block = block
        self.unets = nn.LayerList(UNet() for _ in STEMS)

    def forward(self, magnitudes: Tensor, lengths: Tensor) -> Tensor:
        """Masks of a batch.

        Args:
            magnitudes: float32 [batch, frames, bins], linear, of any level; frames a multiple of
                `block`, bins of 64.
            lengths: valid frames, int64 [batch].

        Returns:
            Masks float32 [batch, 2, frames, bins], between 0 and 1, in the order of `STEMS`; zero
            in the padding. In evaluation mode valid ones do not depend on batch mates or padding.
        """
        batch, frames, bins = magnitudes.shape
        assert frames % self.block == 0, (frames, self.block)
        blocks = frames // self.block
        starts = self.block * paddle.arange(blocks, dtype="int64")
        inside = (lengths.astype("int64").unsqueeze(1) - starts).clip(0, self.block).flatten()
        x = magnitudes.reshape([batch * blocks, self.block, bins]).transpose([0, 2, 1]).unsqueeze(1)
        x = relative_level(x, inside)
        masks = [
            unet(x, inside).squeeze(1).transpose([0, 2, 1]).reshape([batch, frames, bins])
            for unet in self.unets
        ]
        return paddle.stack(masks, axis=1)


def relative_level(x: Tensor, lengths: Tensor) -> Tensor:
    """ln(1 + x / (FLOOR RMS)), with the RMS of each item's valid frames; 0 in the padding.

    Args:
        x: magnitudes, float32 [n, 1, bins, frames].
        lengths: valid frames, int64 [n].
    """
    x = x * frame_mask(lengths, x.shape[3]).unsqueeze([1, 2])
    count = (lengths * x.shape[2]).clip(min=1).astype("float32").reshape([-1, 1, 1, 1])
    power = (x * x).sum(axis=[1, 2, 3], keepdim=True) / count
    return paddle.log1p(x / (FLOOR * paddle.sqrt(power)).clip(min=1e-20))
