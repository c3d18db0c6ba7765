"""Power spectra to normalised features, as `data_utils.features.from_power`, with gradients.

Bands and cepstra are matrix products here. Whatever the precision of the network around it, it is
float32 or more.
"""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor, nn
from paddle.nn import functional

from data_utils import features
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings


class PowerFeatures(nn.Layer):
    """The features that a recogniser hears of power spectra. It has no weights.

    Args:
        settings: which features.
        normalizer: their mean and standard deviation.
    """

    def __init__(self, settings: FeatureSettings, normalizer: Normalizer) -> None:
        super().__init__()
        self.settings = settings
        self._constant("mean", normalizer.mean)
        self._constant("scale", 1 / normalizer.std)
        if settings.noise_floor_db is not None:
            self._constant("floor", features.noise_floor(settings))
        if settings.feature_type != "linear":
            self._constant("filters", features.filters(settings).T)
        if settings.feature_type == "mfcc":
            self._constant("cepstra", features.cepstral_transform(), np.float64)

    def _constant(
        self, name: str, values: NDArray[np.floating], dtype: type[np.floating] = np.float32
    ) -> None:
        tensor = paddle.to_tensor(np.ascontiguousarray(values, dtype=dtype))
        self.register_buffer(name, tensor, persistable=False)

    def forward(self, power: Tensor, frames: Tensor) -> Tensor:
        """Normalised features of a batch.

        Args:
            power: float32 [batch, T, n_fft // 2 + 1], as of `features.power_spectrum`.
            frames: valid frames, int64 [batch].

        Returns:
            Float32 [batch, T, bins]; anything finite in the padding, which reaches no valid frame.
        """
        with paddle.amp.auto_cast(enable=False):
            return (self._features(power.astype("float32"), frames) - self.mean) * self.scale

    def _features(self, power: Tensor, frames: Tensor) -> Tensor:
        kind = self.settings.feature_type
        if self.settings.noise_floor_db is not None:
            power = power + self.floor
        if kind == "linear":
            return paddle.log(power + features.EPSILON)
        bands = paddle.matmul(power, self.filters)
        if kind == "fbank":
            return paddle.log(bands + features.EPSILON)
        energy = _log_nonzero(power.sum(axis=-1, keepdim=True))
        # In float64, see `features`: the lifter makes rounding large.
        cepstra = paddle.matmul(_log_nonzero(bands.astype("float64")), self.cepstra)
        others = paddle.split(cepstra.astype("float32"), [1, -1], axis=-1)[1]
        cepstra = paddle.concat([energy, others], axis=-1)
        slopes = _slopes(cepstra, frames)
        return paddle.concat([cepstra, slopes, _slopes(slopes, frames)], axis=-1)


def _log_nonzero(power: Tensor) -> Tensor:
    """Logarithm of `power`, of `features.ZERO_SUBSTITUTE` where it is 0."""
    substitute = paddle.full_like(power, features.ZERO_SUBSTITUTE)
    # Not `power == 0`: to Paddle 2.6.2 numbers closer than 1e-8 are equal.
    return paddle.log(paddle.where(power > 0, power, substitute))


def _slopes(x: Tensor, frames: Tensor) -> Tensor:
    """Slope of each value over five frames, the outermost valid frames repeated.

    Args:
        x: [batch, T, values].
        frames: valid frames [batch].
    """
    batch, longest = x.shape[:2]
    reach = features.SLOPE_REACH
    ends = (frames.astype("int64") - 1).clip(min=0)
    last = paddle.gather_nd(x, paddle.stack([paddle.arange(batch), ends], axis=1))
    is_valid = paddle.arange(longest).unsqueeze(0) <= ends.unsqueeze(1)
    held = paddle.where(
        is_valid.unsqueeze(-1).expand(x.shape), x, last.unsqueeze(1).expand(x.shape)
    )
    held = functional.pad(held, [reach, reach], mode="replicate", data_format="NLC")
    offsets = range(-reach, reach + 1)
    total = paddle.add_n(
        [
            offset * held[:, reach + offset : reach + offset + longest]
            for offset in offsets
            if offset
        ]
    )
    return total / sum(offset * offset for offset in offsets)
