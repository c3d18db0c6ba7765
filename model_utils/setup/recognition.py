"""The recogniser's training, put together: data, vocabulary, statistics, network."""

import dataclasses
import sys

from data_utils.augmentation.pipeline import AugmentationPipeline
from data_utils.cache import RecordingCache
from data_utils.dataset import SpeechDataset
from data_utils.errors import InputError
from data_utils.settings import BatchSettings, CorpusSettings, StoreSettings
from model_utils import differences, distributed, runtime
from model_utils.corpus import Corpus, open_corpus, with_classes
from model_utils.front_end import resolve_front_end
from model_utils.options import Options, check_owners, given_otherwise
from model_utils.pretrained import Pretrained, extended
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import (
    DeviceSettings,
    FrontEndTrainingSettings,
    HeadSettings,
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
    recogniser, pretrained, front_end = _recogniser(options, resumed)
    options, corpus = _opened(options, recogniser)
    head = options[HeadSettings]
    if head.head_field is not None:
        classes, corpus = with_classes(corpus, head.head_field, recogniser.head)
        recogniser = dataclasses.replace(recogniser, head=classes)
        pretrained = pretrained and pretrained.for_head(classes)
    # The fast engine has no gradient of the features: a compiled convolution whose input has one
    # crashed once inside Paddle.
    is_joint = recogniser.front_end is not None and not recogniser.front_end.is_frozen
    compiled_network = None if is_joint else recogniser.network
    device = runtime.prepare(options[DeviceSettings], compiled_network, recogniser.num_bins)

    # Import Paddle, which is set up now.
    from model_utils.tasks.recognition import RecognitionTask
    from model_utils.trainer.runlog import stamp

    distributed.join()
    batching, seed = options[BatchSettings], options[RunSettings].seed
    parts = options[OptimisationSettings].accumulate
    fast, loss = device.is_fast, options[LossSettings]
    task = RecognitionTask(recogniser, corpus, batching, seed, fast, parts, loss, head)
    if front_end is not None:
        checkpoint.set_weights(task.network.front_end.network, front_end)
    print(f"{stamp()} 训练数据数量：{len(corpus.training.manifest)}\n", flush=True)
    return Job(task, device, options, None if pretrained is None else pretrained.start)


def open_source(options: Options) -> SpeechDataset:
    """What `options` train on, see `job.open_source`."""
    recogniser, *_ = _recogniser(options, None)
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
    head = _head(options, recogniser)
    options = options.replaced(recogniser.network, recogniser.features, files, head)
    notes: list[str] = []
    if recogniser.front_end is None:
        behind = dataclasses.replace(options[FrontEndTrainingSettings], frontend=None)
    else:
        behind = recogniser.front_end.settings
        notes.append(recogniser.front_end.shown())
    options = options.replaced(behind)
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


_HEAD_BELONGS_TO = {"head_gamma": ("focal",), "head_margin": ("multi_margin",)}
"""The losses of the head that an option reaches."""


def _head(options: Options, recogniser: Recogniser) -> HeadSettings:
    """The settings of the head in force: its field is that of a resumed recogniser.

    Raises:
        InputError: an option of the head is given and reaches nothing.
    """
    settings = options[HeadSettings]
    if recogniser.head is not None:
        settings = dataclasses.replace(settings, head_field=recogniser.head.field)
    given = given_otherwise(options, HeadSettings)
    if settings.head_field is None and given:
        name, value = next(iter(given.items()))
        raise InputError(
            f"--{name}={value}: there is no head; give --head_field=NAME, the field of the "
            f"manifests that says an utterance's class, or leave the option out"
        )
    check_owners(options, HeadSettings, "head_loss", _HEAD_BELONGS_TO)
    return settings


def _recogniser(
    options: Options, resumed: Checkpoint | None
) -> tuple[Recogniser, Pretrained | None, Checkpoint | None]:
    """What is to be trained; weights of another run that it starts from; those of a front end."""
    run, files = options[RunSettings], options[CorpusSettings]
    if files.extend_vocab and not run.pretrained_model:
        raise InputError(
            "--extend_vocab: no vocabulary to extend; give --pretrained_model=FILE, or leave the "
            "option out: a resumed run keeps the vocabulary that it has"
        )
    source = None
    if run.pretrained_model is not None:
        source = checkpoint.load(run.pretrained_model, optimizer=False)
    pretrained = None
    if source is not None and files.extend_vocab:
        recogniser = extended(options, source)
        pretrained = Pretrained.extending(source, recogniser)
    else:
        recogniser = resolve(options, resumed, files.vocab_path, files.mean_std_path, files.unknown)
        if resumed is not None and resumed.info is not None:
            _check_head(options, recogniser, resumed)
            for line in differences.of_files(recogniser, files, resumed.path):
                print(line, file=sys.stderr)
        if source is not None:
            pretrained = Pretrained.of(source, recogniser)
    carried = recogniser.front_end if pretrained is None else pretrained.front_end
    front_end, begins = resolve_front_end(options, recogniser.features, carried, resumed)
    if pretrained is not None and begins is not None:
        pretrained = pretrained.without_front_end()
    return dataclasses.replace(recogniser, front_end=front_end), pretrained, begins


def _check_head(options: Options, recogniser: Recogniser, resumed: Checkpoint) -> None:
    """Refuse another head than that of the checkpoint that is resumed."""
    field = options[HeadSettings].head_field
    own = None if recogniser.head is None else recogniser.head.field
    if "head_field" not in options.given or field == own:
        return
    if own is None:
        raise InputError(
            f"--head_field={field}: {resumed.path} has no head; leave the option out, or start a "
            f"new run from its weights with --pretrained_model"
        )
    raise InputError(
        f"--head_field={field}: the head of {resumed.path} is for {own}; leave the option out"
    )
