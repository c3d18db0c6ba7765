"""Recordings in which every character is a tone: small, quick, and a network can learn them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from data_utils.manifest import Utterance, write_manifests
from data_utils.normalizer import Normalizer
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary

RATE = 16000
TONES = {"一": 300.0, "二": 700.0, "三": 1500.0, "四": 3200.0}
"""What each character sounds like, in Hz."""
SECONDS_PER_TONE = 0.15


def spoken(text: str, rng: np.random.Generator) -> np.ndarray:
    """Each character's tone, one after the other, over a little noise: float32 [samples]."""
    time = np.arange(int(SECONDS_PER_TONE * RATE)) / RATE
    window = np.hanning(len(time))
    wave = np.concatenate([0.3 * window * np.sin(2 * np.pi * TONES[c] * time) for c in text])
    return (wave + 0.003 * rng.standard_normal(len(wave))).astype(np.float32)


@dataclass(frozen=True)
class Corpus:
    """A manifest of tones, and the files that belong to it."""

    folder: Path
    manifest: Path
    vocabulary: Path
    mean_std: Path
    features: FeatureSettings


def make_corpus(
    folder: Path, texts: Sequence[str], features: FeatureSettings | None = None
) -> Corpus:
    """Write recordings of `texts` (characters of `TONES`), manifest, vocabulary, statistics."""
    # Few, wide bins and long hops keep the networks of the tests small.
    features = features or FeatureSettings("fbank", hop_ms=20.0, num_mel_bins=8)
    rng = np.random.default_rng(0)
    utterances = []
    for number, text in enumerate(texts):
        audio = folder / f"{number}.wav"
        wave = spoken(text, rng)
        soundfile.write(audio, wave, RATE)
        utterances.append(Utterance(str(audio), len(wave) / RATE, text))
    corpus = Corpus(
        folder,
        folder / "manifest.train",
        folder / "zh_vocab.txt",
        folder / "mean_std.npz",
        features,
    )
    write_manifests({corpus.manifest: utterances})
    Vocabulary.build(dict.fromkeys(TONES, 1)).save(corpus.vocabulary)
    bins = features.num_mel_bins
    Normalizer(np.full(bins, -18.0), np.full(bins, 4.0), features).save(corpus.mean_std)
    return corpus
