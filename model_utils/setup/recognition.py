"""The recogniser's training, put together: data, vocabulary, statistics, network."""

import dataclasses
import sys

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.errors import InputError
from data_utils.loader import num_loaders
from data_utils.settings import BatchSettings, CorpusSettings
from model_utils import differences, distributed, notices, runtime
from model_utils.corpus import open_corpus
from model_utils.options import Options
from model_utils.pretrained import Pretrained, extended
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import (
    DeviceSettings,
    LossSettings,
    OptimisationSettings,
    RunSettings,
)
from model_utils.setup.job import Job
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint


def open_job(options: Options, resumed: Checkpoint | None = None) -> Job:
    """The recogniser that `options` describe, see `job.open_job`."""
    run = options[RunSettings]
    recogniser, pretrained = _recogniser(options, resumed)
    files = dataclasses.replace(options[CorpusSettings], unknown=recogniser.unknown)
    options = options.replaced(recogniser.network, recogniser.features, files)

    notes: list[str] = []
    augmentation = AugmentationPipeline.load(files.augment_conf_path, warn=notes.append)
    print("\n".join([options.table(), *notes]), flush=True)
    batching = options[BatchSettings]
    cache = RecordingCache(batching.audio_cache_mb * 2**20 // num_loaders(batching.num_workers))
    corpus = open_corpus(recogniser, files, augmentation, run.seed, not run.test_off, cache)
    device = runtime.prepare(options[DeviceSettings], recogniser.network, recogniser.num_bins)

    # Import Paddle, which is set up now.
    from model_utils.tasks.recognition import RecognitionTask
    from model_utils.trainer.runlog import stamp

    distributed.join()
    parts = options[OptimisationSettings].accumulate
    compiled, loss = device.compile_convolutions, options[LossSettings]
    task = RecognitionTask(recogniser, corpus, batching, run.seed, compiled, parts, loss)
    print(f"{stamp()} 训练数据数量：{len(corpus.training.manifest)}\n", flush=True)
    notices.of_corpus(task, options)
    return Job(task, device, options, None if pretrained is None else pretrained.start)


def _recogniser(
    options: Options, resumed: Checkpoint | None
) -> tuple[Recogniser, Pretrained | None]:
    """What is to be trained, and the weights of another run that it starts from, if any."""
    run, files = options[RunSettings], options[CorpusSettings]
    if files.extend_vocab and not run.pretrained_model:
        raise InputError(
            "--extend_vocab: no vocabulary to extend; give --pretrained_model=FILE, or leave the "
            "option out: a resumed run keeps the vocabulary that it has"
        )
    source = None
    if run.pretrained_model is not None:
        source = checkpoint.load(run.pretrained_model, optimizer=False)
    if source is not None and files.extend_vocab:
        recogniser = extended(options, source)
        return recogniser, Pretrained.extending(source, recogniser)
    recogniser = resolve(options, resumed, files.vocab_path, files.mean_std_path, files.unknown)
    if resumed is not None and resumed.info is not None:
        for line in differences.of_files(recogniser, files, resumed.path):
            print(line, file=sys.stderr)
    return recogniser, None if source is None else Pretrained.of(source, recogniser)
