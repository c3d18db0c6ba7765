"""Magnitudes to masks: R-Transformers, with and without layer norm, and an LSTM to compare with.

R-Transformer: Wang et al. 2019, R-Transformer: recurrent neural network enhanced transformer
(arXiv 1907.05572), section 2. Each level reads, for each frame, the last few frames with a small
recurrent network, then all frames so far with attention, then the frame by itself. Order comes from
the recurrence alone: nothing encodes positions, and no length is the longest. Layer norm stands in
front of each part, as in the authors' code.

Every network here is causal: the mask of a frame does not depend on later frames. So nothing in
the padding, which is later than all valid frames, can reach these.
"""

import math

import paddle
from paddle import Tensor, nn
from paddle.nn import functional

from model_utils.networks.conv import frame_mask
from model_utils.networks.dropout import Dropout
from model_utils.networks.settings import LocalRnnType, MaskNetworkSettings

CELLS = {"LSTM": nn.LSTMCell, "GRU": nn.GRUCell, "RNN": nn.SimpleRNNCell}

SCORES = 1 << 21
"""Attention weights computed at a time, 8 MiB: long recordings need no more, and on a CPU it is the
fastest number, for few of the weights computed are then of the future."""


def log_levels(magnitudes: Tensor) -> Tensor:
    """Magnitudes on a logarithmic scale, those of speech at -25 dBFS about -2 to 2."""
    return (paddle.log(magnitudes.square() + 1e-6) + 4.0) / 4.0


class LocalRnn(nn.Layer):
    """For each frame, the last state of a recurrent network that reads it and those just before.

    It begins anew in every window of `ksize` frames; in front of the first frame stand zeros. All
    windows are read at once: the state that has read j frames, the last of them frame t, follows
    from frame t and the state that has read j - 1 frames, the last of them t - 1. So what a frame
    adds to the gates is computed once for all of its windows, and from step to step the states of
    all windows move on by one frame.

    Args:
        rnn_type: kind of cell.
        width: values of a frame, in and out.
        ksize: frames of a window, 2 or more.
    """

    def __init__(self, rnn_type: LocalRnnType, width: int, ksize: int) -> None:
        super().__init__()
        self.rnn_type, self.ksize = rnn_type, ksize
        self.cell = CELLS[rnn_type](width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, width] -> like x."""
        x = functional.pad(x, [self.ksize - 1, 0], data_format="NLC")
        inputs = paddle.matmul(x, self.cell.weight_ih, transpose_y=True) + self.cell.bias_ih
        if self.rnn_type != "GRU":  # which has the other bias inside a product
            inputs = inputs + self.cell.bias_hh
        hidden, memory = self._step(inputs, None, None)
        for _ in range(self.ksize - 1):
            hidden, memory = self._step(inputs, _later(hidden), _later(memory))
        return paddle.split(hidden, [self.ksize - 1, -1], axis=1)[1]

    def _step(
        self, inputs: Tensor, hidden: Tensor | None, memory: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """The next states, as Paddle's cells compute them; None stands for zeros."""
        if self.rnn_type == "GRU":
            return self._gru_step(inputs, hidden), None
        gates = inputs if hidden is None else inputs + self._recurrent(hidden)
        if self.rnn_type == "RNN":
            return paddle.tanh(gates), None
        entry, forget, new, output = paddle.split(gates, 4, axis=-1)
        added = functional.sigmoid(entry) * paddle.tanh(new)
        if memory is not None:
            added = functional.sigmoid(forget) * memory + added
        return functional.sigmoid(output) * paddle.tanh(added), added

    def _gru_step(self, inputs: Tensor, hidden: Tensor | None) -> Tensor:
        recurrent = self.cell.bias_hh
        if hidden is not None:
            recurrent = self._recurrent(hidden) + recurrent
        reset, update, new = paddle.split(inputs, 3, axis=-1)
        own_reset, own_update, own_new = paddle.split(recurrent, 3, axis=-1)
        new = paddle.tanh(new + functional.sigmoid(reset + own_reset) * own_new)
        kept = functional.sigmoid(update + own_update) * (-new if hidden is None else hidden - new)
        return new + kept

    def _recurrent(self, hidden: Tensor) -> Tensor:
        return paddle.matmul(hidden, self.cell.weight_hh, transpose_y=True)


class CausalAttention(nn.Layer):
    """Multi-head attention (Vaswani et al. 2017, section 3.2) of each frame to all so far.

    Computed for a few frames at a time, so that long recordings need no memory for all pairs.

    Args:
        width: values of a frame, in and out.
        heads: among which they are divided.
        dropout: share of attention weights dropped.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, width] -> like x."""
        batch, frames, width = x.shape
        queries = self._heads(self.query(x)) / math.sqrt(width // self.heads)
        keys, values = self._heads(self.key(x)), self._heads(self.value(x))
        block = max(1, SCORES // (batch * self.heads * frames))
        sizes = [min(block, frames - first) for first in range(0, frames, block)]
        # Split and joined, not sliced: the gradient of a slice takes ten times as long.
        split = (paddle.split(part, sizes, axis=2) for part in (queries, keys, values))
        known_keys = known_values = None
        read = []
        for block_queries, block_keys, block_values in zip(*split, strict=True):
            known_keys = _behind(known_keys, block_keys)
            known_values = _behind(known_values, block_values)
            scores = paddle.matmul(block_queries, known_keys, transpose_y=True)
            size, known = scores.shape[2:]
            later = paddle.triu(paddle.full([size, known], -math.inf), known - size + 1)
            weights = self.dropout(functional.softmax(scores + later))
            read.append(paddle.matmul(weights, known_values))
        joined = paddle.concat(read, axis=2).transpose([0, 2, 1, 3])
        return self.output(joined.reshape([batch, frames, width]))

    def _heads(self, x: Tensor) -> Tensor:
        """[batch, frames, width] -> [batch, heads, frames, width / heads]."""
        batch, frames, width = x.shape
        return x.reshape([batch, frames, self.heads, width // self.heads]).transpose([0, 2, 1, 3])


class Residual(nn.Layer):
    """A part of a level, added to what goes into it: x + dropout(part(norm(x)))."""

    def __init__(self, part: nn.Layer, width: int, dropout: float, layer_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.part = part
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, width] -> like x."""
        return x + self.dropout(self.part(self.norm(x)))


class RTransformer(nn.Layer):
    """An input layer, then levels of local recurrence, attention and feed-forward.

    Args:
        settings: sizes, complete.
    """

    def __init__(self, settings: MaskNetworkSettings) -> None:
        super().__init__()
        width, dropout = settings.d_model, settings.dropout
        assert settings.ksize is not None and settings.n is not None, "settings from `complete`"
        self.input = nn.Sequential(
            nn.Linear(settings.input_size, width), Dropout(settings.emb_dropout)
        )
        parts: list[nn.Layer] = []
        for _ in range(settings.n_level):
            for _ in range(settings.n):
                parts.append(LocalRnn(settings.rnn_type, width, settings.ksize))
            parts += [CausalAttention(width, settings.h, dropout), _feed_forward(width, dropout)]
        self.parts = nn.LayerList(
            [Residual(part, width, dropout, settings.layer_norm) for part in parts]
        )

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """x [batch, T, input_size], frames [batch] -> [batch, T, d_model]."""
        x = self.input(x)
        for part in self.parts:
            x = part(x)
        return x


class LstmLayers(nn.Layer):
    """LSTM layers that read the past, the baseline.

    Args:
        settings: sizes, complete.
    """

    def __init__(self, settings: MaskNetworkSettings) -> None:
        super().__init__()
        self.emb_dropout = Dropout(settings.emb_dropout)
        self.dropout = Dropout(settings.dropout)
        self.layers = nn.LayerList(
            [
                nn.LSTM(settings.d_model if layer else settings.input_size, settings.d_model)
                for layer in range(settings.n_level)
            ]
        )

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """x [batch, T, input_size], frames [batch] -> [batch, T, d_model]."""
        x = self.emb_dropout(x)
        for layer in self.layers:
            x = self.dropout(layer(x, sequence_length=frames)[0])
        return x


class MaskNetwork(nn.Layer):
    """Magnitudes to masks.

    Args:
        settings: which network and its sizes, from `complete`.
    """

    def __init__(self, settings: MaskNetworkSettings) -> None:
        super().__init__()
        body = LstmLayers if settings.network == "lstm" else RTransformer
        self.body = body(settings)
        self.output = nn.Linear(settings.d_model, settings.output_size)

    def forward(self, magnitudes: Tensor, frames: Tensor) -> Tensor:
        """The masks of a batch.

        Args:
            magnitudes: of mixtures at -25 dBFS, float32 [batch, T, bins].
            frames: valid frames, int64 [batch].

        Returns:
            Masks float32 [batch, T, bins], 0 to 1, in the padding 0. In evaluation mode an item's
            valid masks do not depend on its batch mates.
        """
        masks = functional.sigmoid(self.output(self.body(log_levels(magnitudes), frames)))
        return masks * frame_mask(frames, masks.shape[1]).unsqueeze(-1)


def _later(states: Tensor | None) -> Tensor | None:
    """States [batch, frames, width] one frame later, zeros in the first."""
    if states is None:
        return None
    kept = paddle.split(states, [states.shape[1] - 1, 1], axis=1)[0]
    return functional.pad(kept, [1, 0], data_format="NLC")


def _behind(earlier: Tensor | None, x: Tensor) -> Tensor:
    """[batch, heads, frames, values] with what came before in front of it."""
    return x if earlier is None else paddle.concat([earlier, x], axis=2)


def _feed_forward(width: int, dropout: float) -> nn.Layer:
    return nn.Sequential(
        nn.Linear(width, 4 * width), nn.ReLU(), Dropout(dropout), nn.Linear(4 * width, width)
    )
