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

# A resumed run may be given other ones of these without a word; of engine and threads it is said
# what they became.
_MAY_CHANGE = {"num_epoch", "resume_model", "pretrained_model", "log_interval", "save_interval"}
_MAY_CHANGE |= {"num_workers", "audio_cache_mb", "output_model_dir", "log_dir", "test_off"}
_MAY_CHANGE |= {"use_gpu", "engine", "num_threads"}


def of_files(carried: Recogniser, corpus: CorpusSettings, model: Path) -> list[str]:
    """Vocabulary and statistics beside the corpus that are not those of the resumed `model`."""
    lines = []
    if Path(corpus.vocab_path).is_file():
        difference = carried.vocabulary.difference(Vocabulary.load(corpus.vocab_path))
        if difference:
            lines.append(
                f"warning: {corpus.vocab_path} differs from the vocabulary of {model}: "
                f"{difference}; the model's own is used, characters new in the file are unknown "
                f"to it"
            )
    if Path(corpus.mean_std_path).is_file():
        difference = carried.normalizer.difference(Normalizer.load(corpus.mean_std_path))
        if difference:
            lines.append(
                f"note: {corpus.mean_std_path} differs from the statistics that {model} was "
                f"trained with: {difference}; the model's own are used"
            )
    return lines


def of_runs(info: Mapping[str, Any], options: Options, device: Device) -> list[str]:
    """Options, machine and Paddle that are not those of the run that a checkpoint's JSON tells."""
    lines = []
    before: Mapping[str, Any] = info.get("options", {})
    for name, now in sorted(options.as_dict().items()):
        was = before.get(name, now)
        was, now = (",".join(map(str, v)) if isinstance(v, list | tuple) else v for v in (was, now))
        if was != now and name not in _MAY_CHANGE:
            lines.append(f"changed since then: {name} was {was}, is {now}")
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
