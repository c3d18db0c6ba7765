"""Recurrent layers with normalisation in front of each, and a lookahead convolution.

Padding is set to zero before each recurrent layer: large values there turn the weights' gradients
of Paddle's GRU into NaN while its outputs stay right.
"""

import paddle
from paddle import Tensor, nn

from model_utils.fast import gru
from model_utils.fast.layer_norm import layer_norm
from model_utils.networks.batch_norm import ValidBatchNorm
from model_utils.networks.conv import frame_mask
from model_utils.networks.dropout import Dropout
from model_utils.settings import NetworkSettings

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.SimpleRNN}
DIRECTIONS = {"bidirectional": "bidirect", "forward": "forward"}
"""As Paddle names them."""


class SequenceBatchNorm(nn.Layer):
    """Batch norm of each unit over all valid frames of the batch (Laurent et al. 2015, eq. 9).

    `fast` changes nothing: a unit has too few values for a pass of NumPy of its own.
    """

    def __init__(self, width: int, fast: bool = False) -> None:
        super().__init__()
        self.norm = ValidBatchNorm(width, ceiling=None)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, frames, width], mask [batch, frames] -> like x, padding zero."""
        x = x.transpose([0, 2, 1]).unsqueeze(2)
        return self.norm(x, mask.unsqueeze([1, 2])).squeeze(2).transpose([0, 2, 1])


class MaskedLayerNorm(nn.Layer):
    """Layer norm of each frame by itself (Ba et al. 2016); padding becomes zero."""

    def __init__(self, width: int, fast: bool = False) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fast = fast

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, frames, width], mask [batch, frames] -> like x, padding zero."""
        if self.fast:
            return layer_norm(self.norm, x, mask)
        return self.norm(x) * mask.unsqueeze(-1)


class Lookahead(nn.Layer):
    """Row convolution (Wang et al. 2016): y[t] = sum over j = 0..context of w[j] * x[t + j].

    Frames beyond an utterance's end are zero, so batch mates do not matter.
    """

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.context = context
        self.conv = nn.Conv1D(width, width, context + 1, groups=width, bias_attr=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, width] with zero padding -> like x."""
        x = nn.functional.pad(x.transpose([0, 2, 1]), [0, self.context], data_format="NCL")
        return self.conv(x).transpose([0, 2, 1])


class RecurrentStack(nn.Layer):
    """Recurrent layers, one after the other, each normalised and with dropout in front.

    Args:
        input_width: values of a frame that comes in.
        settings: sizes, cells, direction, normalisation and dropout.
        fast: compute by `model_utils.fast`, GRU layers where that is faster.
    """

    def __init__(self, input_width: int, settings: NetworkSettings, fast: bool = False) -> None:
        super().__init__()
        norm_class = MaskedLayerNorm if settings.rnn_norm == "layer" else SequenceBatchNorm
        bidirectional = settings.rnn_direction == "bidirectional"
        cell, units = CELLS[settings.rnn_type], settings.rnn_layer_size
        if fast and cell is nn.GRU and gru.is_faster(units, settings.rnn_direction):
            cell = gru.GRU
        self.output_width = units * (2 if bidirectional else 1)
        self.norms = nn.LayerList()
        self.layers = nn.LayerList()
        for layer in range(settings.num_rnn_layers):
            width = self.output_width if layer else input_width
            self.norms.append(norm_class(width, fast))
            self.layers.append(cell(width, units, direction=DIRECTIONS[settings.rnn_direction]))
        self.lookahead = (
            Lookahead(self.output_width, settings.lookahead)
            if settings.lookahead and not bidirectional
            else None
        )
        self.output_norm = norm_class(self.output_width, fast)
        self.dropout = Dropout(settings.dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x [batch, frames, input_width], lengths [batch] -> [batch, frames, output_width]."""
        mask = frame_mask(lengths, x.shape[1])
        for number, layer in enumerate(self.layers):  # Paddle's export knows no strict zip
            x = self.dropout(self.norms[number](x, mask))
            x, _ = layer(x, sequence_length=lengths)
        if self.lookahead is not None:
            x = self.lookahead(x * mask.unsqueeze(-1))
        return self.dropout(self.output_norm(x, mask))


def count_parameters(layer: nn.Layer) -> int:
    """Trained values in `layer` (running statistics are none)."""
    return sum(int(paddle.numel(parameter)) for parameter in layer.parameters())
