"""What computes log-probabilities, and classes. An engine is imported where it is chosen."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model_utils import runtime
from model_utils.outputs import Outputs
from model_utils.recogniser import Recogniser
from model_utils.settings import DeviceSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint


class Engine(Protocol):
    """Padded features to what the network says of them."""

    def __call__(self, features: NDArray[np.float32], frames: NDArray[np.int64]) -> Outputs:
        """Log-probabilities and classes of a batch.

        Args:
            features: float32 [batch, frames, bins].
            frames: valid frames [batch].
        """


def paddle_engine(saved: Checkpoint, recogniser: Recogniser, settings: DeviceSettings) -> Engine:
    """The network of a checkpoint, run by Paddle.

    Raises:
        InputError: the weights do not fit the sizes.
    """
    device = runtime.prepare(settings, recogniser.network, recogniser.num_bins)

    from model_utils.tasks.recognition import outputs_of

    network = recogniser.build(device.is_fast)
    checkpoint.set_weights(network, saved)
    network.eval()
    return lambda features, frames: outputs_of(network, features, frames)
