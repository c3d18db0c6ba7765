"""From the options of eval.py and infer.py to a predictor."""

from typing import TYPE_CHECKING

from data_utils.errors import InputError
from data_utils.normalizer import Normalizer
from data_utils.separation.settings import StemSettings
from data_utils.text import Vocabulary
from inference.export import Export
from inference.export import load as load_export
from inference.predictor import Predictor
from inference.settings import ExportedSettings, FrontEndSettings, ModelSettings
from model_utils import runtime
from model_utils.description import needed, task_of
from model_utils.options import Options
from model_utils.recogniser import Recogniser, resolve
from model_utils.settings import DeviceSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint, newest

if TYPE_CHECKING:
    from inference.enhancement import EnhancementPredictor
    from inference.separation import SeparationPredictor


def load_predictor(options: Options) -> Predictor:
    """The predictor of the checkpoint or export that the options name.

    Sizes, vocabulary and statistics may be given too, as older packages wanted them; they are
    compared with the checkpoint's, and make up for them where it is weights alone.

    Raises:
        InputError: no such checkpoint, or something given contradicts it or reaches nothing.
    """
    model, front = options[ModelSettings], options[FrontEndSettings]
    exported = _exported(options)
    saved = exported.described if exported else checkpoint.load(model.resume_model, optimizer=False)
    recogniser = recogniser_of(options, saved)
    _check_front_end(options, recogniser)
    before = None
    if front.frontend is not None:
        before = _described(front.frontend, "enhancement", "separation")
    return Predictor(
        exported or saved, options[DeviceSettings], recogniser, front.observation, before
    )


def _exported(options: Options) -> Export | None:
    """The export that the options name, if any."""
    folder = options[ExportedSettings].model_dir
    if folder is None:
        return None
    if "resume_model" in options.given:
        raise InputError(
            f"--model_dir={folder}: an export is used in place of a checkpoint; leave one of it "
            f"and --resume_model out"
        )
    if options[DeviceSettings].engine == "plain":
        raise InputError(
            f"--engine=plain: Paddle does not run exports; leave the option out, or give the "
            f"checkpoint as --resume_model in place of --model_dir={folder}"
        )
    has_front_end = options[FrontEndSettings].frontend is not None  # it may use a GPU
    if "use_gpu" in options.given and options[DeviceSettings].use_gpu and not has_front_end:
        raise InputError(
            f"--use_gpu=True: exports run on the CPU; leave the option out, or give the "
            f"checkpoint as --resume_model in place of --model_dir={folder}"
        )
    return load_export(folder)


def recogniser_of(options: Options, saved: Checkpoint) -> Recogniser:
    """The recogniser of a checkpoint or of an export's description.

    Args:
        options: vocabulary and statistics among them are compared with those that `saved` carries,
            and make up for them where it is weights alone.
        saved: as it was read.

    Raises:
        InputError: something given contradicts what `saved` carries, or is needed and missing.
    """
    model = options[ModelSettings]
    recogniser = resolve(options, saved, model.vocab_path, model.mean_std_path)
    if saved.info is not None:
        _check(recogniser, model, str(saved.path))
    return recogniser


def _check_front_end(options: Options, recogniser: Recogniser) -> None:
    front, model = options[FrontEndSettings], options[ModelSettings].resume_model
    if front.frontend is not None and recogniser.front_end is not None:
        raise InputError(
            f"--frontend={front.frontend}: {model} carries the front end that it was trained "
            f"behind; leave the option out"
        )
    if "observation" in options.given and front.frontend is None and recogniser.front_end is None:
        raise InputError(
            f"--observation={front.observation:g}: without a front end all of the signal is heard; "
            f"give --frontend=MODEL, or leave the option out"
        )


def _check(recogniser: Recogniser, model: ModelSettings, name: str) -> None:
    if model.vocab_path is not None:
        difference = recogniser.vocabulary.difference(Vocabulary.load(model.vocab_path))
        if difference:
            raise InputError(
                f"{model.vocab_path}: not the vocabulary of {name}: {difference}; "
                f"leave --vocab_path out"
            )
    if model.mean_std_path is not None:
        given = Normalizer.load(model.mean_std_path)
        difference = recogniser.normalizer.difference(given)
        if difference:
            raise InputError(
                f"{model.mean_std_path}: not the statistics of {name}: {difference}; "
                f"leave --mean_std_path out"
            )


def load_enhancer(
    model: str, device: DeviceSettings, observation: float = 0.0
) -> "EnhancementPredictor":
    """The enhancer of a checkpoint, or of the newest in a folder.

    Raises:
        InputError: the checkpoint cannot be used.
    """
    saved = _described(model, "enhancement")
    runtime.prepare(device)

    from inference.enhancement import EnhancementPredictor

    return EnhancementPredictor(saved, observation)


def load_separator(
    model: str, device: DeviceSettings, stems: StemSettings | None = None
) -> "SeparationPredictor":
    """The separator of a checkpoint, or of the newest in a folder.

    Raises:
        InputError: the checkpoint cannot be used.
    """
    saved = _described(model, "separation")
    runtime.prepare(device)

    from inference.separation import SeparationPredictor

    return SeparationPredictor(saved, stems)


def _described(model: str, *tasks: str) -> Checkpoint:
    """A checkpoint of one of `tasks`: known before seconds are spent on setting Paddle up."""
    saved = checkpoint.load(newest(model), optimizer=False)
    if (found := task_of(needed(saved.info, saved.path))) not in tasks:
        raise InputError(f"{saved.path}: a model for {found}, not for {' or '.join(tasks)}")
    return saved
