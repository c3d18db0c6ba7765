"""The enhancer's training, put together: lists of speech and noise, spectra, network."""

from data_utils.cache import RecordingCache
from data_utils.enhancement.dataset import NoisyPairs, NoisySpeech
from data_utils.enhancement.lists import named_list
from data_utils.enhancement.settings import NoisyCorpusSettings, check_corpus
from data_utils.settings import BatchSettings
from model_utils import distributed, runtime
from model_utils.enhancer import Enhancer, resolve
from model_utils.options import Options
from model_utils.pretrained import other_weights
from model_utils.settings import (
    DeviceSettings,
    MaskLossSettings,
    OptimisationSettings,
    RunSettings,
)
from model_utils.setup.job import Job, opened_store
from model_utils.trainer.checkpoint import Checkpoint


def open_job(options: Options, resumed: Checkpoint | None = None) -> Job:
    """The enhancer that `options` describe, see `job.open_job`."""
    run = options[RunSettings]
    start = other_weights(run, "enhancement")
    enhancer = resolve(options, resumed)
    options = options.replaced(enhancer.spectrum, enhancer.network)
    print(options.table(), flush=True)
    cache = RecordingCache.of(options[BatchSettings])
    training = _training(options, enhancer, cache)
    scored = {} if run.test_off else _scored(options, enhancer, cache)
    device = runtime.prepare(options[DeviceSettings])

    # Import Paddle, which is set up now.
    from model_utils.tasks.enhancement import EnhancementTask
    from model_utils.trainer.runlog import stamp

    distributed.join()
    batching, parts = options[BatchSettings], options[OptimisationSettings].accumulate
    loss = options[MaskLossSettings]
    task = EnhancementTask(enhancer, training, scored, batching, run.seed, parts, loss)
    print(f"{stamp()} 训练数据数量：{len(training)}\n", flush=True)
    return Job(task, device, options, start)


def open_source(options: Options) -> NoisySpeech:
    """What `options` train on, see `job.open_source`."""
    print(options.table(), flush=True)
    cache = RecordingCache.of(options[BatchSettings])
    return _training(options, resolve(options, None), cache)


def _training(options: Options, enhancer: Enhancer, cache: RecordingCache) -> NoisySpeech:
    corpus = options[NoisyCorpusSettings]
    check_corpus(corpus)
    training = NoisySpeech(
        named_list(corpus.train_clean),
        named_list(corpus.train_noise),
        corpus.train_snrs,
        enhancer.spectrum,
        corpus.crop_seconds,
        options[RunSettings].seed,
        cache,
    )
    training.store = opened_store(options, training)
    return training


def _scored(options: Options, enhancer: Enhancer, cache: RecordingCache) -> dict[str, NoisyPairs]:
    corpus = options[NoisyCorpusSettings]
    lists = {
        "dev": (corpus.dev_clean, corpus.dev_noise),
        "test": (corpus.test_clean, corpus.test_noise),
    }
    rate = enhancer.spectrum.sample_rate
    return {
        name: NoisyPairs(named_list(clean), named_list(noise), corpus.dev_snrs, rate, cache=cache)
        for name, (clean, noise) in lists.items()
        if clean and noise
    }
