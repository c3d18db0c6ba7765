"""Speech enhancement: mask networks trained on mixtures, scored by what one would hear."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from data_utils.enhancement.dataset import NoisyBatch, NoisyPair, NoisyPairs, NoisySpeech
from data_utils.settings import BatchSettings
from data_utils.stft import Stft
from model_utils import distributed
from model_utils.enhancer import Enhancer
from model_utils.mask_losses import mean_error
from model_utils.networks.r_transformer import MaskNetwork
from model_utils.settings import MaskLossSettings
from model_utils.tasks.batches import BatchedTask
from model_utils.tasks.pictures import spectrograms
from model_utils.trainer.task import Score, Sound
from scoring.speech_quality import Quality, has_pesq

PAIRS = 4
"""Pairs that are loaded at a time while scoring."""


def enhanced(
    network: MaskNetwork, stft: Stft, waves: Iterable[NDArray[np.float32]]
) -> list[NDArray[np.float32]]:
    """Waves with the network's masks applied to their spectra.

    Args:
        network: in evaluation mode.
        stft: its spectra.
        waves: float32 [samples] each, at -25 dBFS.

    Returns:
        As many waves, each as long as before.
    """
    found = []
    for wave in waves:
        spectrum = stft.forward(wave)
        mask = mask_of(network, np.abs(spectrum))
        found.append(stft.inverse((mask * spectrum).astype(np.complex64), len(wave)))
    return found


def mask_of(network: MaskNetwork, magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mask of a recording, float32 [frames, bins].

    Args:
        network: in evaluation mode.
        magnitudes: float32 [frames, bins], of a mixture at -25 dBFS.
    """
    with paddle.no_grad():
        frames = paddle.to_tensor(np.array([len(magnitudes)], np.int64))
        return network(paddle.to_tensor(magnitudes[np.newaxis]), frames).numpy()[0]


class EnhancementTask(BatchedTask[NoisyBatch]):
    """The enhancer's training, as the trainer sees it.

    Args:
        enhancer: spectra and network.
        training: what is trained on.
        scored: what is scored, by name.
        batching: how batches are made.
        seed: of weights and order.
        parts: batches as `batching` describes them that each process computes before a step.
        loss: what is compared, and how.
    """

    def __init__(
        self,
        enhancer: Enhancer,
        training: NoisySpeech,
        scored: Mapping[str, NoisyPairs],
        batching: BatchSettings,
        seed: int,
        parts: int = 1,
        loss: MaskLossSettings | None = None,
    ) -> None:
        super().__init__(training, scored, batching, seed, parts)
        self.enhancer = enhancer
        self.loss = loss or MaskLossSettings()
        self._scored = dict(scored)
        self._problems = training.speech.problems
        self._before: dict[str, Quality] = {}
        """What the sets sound like unprocessed: the same in every epoch."""
        paddle.seed(seed)
        self.network: MaskNetwork = enhancer.build()

    def left_out(self) -> Iterator[str]:
        """Recordings that are not trained on, where and why."""
        return iter(self._problems)

    def losses(self, batch: NoisyBatch) -> Tensor:
        """Loss of each example [batch].

        With `psm` and `loss_on` masked it is the phase-sensitive spectrum approximation, the mask's
        range kept within 0 to 1 (Erdogan et al. 2015, Phase-sensitive and recognition-boosted
        speech separation using deep recurrent neural networks, eq. 5).
        """
        if not len(batch):
            return self.no_losses()
        noisy, frames = paddle.to_tensor(batch.noisy), paddle.to_tensor(batch.frames)
        masks = self.network(noisy, frames).astype("float32")
        if self.loss.loss_on == "mask":
            return mean_error(masks, paddle.to_tensor(batch.mask), frames, self.loss.loss)
        if self.loss.loss_on == "masked":
            wanted = paddle.to_tensor(batch.mask) * noisy
        else:
            wanted = paddle.to_tensor(batch.clean)
        return mean_error(masks * noisy, wanted, frames, self.loss.loss)

    def nothing(self) -> Tensor:
        """What the network gives for a frame that nobody hears."""
        silence = paddle.zeros([1, 1, self.enhancer.spectrum.bins])
        return self.network(silence, paddle.zeros([1], dtype="int64"))

    def score(self, name: str, batch_done: Callable[[], None] = lambda: None) -> Score:
        """How good the enhanced speech of the set `name` is, of which each process hears a share.

        STOI, or where the package pesq is installed the mean of it and of PESQ brought to 0 to 1.
        """
        dataset = self._scored[name]
        order = np.arange(len(dataset))[distributed.rank() :: distributed.world_size()]
        plan = [order[i : i + PAIRS] for i in range(0, len(order), PAIRS)]
        after, before = Quality(), self._before.get(name, Quality())
        first: tuple[NoisyPair, NDArray[np.float32]] | None = None
        rate = self.enhancer.spectrum.sample_rate
        for batch in self._loader.batches(name, plan):
            for problem in batch.problems:
                self._tell_once(problem)
            waves = enhanced(self.network, self.enhancer.stft, [p.noisy for p in batch.pairs])
            for pair, wave in zip(batch.pairs, waves, strict=True):
                if name not in self._before:
                    before += Quality.of(pair.noisy, pair.clean, rate)
                after += Quality.of(wave, pair.clean, rate)
                first = first or (pair, wave)
            batch_done()
        if name not in self._before:
            self._before[name] = Quality(tuple(distributed.totals(before.totals)))
        after = Quality(tuple(distributed.totals(after.totals)))
        detail = f"{after}; before {self._before[name]}"
        measure = "stoi+pesq" if has_pesq() else "stoi"
        pictures, sounds = {}, {}
        if first is not None and distributed.is_main():
            pair, wave = first
            heard = {"noisy": pair.noisy, "enhanced": wave, "clean": pair.clean}
            pictures = {
                f"{name}: noisy, enhanced, clean": spectrograms(
                    [np.abs(self.enhancer.stft.forward(one)) for one in heard.values()]
                )
            }
            sounds = {f"{name}: {what}": Sound(one, rate) for what, one in heard.items()}
        return Score(
            measure,
            after.score,
            higher_is_better=True,
            detail=detail,
            pictures=pictures,
            sounds=sounds,
        )

    def describe(self) -> dict[str, Any]:
        """What a checkpoint holds beside the weights."""
        return self.enhancer.describe()
