"""Options of eval.py and infer.py that are about using a model; importable without NumPy."""

from dataclasses import dataclass
from typing import Literal

from data_utils.settings import option
from model_utils.options import Reserved


@dataclass(frozen=True)
class ModelSettings:
    """Which model, and what it lacks where only weights were kept."""

    resume_model: str = option("./models/param/50.pdparams", "checkpoint to use")
    vocab_path: str | None = option(
        None, "checked against the checkpoint's; needed where it is weights alone"
    )
    mean_std_path: str | None = option(
        None, "checked against the checkpoint's; needed where it is weights alone"
    )


Precision = Literal["float32", "int8"]
"""Of the matrices of an exported network."""


@dataclass(frozen=True)
class ExportSettings:
    """What tools/export_model.py writes, and where."""

    output_dir: str = option("./models/infer", "folder that the export is written to")
    precision: Precision = option(
        "float32",
        "numbers that the matrices are kept in; int8: a quarter of the size, faster, less exact",
    )
    paddle_format: bool = option(
        False, "write the network in Paddle's inference format too; needs Paddle"
    )


@dataclass(frozen=True)
class ExportedSettings:
    """A model as tools/export_model.py writes it."""

    model_dir: str | None = option(
        None, "folder of an export, used in place of a checkpoint; needs no Paddle"
    )


@dataclass(frozen=True)
class EvaluationSettings:
    """What is scored, and how."""

    test_manifest: tuple[str, ...] = option(
        ("./dataset/manifest.test",), "manifests to score, separated by commas"
    )
    error_rate_type: Literal["cer", "wer"] = option("cer", "count characters or words")
    batch_size: int = option(64, "utterances in a batch", minimum=1)
    num_workers: int | None = option(
        None, "processes that load data, 0 for none; None: one per four cores, 8 at most", minimum=0
    )
    result_path: str = option(
        "./results/eval.txt", "file of references and hypotheses, four lines an utterance"
    )


@dataclass(frozen=True)
class FrontEndSettings:
    """What cleans recordings before a recogniser hears them."""

    frontend: str | None = option(
        None,
        "checkpoint of an enhancer or separator in front of the recogniser; of a folder the newest",
    )
    observation: float = option(
        0.1,
        "with a front end, of its own or not: share of the unprocessed signal that is kept",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True)
class NoisyEvaluationSettings:
    """What an enhancer is scored on."""

    resume_model: str = option(
        "./models/enhancement/best", "checkpoint to use; of a folder the newest"
    )
    test_clean: str = option(
        "./dataset/clean.test", "clean speech: a list with a path a line, a manifest, or a folder"
    )
    test_noise: str = option("./dataset/noise.test", "noises: list, manifest or folder")
    test_snrs: tuple[float, ...] = option(
        (-5.0, 0.0, 5.0, 10.0), "signal-to-noise ratios, separated by commas", unit="dB"
    )
    observation: float = option(
        0.0, "share of the unprocessed signal that is kept", minimum=0, maximum=1
    )


@dataclass(frozen=True)
class SongEvaluationSettings:
    """What a separator is scored on."""

    resume_model: str = option("model", "checkpoint to use; of a folder the newest")
    test_manifest: str = option("manifest.csv", "songs, from run_scripts/preprocess.py")
    test_dataset: str = option("dataset", "folder that the paths of the manifest start from")


@dataclass(frozen=True)
class TranscriptionSettings:
    """What infer.py reads and how it answers."""

    audio_path: list[str] | None = option(
        None, "recordings of any format, or folders of them", aliases=("wav_path",)
    )
    json: bool = option(False, "one JSON object a line instead of the usual text")


DECODER_OPTIONS = (
    Reserved("decoding_method", ("ctc_greedy",)),
    Reserved("beam_size", (10, 300)),
    Reserved("alpha", (1.2,)),
    Reserved("beta", (0.35,)),
    Reserved("cutoff_prob", (1.0, 0.99)),
    Reserved("cutoff_top_n", (40,)),
    Reserved("num_proc_bsearch", (8,)),
    Reserved("lang_model_path", ("./lm/zh_giga.no_cna_cmn.prune01244.klm",)),
)
INFERENCE_OPTIONS = (
    *DECODER_OPTIONS,
    Reserved("is_long_audio", (False,)),
    Reserved("to_an", (True,)),
)
