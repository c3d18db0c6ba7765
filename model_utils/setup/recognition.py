"""The recogniser's training, put together: data, vocabulary, statistics, network."""

import dataclasses
import sys

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.dataset import SpeechDataset
from data_utils.errors import InputError
from data_utils.settings import BatchSettings, CorpusSettings, StoreSettings
from model_utils import differences, distributed, runtime
from model_utils.corpus import Corpus, open_corpus
from model_utils.options import Options
from model_utils.pretrained import Pretrained, extended
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import (
    DeviceSettings,
    LossSettings,
    ModeSettings,
    OptimisationSettings,
    RunSettings,
)
from model_utils.setup.job import Job, opened_store
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint


def open_job(options: Options, resumed: Checkpoint | None = None) -> Job:
    """The recogniser that `options` describe, see `job.open_job`."""
    recogniser, pretrained = _recogniser(options, resumed)
    options, corpus = _opened(options, recogniser)
    device = runtime.prepare(options[DeviceSettings], recogniser.network, recogniser.num_bins)

    # Import Paddle, which is set up now.
    from model_utils.tasks.recognition import RecognitionTask
    from model_utils.trainer.runlog import stamp

    distributed.join()
    batching, seed = options[BatchSettings], options[RunSettings].seed
    parts = options[OptimisationSettings].accumulate
    compiled, loss = device.compile_convolutions, options[LossSettings]
    task = RecognitionTask(recogniser, corpus, batching, seed, compiled, parts, loss)
    print(f"{stamp()} 训练数据数量：{len(corpus.training.manifest)}\n", flush=True)
    return Job(task, device, options, None if pretrained is None else pretrained.start)


def open_source(options: Options) -> SpeechDataset:
    """What `options` train on, see `job.open_source`."""
    recogniser, _ = _recogniser(options, None)
    _, corpus = _opened(options, recogniser)
    effects = corpus.training.augmentation
    if options[StoreSettings].num_variants > 1 and not (effects and effects.describe("wave")):
        raise InputError(
            f"--num_variants={options[StoreSettings].num_variants}: without effects on waves all "
            f"variants are alike; give --augment_conf_path=FILE, or leave the option out"
        )
    return corpus.training


def _opened(options: Options, recogniser: Recogniser) -> tuple[Options, Corpus]:
    """The options in force, told to the user, and the corpus that they name."""
    files = dataclasses.replace(options[CorpusSettings], unknown=recogniser.unknown)
    options = options.replaced(recogniser.network, recogniser.features, files)
    notes: list[str] = []
    augmentation = AugmentationPipeline.load(files.augment_conf_path, warn=notes.append)
    print("\n".join([options.table(), *notes]), flush=True)
    run = options[RunSettings]
    corpus = open_corpus(
        recogniser,
        files,
        augmentation,
        run.seed,
        score=options[ModeSettings].mode != "process_data" and not run.test_off,
        cache=RecordingCache.of(options[BatchSettings]),
    )
    corpus.training.store = opened_store(options, corpus.training)
    return options, corpus


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
