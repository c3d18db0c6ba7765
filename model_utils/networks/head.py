"""A class for each utterance, from the frames that the recogniser writes its text from."""

import paddle
from paddle import Tensor, nn


class UtteranceHead(nn.Layer):
    """Mean over the valid frames, then one linear layer.

    Args:
        width: values of a frame.
        num_classes: classes of an utterance.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Scores before any softmax.

        Args:
            x: [batch, frames, width], padding zero.
            lengths: valid frames, int64 [batch]; of an utterance without one the mean is zero.

        Returns:
            Float32 [batch, classes].
        """
        frames = paddle.clip(lengths, min=1).astype("float32").unsqueeze(-1)
        mean = x.astype("float32").sum(axis=1) / frames
        return self.linear(mean).astype("float32")
