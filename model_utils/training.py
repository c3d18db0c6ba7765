"""From the options of `train.py` to a trained recogniser: read, check, put together."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_utils.atomic import check_place
from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.loader import num_loaders
from data_utils.normalizer import Normalizer
from data_utils.settings import BatchSettings, CorpusSettings, FeatureSettings
from data_utils.text import Vocabulary
from model_utils import runtime
from model_utils.corpus import open_corpus
from model_utils.options import Options
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import (
    DeviceSettings,
    NetworkSettings,
    OptimisationSettings,
    RunSettings,
)
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from model_utils.trainer.loop import Trainer

FAINT = 0.01
"""A rate below this share of `learning_rate` is pointed out when a run is resumed."""

# A resumed run may be given other ones of these without a word.
_MAY_CHANGE = {"num_epoch", "resume_model", "pretrained_model", "log_interval", "save_interval"}
_MAY_CHANGE |= {"num_workers", "audio_cache_mb", "output_model_dir", "log_dir", "test_off"}
_MAY_CHANGE |= {"use_gpu"}


def train_recogniser(options: Options) -> None:
    """Train as `options` say.

    Raises:
        InputError: something that the options name is missing or does not fit.
    """
    run, batching, files = options[RunSettings], options[BatchSettings], options[CorpusSettings]
    if run.resume_model and run.pretrained_model:
        raise InputError("--resume_model and --pretrained_model were both given; choose one")
    check_place(*(Path(folder) / "new" for folder in (run.output_model_dir, run.log_dir)))
    resumed = None if run.resume_model is None else checkpoint.load(run.resume_model)
    recogniser = resolve(options, resumed, files.vocab_path, files.mean_std_path, files.unknown)
    if resumed is not None and resumed.info is not None:
        _compare(recogniser, files, resumed.path)
    pretrained = None if run.pretrained_model is None else checkpoint.load(run.pretrained_model)
    options = options.replaced(recogniser.network, recogniser.features)
    print(options.table(), flush=True)
    augmentation = AugmentationPipeline.load(batching.augment_conf_path, seed=run.seed)
    cache = RecordingCache(batching.audio_cache_mb * 2**20 // num_loaders(batching.num_workers))
    corpus = open_corpus(recogniser, files, augmentation, run.seed, not run.test_off, cache)
    device = runtime.prepare(options[DeviceSettings], recogniser.network, recogniser.num_bins)

    # Only now may Paddle be imported.
    from model_utils.tasks.recognition import RecognitionTask
    from model_utils.trainer.loop import BEST, Trainer
    from model_utils.trainer.runlog import stamp

    with RecognitionTask(
        recogniser, corpus, batching, run.seed, device.compile_convolutions
    ) as task:
        print(f"{stamp()} 训练数据数量：{len(task.training.manifest)}\n", flush=True)
        _advise(task.score_sets, len(task.training.manifest), options)
        trainer = Trainer(task, options[OptimisationSettings], run, device, options.as_dict())
        if resumed is not None:
            trainer.resume(resumed)
            _report_resumed(resumed, options, device, trainer)
        if pretrained is not None:
            left = checkpoint.set_fitting_weights(task.network, pretrained)
            missing = f"all weights but {', '.join(left)}" if left else "all weights"
            print(f"pretrained: {pretrained.path}, {missing}")
        if trainer.progress.epoch > run.num_epoch:
            print(
                f"nothing to do: {run.resume_model} is of epoch {trainer.progress.epoch - 1} "
                f"and --num_epoch is {run.num_epoch}; a larger --num_epoch trains on"
            )
            return
        trainer.train()
        print(f"model: {Path(run.output_model_dir) / f'{run.num_epoch}.pdparams'}")
        if best := trainer.progress.best:
            print(
                f"best: epoch {best['epoch']}, {best['set']} {best['measure']} "
                f"{best['value']:.5f}, kept as {Path(run.output_model_dir) / BEST}.pdparams"
            )
        print(f"curves: visualdl --logdir={run.log_dir}")


def _compare(recogniser: Recogniser, corpus: CorpusSettings, model: Path) -> None:
    """Name what the corpus' files and the model that is trained on have not in common."""
    if Path(corpus.vocab_path).is_file():
        _compare_vocabulary(corpus.vocab_path, recogniser.vocabulary, model)
    if Path(corpus.mean_std_path).is_file():
        _compare_statistics(corpus.mean_std_path, recogniser.normalizer, model)


def _compare_vocabulary(path: str, carried: Vocabulary, model: Path) -> None:
    difference = carried.difference(Vocabulary.load(path))
    if difference:
        print(
            f"warning: {path} differs from the vocabulary of {model}: {difference}; "
            f"the model's own is used, characters new in the file are unknown to it",
            file=sys.stderr,
        )


def _compare_statistics(path: str, carried: Normalizer, model: Path) -> None:
    difference = carried.difference(Normalizer.load(path))
    if difference:
        print(
            f"note: {path} differs from the statistics that {model} was trained with: "
            f"{difference}; the model's own are used",
            file=sys.stderr,
        )


def _advise(score_sets: list[str], count: int, options: Options) -> None:
    if score_sets == ["test"]:
        print(
            "warning: no dev_manifest: the test set decides which epoch is best, so its figure "
            "flatters; --dev_manifest=FILE lets other data decide",
            file=sys.stderr,
        )
    batch_size = options[BatchSettings].batch_size
    if count < batch_size:
        print(
            f"warning: {count} utterances are fewer than batch_size {batch_size}: "
            f"every epoch is one short batch",
            file=sys.stderr,
        )


def _report_resumed(
    saved: Checkpoint, options: Options, device: runtime.Device, trainer: "Trainer"
) -> None:
    epoch, batch = trainer.progress.epoch, trainer.progress.batch
    rate = trainer.learning_rate(epoch, batch)
    print(
        f"resumed: {saved.path}, going on with epoch {epoch}, batch {batch}, "
        f"learning rate {rate:.3g}"
    )
    if rate < FAINT * options[OptimisationSettings].learning_rate:
        print(
            f"warning: at a learning rate of {rate:.3g} next to nothing is learned; to fine-tune, "
            f"give --lr_schedule=constant --learning_rate=1e-5",
            file=sys.stderr,
        )
    if saved.info is None:
        print(f"note: no {saved.path.stem}.json beside it: weights alone, the rest is of the flags")
        return
    if saved.optimizer is None:
        print(f"note: no {saved.path.stem}.pdopt beside it: the optimizer starts anew")
    before: Mapping[str, Any] = saved.info.get("options", {})
    for name, now in sorted(options.as_dict().items()):
        was = before.get(name, now)
        was, now = (",".join(v) if isinstance(v, list | tuple) else v for v in (was, now))
        if was != now and name not in _MAY_CHANGE | _carried_names():
            print(f"changed since then: {name} was {was}, is {now}")
    trained_on = saved.info.get("device", {})
    engine = trained_on.get("engine", "?"), trained_on.get("threads", "?")
    if engine != (device.engine, device.threads):
        print(
            f"note: trained by engine {engine[0]} with {engine[1]} threads, going on with "
            f"{device.engine} and {device.threads}: right, but not to the last bit the same"
        )


def _carried_names() -> set[str]:
    kinds = (NetworkSettings, FeatureSettings)
    return {field.name for kind in kinds for field in dataclasses.fields(kind)}
