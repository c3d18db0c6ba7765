"""What a run has not in common with the checkpoint that it starts from, in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_utils.normalizer import Normalizer, in_force
from data_utils.settings import CorpusSettings
from data_utils.text import Vocabulary
from model_utils import runtime
from model_utils.options import Options
from model_utils.recogniser import Recogniser
from model_utils.runtime import Device

# A resumed run may be given other ones of these without a word; of engine, threads and devices it
# is said what they became.
_MAY_CHANGE = {"num_epoch", "resume_model", "pretrained_model", "log_interval", "save_interval"}
_MAY_CHANGE |= {"num_workers", "audio_cache_mb", "output_model_dir", "log_dir", "test_off"}
_MAY_CHANGE |= {"use_gpu", "engine", "num_threads", "nproc_per_node", "extend_vocab"}
_MAY_CHANGE |= {"max_steps", "early_stopping", "keep_ckpt", "keep_epochs", "dry_run"}
_MAY_CHANGE |= {"watchdog_seconds", "load_optimizer", "start_epoch", "clean_logs", "trainer"}
_MAY_CHANGE |= {"store_dir"}
_OF_STORE = {"store_dtype", "num_variants"}
"""What reaches nothing unless examples come from a store, before and now."""

_BATCHES = "other batches, and another number of them in an epoch, by which the schedule counts"
_DATA = "what is no longer among the utterances is forgotten little by little"
_SCORES = "scores of other utterances are not to be compared, the best so far is kept all the same"
_RATE = "the rate goes on as this schedule has it at this place"
_DRAWS = "from here on other draws than the run without a stop would have made"
_STORED = "from here on other examples than the run without a stop would have heard"
_LOSS = "losses of before and after are not to be compared"
_OWN = "the model's own is used"

# What it means that an option is another one; where nothing stands here it holds from now on.
_MEANING = {
    "train_manifest": _DATA,
    "min_duration": _DATA,
    "max_duration": _DATA,
    "dev_manifest": _SCORES,
    "test_manifest": _SCORES,
    "train_clean": _DATA,
    "dev_clean": _SCORES,
    "dev_noise": _SCORES,
    "dev_snrs": _SCORES,
    "test_clean": _SCORES,
    "test_noise": _SCORES,
    "vocab_path": _OWN,
    "mean_std_path": _OWN,
    "batch_size": _BATCHES,
    "batch_seconds": _BATCHES,
    "accumulate": _BATCHES,
    "shuffle_method": _DRAWS,
    "augment_conf_path": _DRAWS,
    "seed": _DRAWS,
    "mode": _STORED,
    "num_variants": _DRAWS,
    "store_dtype": _STORED,
    "observation": _DRAWS,
    "learning_rate": _RATE,
    "loss": _LOSS,
    "loss_on": _LOSS,
    "label_smoothing": _LOSS,
    "focal_gamma": _LOSS,
    "head_loss": _LOSS,
    "head_weight": _LOSS,
    "head_gamma": _LOSS,
    "head_margin": _LOSS,
}


def of_files(carried: Recogniser, corpus: CorpusSettings, model: Path) -> list[str]:
    """Vocabulary and statistics beside the corpus that are not those of the resumed `model`."""
    lines = []
    if Path(corpus.vocab_path).is_file():
        found = Vocabulary.load(corpus.vocab_path)
        if difference := carried.vocabulary.difference(found):
            new = len(carried.vocabulary.extended(found)) - len(carried.vocabulary)
            lines.append(
                f"warning: {corpus.vocab_path} differs from the vocabulary of {model}: "
                f"{difference}; the model's own is used, characters new in the file are unknown "
                f"to it (a new run with --pretrained_model={model} --extend_vocab learns them)"
                if new
                else f"note: {corpus.vocab_path} differs from the vocabulary of {model}: "
                f"{difference}; the model's own is used, which has every character of the file"
            )
    return lines + of_statistics(carried, corpus, model)


def of_statistics(carried: Recogniser, corpus: CorpusSettings, model: Path) -> list[str]:
    """Statistics beside the corpus that are not those of `model`."""
    if not Path(corpus.mean_std_path).is_file():
        return []
    difference = carried.normalizer.difference(Normalizer.load(corpus.mean_std_path))
    if not difference:
        return []
    return [
        f"note: {corpus.mean_std_path} differs from the statistics that {model} was trained with: "
        f"{difference}; the model's own are used"
    ]


def of_plans(info: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    """What the batches follow from beside the options: other data, another number of devices."""
    lines = []
    before: Mapping[str, Any] = info.get("plan", {})
    for name, more in (("items", ""), ("devices", "; --lr_scaling scales the rate by it")):
        was, now = before.get(name, plan[name]), plan[name]
        if was != now:
            lines.append(f"changed since then: {name} was {was}, is {now}: {_BATCHES}{more}")
    if not lines and before.get("durations", plan["durations"]) != plan["durations"]:
        lines.append(f"changed since then: as many items, but not the same ones: {_DATA}")
    return lines


def of_runs(info: Mapping[str, Any], options: Options, device: Device) -> list[str]:
    """Options, machine and Paddle that are not those of the run that a checkpoint's JSON tells."""
    lines = []
    before, current = info.get("options", {}), options.as_dict()
    silent = set(_MAY_CHANGE)
    if not before.get("mode") == current.get("mode") == "fast_train":
        silent |= _OF_STORE
    for name, now in sorted(current.items()):
        was = before.get(name, now)
        was, now = (",".join(map(str, v)) if isinstance(v, list | tuple) else v for v in (was, now))
        if was != now and name not in silent:
            meaning = _MEANING.get(name) or (_RATE if name.startswith("lr_") else "")
            lines.append(
                f"changed since then: {name} was {was}, is {now}" + f": {meaning}" * bool(meaning)
            )
    machine, versions = info.get("device", {}), info.get("versions", {})
    for name, was, now in (
        ("device", machine.get("name"), device.name),
        ("engine", machine.get("engine"), device.engine),
        ("threads", machine.get("threads"), device.threads),
        ("Paddle", versions.get("paddle"), runtime.paddle_version()),
    ):
        if was not in (None, now):
            lines.append(
                f"changed since then: {name} was {was}, is {now}: right, but not to the last bit "
                f"the same"
            )
    return lines


def of_input(other: Recogniser, own: Recogniser) -> str:
    """What `own` network hears otherwise than that of `other`; empty if it is the same."""
    was, now = in_force(other.features), in_force(own.features)
    changed = [
        f"{name} {was.get(name)}, here {now.get(name)}"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
    statistics = other.normalizer.difference(own.normalizer)
    return ", ".join(changed + [f"statistics: {statistics}"] * bool(statistics))
