"""The settings of the data side, and `option`, with which every setting of the package is declared.

Nothing here imports NumPy or anything heavier, so that `--help` answers at once.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal

ShuffleMethod = Literal["batch_shuffle_clipped", "batch_shuffle", "instance_shuffle"]
FeatureType = Literal["linear", "mfcc", "fbank"]
StoreDtype = Literal["float16", "uint8", "float32"]


def option(
    default: Any,
    help: str,
    *,
    unit: str = "",
    aliases: tuple[str, ...] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    when: str = "",
) -> Any:
    """Declare one setting of a dataclass: its default and what every listing of it needs.

    The type comes from the field's annotation: `int`, `float`, `str`, `bool`, a `Literal` of
    strings, `tuple[str, ...]` (written with commas), `list[str]` (with spaces), or one of these
    `| None`.

    Args:
        default: the value unless told otherwise.
        help: one line for `--help` and the documentation.
        unit: unit of the value ("s", "dB"), shown behind the help.
        aliases: other names by which users know it.
        minimum: smallest value allowed, itself included.
        maximum: largest value allowed, itself included; infinity is a number only where it is one
            of the bounds.
        when: when to change it, for the documentation alone: one short sentence, Markdown. An
            option of train.py has it in Chinese too, in docs/options.zh.json5, from where
            tools/document_options.py writes the tables of docs/training.
    """
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "unit": unit,
            "aliases": aliases,
            "minimum": minimum,
            "maximum": maximum,
            "when": when,
        },
    )


@dataclass(frozen=True)
class CorpusSettings:
    """What a recogniser is trained on and scored with."""

    train_manifest: tuple[str, ...] = option(
        ("./dataset/manifest.train",),
        "training manifests, separated by commas",
        when="more than one to train on all of them together, as in [fine-tuning](#fine-tuning)",
    )
    dev_manifest: str | None = option(
        None,
        "manifest that decides which epoch is best",
        when="wherever you have one: else the test set decides, and its figure flatters",
    )
    test_manifest: str | None = option(
        "./dataset/manifest.test",
        "manifest scored after each epoch",
        when="`None` while you choose settings: a test set is looked at once, at the end",
    )
    vocab_path: str = option(
        "./dataset/zh_vocab.txt",
        "vocabulary, from tools/build_vocab.py",
        when="another corpus; a resumed run keeps the vocabulary of its checkpoint",
    )
    mean_std_path: str = option(
        "./dataset/mean_std.npz",
        "mean and std of the features, from tools/compute_mean_std.py",
        when="another corpus or other features, for which they are measured again first",
    )
    min_duration: float = option(
        0.0,
        "shorter utterances are left out",
        unit="s",
        minimum=0,
        when="0.3 or so where a corpus holds clicks and cut words",
    )
    max_duration: float = option(
        20.0,
        "longer utterances are left out",
        unit="s",
        minimum=0,
        maximum=math.inf,
        when="smaller where memory is short: the longest utterances decide what a batch takes",
    )
    unknown: Literal["unk", "drop"] = option(
        "unk",
        "characters that are not in the vocabulary: train on <unk>, or drop them",
        when="`drop` where rare signs in the transcripts are not spoken",
    )
    augment_conf_path: str | None = option(
        "./conf/augmentation.json",
        "augmentation of the training data, None for none",
        when="`None` for a first test that the corpus can be learned; see "
        "[augmentation](augmentation.md)",
    )
    extend_vocab: bool = option(
        False,
        "add the new characters of vocab_path to those of pretrained_model, whose rows are kept",
        when="new words with characters that the model has not; see [new "
        "characters](#new-characters)",
    )


@dataclass(frozen=True)
class BatchSettings:
    """How the items of a training set become batches."""

    batch_size: int = option(
        32,
        "utterances in a batch",
        minimum=1,
        aliases=("bs",),
        when="as large as memory allows on a GPU, 8 to 32 for a small corpus, which else has "
        "few steps; see [the guide](training_guide.md#batch)",
    )
    batch_seconds: float | None = option(
        None,
        "training batches by duration in place of batch_size: as many utterances as fit into so "
        "much audio, padding counted; None: by number",
        unit="s",
        minimum=1,
        when="utterances of very different lengths; see [batches](#batches)",
    )
    shuffle_method: ShuffleMethod = option(
        "batch_shuffle_clipped",
        "how batches are drawn, see docs/training",
        when="`batch_shuffle` where no utterance may be dropped; see [batches](#batches)",
    )
    sortagrad: bool = option(
        True,
        "first epoch from short to long utterances",
        when="`False` where all utterances are short, or the run starts from trained weights",
    )
    num_workers: int | None = option(
        None,
        "processes that load data, 0 for none; None: one per four cores, 8 at most",
        minimum=0,
        when="more where the share of waiting is high and cores are idle; 0 to look for a fault",
    )
    audio_cache_mb: int = option(
        1024,
        "decoded recordings kept in memory, all processes together; 64 kB a second of speech",
        unit="MB",
        minimum=0,
        when="more where the corpus then fits in, less where memory is short",
    )


@dataclass(frozen=True)
class FeatureSettings:
    """What the network hears: the same in training, statistics, evaluation, inference, serving."""

    feature_type: FeatureType = option(
        "linear",
        "linear: log power spectrum; mfcc: 13 cepstra with slopes; fbank: log mel bands",
        when="`fbank` for a small network: half as many values a frame",
    )
    window_ms: float = option(
        20.0,
        "length of a frame",
        unit="ms",
        minimum=2,
        maximum=1000,
        when="seldom; statistics have to be measured again",
    )
    hop_ms: float = option(
        10.0,
        "from one frame to the next",
        unit="ms",
        minimum=1,
        maximum=1000,
        when="seldom; with a larger one fast speech may no longer fit into the output, see "
        "[lengths](model.md#lengths)",
    )
    use_db_normalization: bool = option(
        True,
        "bring every recording to target_db",
        when="seldom; `False` leaves differences of loudness to be learned",
    )
    target_db: float = option(-20.0, "loudness (RMS)", unit="dBFS", minimum=-60, maximum=0)
    # Of more than 128 bands the lowest are narrower than a bin of the transform.
    num_mel_bins: int = option(
        80,
        "bands of fbank features",
        minimum=8,
        maximum=128,
        when="40 for less work, more for finer detail",
    )
    # Some recorders write zeros in the pauses, others a room's noise 25 dB below the speech. On a
    # logarithmic scale that difference is larger than any between two sounds of speech.
    noise_floor_db: float | None = option(
        None,
        "level of a steady noise added to every spectrum, which evens out the pauses of different "
        "recorders; None: none, as older packages",
        unit="dBFS",
        minimum=-120,
        maximum=-30,
        when="-70 where some recordings are silent between words and others are not; see "
        "[preparation](prepare.md#mean-and-standard-deviation)",
    )


@dataclass(frozen=True)
class StoreSettings:
    """Where `--mode process_data` puts computed examples and `--mode fast_train` finds them."""

    store_dir: str = option(
        "./dataset/store",
        "folder of the computed examples, nothing else in it",
        when="for each set of options that examples are computed with one of its own",
    )
    store_dtype: StoreDtype = option(
        "float16",
        "how their values are kept: float16; uint8: 255 steps, half the size; float32: every bit",
        when="`uint8` where the disk is small, `float32` to compare with `--mode train`",
    )
    num_variants: int = option(
        1,
        "augmented variants of each item, of which each epoch draws one",
        minimum=1,
        when="4 or more where the examples are augmented: with 1 every epoch sees the same ones",
    )


@dataclass(frozen=True)
class MeanStdSettings:
    """What `tools/compute_mean_std.py` measures, and where it puts the result."""

    num_samples: int | None = option(
        None, "utterances to draw; None or -1: all of them", minimum=-1
    )
    manifest_path: tuple[str, ...] = option(
        ("./dataset/manifest.train",), "manifests to measure, separated by commas"
    )
    output_path: str = option("./dataset/mean_std.npz", "where the statistics are written")
    num_workers: int | None = option(
        None, "processes that measure, 0 for none; None: one for each core", minimum=0
    )


@dataclass(frozen=True)
class ManifestSettings:
    """How annotation files become manifests (tools/create_manifest.py)."""

    annotation_path: str = option(
        "./dataset/annotation/", "folder of path<TAB>text[<TAB>speaker] files, or one such file"
    )
    manifest_prefix: str = option(
        "./dataset/manifest.", "what the manifests' names begin with, or their folder"
    )
    noise_path: str | None = option(
        "./dataset/audio/noise", "folder of noises for augmentation, None for none"
    )
    to_simplified: bool = option(False, "turn Traditional into Simplified Chinese")
    test_share: float = option(
        0.05, "share held out for test where no file is given for it", minimum=0, maximum=0.5
    )
    dev_share: float = option(
        0.05, "share held out for dev where no split is given", minimum=0, maximum=0.4
    )
    seed: int = option(0, "another seed divides otherwise")
    num_workers: int | None = option(
        None, "processes that read recordings; None: one for each core", minimum=1
    )


@dataclass(frozen=True)
class VocabularySettings:
    """How manifests become a vocabulary (tools/build_vocab.py)."""

    manifest_paths: tuple[str, ...] = option(
        ("./dataset/manifest.train",), "manifests whose characters count, separated by commas"
    )
    vocab_path: str = option("./dataset/zh_vocab.txt", "where the vocabulary is written")
    count_threshold: int = option(
        0, "characters that occur more rarely are left to <unk>", minimum=0
    )


@dataclass(frozen=True)
class GenerationSettings:
    """The corpus that `tools/generate_corpus.py` speaks."""

    output_dir: str = option("./dataset", "folder that receives annotation/ and audio/")
    text: str | None = option(
        None, "UTF-8 file with one sentence a line; None: a small Mandarin grammar"
    )
    num_train: int = option(2600, "clips to train on", minimum=1)
    num_dev: int = option(200, "clips to choose the best epoch with", minimum=0)
    num_test: int = option(200, "clips to test with", minimum=0)
    unseen_share: float = option(
        0.3,
        "share of dev and test clips whose sentence no training voice speaks",
        minimum=0,
        maximum=1,
    )
    seed: int = option(0, "another seed gives another corpus", minimum=0)
    num_workers: int | None = option(
        None, "processes that speak; None: one for each core", minimum=1
    )
