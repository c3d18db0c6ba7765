"""What the head for classes of utterances is trained to make small."""

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor
from paddle.nn import functional

from model_utils.losses import focused
from model_utils.settings import HeadSettings


def head_losses(scores: Tensor, classes: NDArray[np.integer], settings: HeadSettings) -> Tensor:
    """The loss of each utterance; 0, without a gradient, for one that is of none of the classes.

    With the scores x, the right class y and p = softmax(x)[y]:

    - `cross_entropy`: -log(p).
    - `focal`: (1 - p)^gamma * -log(p) (Lin et al. 2017, Focal Loss for Dense Object Detection,
      eq. 4; their alpha of eq. 5 is left out).
    - `multi_margin`: the sum over all other classes i of max(0, margin - x[y] + x[i]), divided by
      the number of classes: the hinge loss of several classes (Weston and Watkins 1998), as
      torch.nn.MultiMarginLoss and Paddle's scale it.

    Args:
        scores: float32 [batch, classes], before any softmax.
        classes: number of the right one [batch]; any below 0, or behind the last class, is none.
        settings: which of them, gamma and margin.

    Returns:
        Float32 [batch].
    """
    known = (classes >= 0) & (classes < scores.shape[1])
    labels = paddle.to_tensor(np.where(known, classes, 0).astype("int64"))
    if settings.head_loss == "multi_margin":
        losses = functional.multi_margin_loss(
            scores, labels, margin=settings.head_margin, reduction="none"
        )
    else:
        losses = functional.cross_entropy(scores, labels, reduction="none")
        if settings.head_loss == "focal" and settings.head_gamma:
            losses = focused(losses, settings.head_gamma)
    return paddle.where(paddle.to_tensor(known), losses, paddle.zeros_like(losses))
