"""A mask network in front of DeepSpeech2, trained with it or frozen.

power, heard, keep, shift, observation     see data_utils.masked_speech
    -> masks of what is heard              the mask network
    -> power * (o + (1 - o) mask)^2        o: observation, the share that is kept as it is
    -> features, normalised                power_features.py
    -> moved by shift, times keep          the time warp and the masks of SpecAugment
    -> logits                              DeepSpeech2
"""

from collections.abc import Callable

import numpy as np
import paddle
from paddle import Tensor, nn
from paddle.nn import functional

from data_utils.hearing import at_bins
from data_utils.masked_speech import Columns
from data_utils.separation.settings import STEMS
from data_utils.separation.stems import EPSILON
from model_utils.blocks import Blocks
from model_utils.networks.deepspeech2 import DeepSpeech2
from model_utils.networks.power_features import PowerFeatures
from model_utils.settings import NetworkSettings

Share = Callable[[nn.Layer, Tensor, Tensor], Tensor]
"""A mask network, magnitudes [n, T, heard], frames [n] -> share of speech [n, T, bins]."""


def enhancer_share(network: nn.Layer, heard: Tensor, frames: Tensor) -> Tensor:
    """What an enhancer takes for speech."""
    return network(heard, frames).astype("float32")


def vocal_share(network: nn.Layer, heard: Tensor, frames: Tensor, block: int, bins: int) -> Tensor:
    """What a separator takes for vocals, see `data_utils.separation.stems`; average above F.

    Args:
        network: a `SeparationNetwork`.
        heard: magnitudes of the F lowest bins, float32 [n, T, F].
        frames: valid ones, int64 [n].
        block: the network's; T is at most that.
        bins: of the share.
    """
    longest, lowest = heard.shape[1:]
    padded = functional.pad(heard, [0, block - longest], data_format="NLC")
    masks = network(padded, frames).astype("float32")
    masks = paddle.split(masks, [longest, -1], axis=2)[0] if longest < block else masks
    powers = (masks * heard.unsqueeze(1).expand(masks.shape)).square() + EPSILON / len(STEMS)
    stems = paddle.unbind(powers, axis=1)
    share = stems[STEMS.index("vocals")] / paddle.add_n(stems)
    if lowest == bins:
        return share
    above = share.mean(axis=2, keepdim=True)
    return paddle.concat([share, above.expand([*above.shape[:2], bins - lowest])], axis=2)


class MaskedFeatures(nn.Layer):
    """From what `masked_speech` gives to the features that are left behind masks.

    Args:
        network: the mask network, with weights of its own already or not.
        share: from what it hears to the share of speech.
        blocks: in which it hears what is long, as in inference.
        columns: what comes in.
        bins: of the share.
        features: from what is left of the power to features.
        is_frozen: its weights and statistics stay as they are, and it drops nothing.
    """

    def __init__(
        self,
        network: nn.Layer,
        share: Share,
        blocks: Blocks,
        columns: Columns,
        bins: int,
        features: PowerFeatures,
        is_frozen: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self.features = features
        self._share, self._blocks, self._columns = share, blocks, columns
        self._is_frozen = is_frozen
        self._interpolates = bins != columns.power
        if self._interpolates:
            matrix = paddle.to_tensor(at_bins(np.eye(bins, dtype=np.float32), columns.power))
            self.register_buffer("at_bins", matrix, persistable=False)
        for parameter in network.parameters():
            parameter.stop_gradient = is_frozen

    def forward(self, x: Tensor, frames: Tensor) -> Tensor:
        """x [batch, T, columns], valid frames int64 [batch] -> features [batch, T, bins]."""
        power, heard, keep, shift, observation = paddle.split(x, self._columns.sizes, axis=-1)
        if self._is_frozen:
            for layer in self.network.sublayers(include_self=True):
                layer.training = False  # whatever the network around it is told
            with paddle.no_grad():
                masks = self._masks(heard, frames)
        else:
            masks = self._masks(heard, frames)
        kept = masks + observation * (1 - masks)
        features = self.features(power * kept.square(), frames)
        return _moved(features, shift.squeeze(-1)) * keep

    def _masks(self, heard: Tensor, frames: Tensor) -> Tensor:
        """The share of speech in each bin of the power, [batch, T, bins]."""
        share = self._in_blocks(heard, frames)
        if not self._interpolates:
            return share
        with paddle.amp.auto_cast(enable=False):
            return paddle.matmul(share, self.at_bins)

    def _in_blocks(self, heard: Tensor, frames: Tensor) -> Tensor:
        batch, longest, bins = heard.shape
        size, step = self._blocks.size, self._blocks.step
        count = int(self._blocks.count(np.array([longest]))[0])
        if count == 1:
            return self._share(self.network, heard, frames)
        behind = (count - 1) * step + size - longest
        padded = functional.pad(heard, [0, behind], data_format="NLC")
        blocks = [padded[:, first : first + size] for first in range(0, count * step, step)]
        inside = frames.astype("int64").unsqueeze(1) - step * paddle.arange(count)
        share = self._share(
            self.network,
            paddle.stack(blocks, axis=1).reshape([batch * count, size, bins]),
            inside.clip(0, size).flatten(),
        )
        chosen = self._blocks.block_of(frames.numpy(), longest)
        place = np.minimum(np.arange(longest) - step * chosen, size - 1)
        place += size * (chosen + count * np.arange(batch)[:, np.newaxis])
        share = share.reshape([batch * count * size, -1])
        return paddle.gather(share, paddle.to_tensor(place.flatten())).reshape([batch, longest, -1])


class MaskedDeepSpeech2(DeepSpeech2):
    """DeepSpeech2 behind a front end.

    Args:
        num_bins: feature bins of a frame.
        num_classes: tokens of the vocabulary, the blank (id 0) included.
        settings: sizes.
        fast: see `DeepSpeech2`.
        num_utterance_classes: of the head; 0 for none.
        front_end: makes what stands in front; after the rest, so that this begins with the weights
            that it would have alone.
    """

    def __init__(
        self,
        num_bins: int,
        num_classes: int,
        settings: NetworkSettings,
        fast: bool,
        num_utterance_classes: int,
        front_end: Callable[[], MaskedFeatures],
    ) -> None:
        super().__init__(num_bins, num_classes, settings, fast, num_utterance_classes)
        self.front_end = front_end()

    def outputs(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits of a batch and the scores of the head, see `DeepSpeech2`.

        Args:
            features: what `masked_speech` gives, float32 [batch, frames, columns].
            lengths: valid frames, int64 [batch].
        """
        return super().outputs(self.front_end(features, lengths), lengths)


def _moved(x: Tensor, shift: Tensor) -> Tensor:
    """x [batch, T, bins], each frame taken from `shift` [batch, T] frames further on.

    Between two frames interpolated linearly, as the time warp of SpecAugment does.
    """
    if not bool((shift != 0).any()):
        return x
    batch, longest, bins = x.shape
    whole = shift.floor()
    first = paddle.arange(longest).unsqueeze(0) + whole.astype("int64")
    row = longest * paddle.arange(batch).unsqueeze(1)
    flat = x.reshape([batch * longest, bins])
    before, behind = (
        paddle.gather(flat, (row + place.clip(0, longest - 1)).flatten()).reshape(x.shape)
        for place in (first, first + 1)
    )
    share = (shift - whole).unsqueeze(-1)
    return before * (1 - share) + behind * share
