"""The recogniser's network in PyTorch, as its users would write it: the peer of several tables.

Runs in an environment without this package. Its parts have the names of those in
`model_utils.networks.deepspeech2`, and `load` gives it the weights of one.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

KERNELS = ((41, 11), (21, 11), (21, 11))
STRIDES = ((2, 3), (2, 1), (2, 1))
CEILING = 20.0


class ValidBatchNorm(nn.Module):
    """Batch norm of the valid frames alone; padding becomes zero.

    It is PyTorch's own, on the valid frames taken out and put back where there is padding.
    Statistics by masks, with the gradients of each operation, took a quarter longer with 32
    channels, and as long with 8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, channels, bins, frames], mask bool [batch, frames] -> like x."""
        if mask.all():
            return self.norm(x.flatten(2)).view_as(x)
        rows = x.permute(0, 3, 1, 2)
        normalised = torch.zeros_like(rows)
        normalised[mask] = self.norm(rows[mask])
        return normalised.permute(0, 2, 3, 1)


class SequenceBatchNorm(nn.Module):
    """Batch norm of each unit over the valid frames of the batch; padding becomes zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, frames, width], mask bool [batch, frames] -> like x."""
        if mask.all():
            return self.norm(x.flatten(0, 1)).view_as(x)
        normalised = torch.zeros_like(x)
        normalised[mask] = self.norm(x[mask])
        return normalised


class FrameLayerNorm(nn.Module):
    """Layer norm of each frame by itself; what it makes of padding nobody reads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, frames, width] -> like x."""
        return self.norm(x)


class ConvolutionStack(nn.Module):
    """One to three convolutions, each with batch norm and clipped ReLU."""

    def __init__(self, num_bins: int, channels: int, num_layers: int) -> None:
        super().__init__()
        self.convolutions, self.norms = nn.ModuleList(), nn.ModuleList()
        for layer in range(num_layers):
            kernel, stride = KERNELS[layer], STRIDES[layer]
            padding = (kernel[0] // 2, kernel[1] // 2)
            inputs = channels if layer else 1
            convolution = nn.Conv2d(inputs, channels, kernel, stride, padding, bias=False)
            self.convolutions.append(convolution)
            self.norms.append(ValidBatchNorm(channels))
            num_bins = _output_size(num_bins, kernel[0], stride[0])
        self.clip = nn.Hardtanh(0.0, CEILING, inplace=True)
        self.output_width = channels * num_bins

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """features [batch, frames, bins], lengths [batch] -> [batch, frames', width], [batch]."""
        x = features * _mask(lengths, features.shape[1]).unsqueeze(-1)
        x = x.transpose(1, 2).unsqueeze(1)
        for layer, convolution in enumerate(self.convolutions):
            lengths = _output_size(lengths, KERNELS[layer][1], STRIDES[layer][1])
            x = convolution(x)
            x = self.clip(self.norms[layer](x, _mask(lengths, x.shape[3])))
        return x.permute(0, 3, 1, 2).flatten(2), lengths


class Recurrent(nn.Module):
    """A bidirectional GRU layer.

    Args:
        width: values of a frame.
        units: of each direction.
        packed: read each utterance to its own end; else all to the end of the longest, which is
            right where all are equally long.
    """

    def __init__(self, width: int, units: int, packed: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(width, units, batch_first=True, bidirectional=True)
        self.packed = packed

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x [batch, frames, width], lengths [batch] -> [batch, frames, 2 units]."""
        if not self.packed:
            return self.gru(x)[0]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, _ = self.gru(packed)
        return pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0]


class RecurrentStack(nn.Module):
    """Recurrent layers, each normalised and with dropout in front."""

    def __init__(
        self, width: int, units: int, num_layers: int, norm: str, dropout: float, packed: bool
    ) -> None:
        super().__init__()
        norm_class = FrameLayerNorm if norm == "layer" else SequenceBatchNorm
        self.norms, self.layers = nn.ModuleList(), nn.ModuleList()
        for _ in range(num_layers):
            self.norms.append(norm_class(width))
            self.layers.append(Recurrent(width, units, packed))
            width = 2 * units
        self.output_norm = norm_class(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x [batch, frames, width], lengths [batch] -> [batch, frames, 2 units]."""
        mask = _mask(lengths, x.shape[1])
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = layer(self.dropout(norm(x, mask)), lengths)
        return self.dropout(self.output_norm(x, mask))


class DeepSpeech2(nn.Module):
    """Features to logits, three feature frames to one output frame.

    Args:
        num_bins: feature bins of a frame.
        num_classes: tokens, the blank (id 0) included.
        sizes: fields of `model_utils.settings.NetworkSettings`: bidirectional GRU is what there is.
        packed: see `Recurrent`.
    """

    def __init__(
        self, num_bins: int, num_classes: int, sizes: Mapping[str, Any], packed: bool = True
    ) -> None:
        super().__init__()
        self.conv = ConvolutionStack(num_bins, sizes["conv_channels"], sizes["num_conv_layers"])
        units = sizes["rnn_layer_size"]
        self.rnn = RecurrentStack(
            self.conv.output_width,
            units,
            sizes["num_rnn_layers"],
            sizes["rnn_norm"],
            sizes["dropout"],
            packed,
        )
        self.output = nn.Linear(2 * units, num_classes)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of features [batch, frames, bins], and their valid frames [batch]."""
        x, lengths = self.conv(features, lengths)
        return self.output(self.rnn(x, lengths)), lengths


_NAMES = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var"}
"""PyTorch's names of what belongs to a batch norm."""


def load(network: DeepSpeech2, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Give `network` the weights of ours.

    Args:
        network: of the same sizes.
        weights: by the names of `model_utils.trainer.checkpoint.weights_of`.
    """
    state = {}
    for name, value in weights.items():
        *path, last = name.split(".")
        if path[:2] == ["rnn", "layers"]:
            if "cell" in name:
                continue  # another name of the same weights
            path.append("gru")
        elif path[:2] == ["conv", "convolutions"]:
            path.pop()
            if path[-1] == "0":  # [channels, taps, bins, 1]: the taps are channels there
                value = value.transpose(0, 3, 2, 1)
        elif path[:2] == ["conv", "norms"]:
            path.append("norm")
        elif path == ["output"] and last == "weight":
            value = value.T
        state[".".join([*path, _NAMES.get(last, last)])] = torch.from_numpy(value.copy())
    missing, unexpected = network.load_state_dict(state, strict=False)
    counters = [name for name in missing if name.endswith("num_batches_tracked")]
    assert counters == missing and not unexpected, (missing, unexpected)


def _output_size(size: Any, kernel: int, stride: int) -> Any:
    """Length of a convolution's output, its input padded by kernel // 2 at both ends."""
    return (size + 2 * (kernel // 2) - kernel) // stride + 1


def _mask(lengths: Tensor, frames: int) -> Tensor:
    """True at valid frames: bool [batch, frames]."""
    return torch.arange(frames) < lengths.unsqueeze(1)
