"""Checkpoints that nobody trained: a recogniser and an enhancer of a few values each."""

from pathlib import Path

import paddle
from tones import Corpus

from data_utils.enhancement.settings import SpectrumSettings
from data_utils.normalizer import Normalizer
from data_utils.text import Vocabulary
from model_utils.enhancer import Enhancer
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.recogniser import Recogniser
from model_utils.settings import NetworkSettings
from model_utils.trainer import checkpoint


def save_models(corpus: Corpus, rate: int = 16000) -> Path:
    """The corpus's folder, with `recogniser/1` and `enhancer/1` in it, as trainings leave them."""
    spectrum = SpectrumSettings(sample_rate=rate)
    network = MaskNetworkSettings(network="lstm", d_model=8, n_level=1)
    recogniser = Recogniser(
        Vocabulary.load(corpus.vocabulary),
        corpus.features,
        Normalizer.load(corpus.mean_std, corpus.features),
        NetworkSettings(num_conv_layers=1, conv_channels=2, num_rnn_layers=1, rnn_layer_size=4),
    )
    enhancer = Enhancer(spectrum, complete(network, spectrum))
    for name, described, built in (
        ("recogniser", recogniser, recogniser.build(fast=False)),
        ("enhancer", enhancer, enhancer.build()),
    ):
        info = {"epoch": 1, **described.describe()}
        state = {"moment": paddle.zeros([1])}
        checkpoint.save(corpus.folder / name, "1", checkpoint.weights_of(built), state, info)
    return corpus.folder
