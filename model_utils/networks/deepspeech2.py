"""DeepSpeech2 (Amodei et al. 2016): convolutions, recurrent layers, one output layer for CTC.

Beside it, where it is asked for, a head that tells the class of the whole utterance.
"""

from paddle import Tensor, nn

from model_utils.fast import linear
from model_utils.networks.conv import ConvolutionStack
from model_utils.networks.head import UtteranceHead
from model_utils.networks.rnn import RecurrentStack
from model_utils.settings import NetworkSettings


class DeepSpeech2(nn.Layer):
    """Features to logits over the vocabulary, three feature frames to one output frame.

    Args:
        num_bins: feature bins of a frame.
        num_classes: tokens of the vocabulary, the blank (id 0) included.
        settings: sizes.
        fast: compute on CPU as the engine of that name does, see `runtime`.
        num_utterance_classes: of the head; 0 for none.
    """

    def __init__(
        self,
        num_bins: int,
        num_classes: int,
        settings: NetworkSettings,
        fast: bool = False,
        num_utterance_classes: int = 0,
    ) -> None:
        super().__init__()
        self.conv = ConvolutionStack(
            num_bins, settings.conv_channels, settings.num_conv_layers, fast
        )
        self.rnn = RecurrentStack(self.conv.output_width, settings, fast)
        output = linear.Linear if fast and linear.is_available() else nn.Linear
        self.output = output(self.rnn.output_width, num_classes)
        # Made last: the weights of all other layers are those that they would be without it.
        self.head = (
            UtteranceHead(self.rnn.output_width, num_utterance_classes)
            if num_utterance_classes
            else None
        )

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of a batch.

        Args:
            features: float32 [batch, frames, bins].
            lengths: valid frames, int64 [batch].

        Returns:
            Logits float32 [batch, output_frames, classes] and their valid frames, int64 [batch].
            In evaluation mode an utterance's valid outputs do not depend on its batch mates.
        """
        logits, lengths, _ = self.outputs(features, lengths)
        return logits, lengths

    def outputs(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """What `forward` returns, and the scores of the head.

        Returns:
            Logits and valid frames as of `forward`; the head's scores float32 [batch, classes],
            None where there is no head.
        """
        x, lengths = self.conv(features, lengths)
        x = self.rnn(x, lengths)
        scores = None if self.head is None else self.head(x, lengths)
        return self.output(x), lengths, scores
