"""A front end as part of a recogniser: described, found, and split off again. No Paddle needed."""

import dataclasses
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_utils import features
from data_utils.audio import SAMPLE_RATE
from data_utils.errors import InputError
from data_utils.masked_speech import Columns
from data_utils.normalizer import Normalizer
from data_utils.separation.settings import HALVINGS
from data_utils.settings import FeatureSettings
from model_utils.description import needed, reading, task_of
from model_utils.enhancer import Enhancer
from model_utils.options import Options, from_json, given_otherwise
from model_utils.separator import Separator
from model_utils.settings import FrontEndTrainingSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from model_utils.networks.front_end import MaskedFeatures

FRONT_END = "front_end"
"""The part of a recogniser's description, and the layer of its network, that is the front end."""

OFF = "off"
"""What `frontend` says to leave out the front end that the weights carry."""

_WEIGHTS = f"{FRONT_END}.network."
"""What the names of its weights begin with in a checkpoint."""


@dataclass(frozen=True)
class FrontEndModel:
    """The mask network that a recogniser was trained behind, beside the weights."""

    model: Enhancer | Separator
    settings: FrontEndTrainingSettings
    """How it was trained; its `frontend` says where the front end came from."""

    def describe(self) -> dict[str, Any]:
        """JSON values, from which `of` makes an equal one."""
        return {
            "model": self.model.describe(),
            "settings": dataclasses.asdict(self.settings),
        }

    @classmethod
    def of(cls, content: Mapping[str, Any], where: str) -> "FrontEndModel":
        """The front end of a recogniser's JSON.

        Raises:
            InputError: a part of it is missing or not understood.
        """
        settings = from_json(FrontEndTrainingSettings, content["settings"], FRONT_END)
        check_shares(settings)
        return cls(model_of(content["model"], where), settings)

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which utterances draw their share of the unprocessed signal."""
        return self.settings.observation[0], self.settings.observation[-1]

    @property
    def is_frozen(self) -> bool:
        """Whether its weights stay as they are while the recogniser is trained."""
        return self.settings.frontend_training == "frozen"

    def shown(self) -> str:
        """A line for the user."""
        low, high = self.bounds
        shares = f"{low:g} to {high:g}" if low < high else f"{low:g}"
        return (
            f"front end: {self.settings.frontend}, {self.settings.frontend_training}; "
            f"{shares} of the unprocessed signal is kept, {(low + high) / 2:g} in scoring"
        )

    def columns(self, settings: FeatureSettings) -> Columns:
        """What the network with this front end gets of a frame, for such features."""
        return Columns.of(settings, self.model.hearing)

    def build(self, settings: FeatureSettings, normalizer: Normalizer) -> "MaskedFeatures":
        """The layer with new weights, in front of a recogniser with such features."""
        from model_utils.networks.front_end import MaskedFeatures, enhancer_share, vocal_share
        from model_utils.networks.power_features import PowerFeatures

        bins, share = self.model.stft.bins, enhancer_share
        if isinstance(self.model, Separator):
            share = functools.partial(vocal_share, block=self.model.songs.T, bins=bins)
        return MaskedFeatures(
            self.model.build(),
            share,
            self.model.blocks,
            self.columns(settings),
            bins,
            PowerFeatures(settings, normalizer),
            self.is_frozen,
        )


def model_of(info: Mapping[str, Any], where: str) -> Enhancer | Separator:
    """The enhancer or separator that a checkpoint's JSON describes.

    Raises:
        InputError: it is of neither, or not understood.
    """
    task = task_of(info)
    if task == "separation":
        return Separator.of(info, where)
    if task == "enhancement":
        return Enhancer.of(info, where)
    raise InputError(f"{where}: a model for {task}, not for enhancement or separation")


def check_shares(settings: FrontEndTrainingSettings) -> None:
    """Refuse bounds between which nothing can be drawn.

    Raises:
        InputError: more than two, one that is no share, or the larger one first.
    """
    bounds = settings.observation
    written = ",".join(f"{bound:g}" for bound in bounds)
    if not (len(bounds) in (1, 2) and 0 <= bounds[0] <= bounds[-1] <= 1):
        raise InputError(
            f"--observation={written}: two shares from 0 to 1, the smaller one first, or one for "
            f"all utterances; as in --observation=0,1"
        )


def check_frames(model: Enhancer | Separator, settings: FeatureSettings, name: str) -> None:
    """Refuse a front end that does not hear the recogniser's frames.

    Args:
        model: the front end.
        settings: features of the recogniser.
        name: of its checkpoint.

    Raises:
        InputError: saying which frames it hears, and how to train one that hears these.
    """
    hearing = model.hearing
    if hearing.shares_frames(settings):
        return
    window, hop = features.window_length(settings), features.hop_length(settings)
    flags = f"--sample_rate={SAMPLE_RATE} "
    if isinstance(model, Separator):
        bins = window // 2 + 1
        lowest = bins - bins % 2**HALVINGS
        flags += f"--frame_length={window} --frame_step={hop} --F={lowest}"
    else:
        flags += f"--n_fft={window} --win_length={window} --hop_length={hop}"
    raise InputError(
        f"{name}: hears {hearing.stft.win_length} samples every {hearing.stft.hop_length} at "
        f"{hearing.rate} Hz, the recogniser {window} every {hop} at {SAMPLE_RATE} Hz; to train "
        f"behind it, train one with {flags} (eval.py and infer.py take any)"
    )


def resolve_front_end(
    options: Options,
    settings: FeatureSettings,
    carried: FrontEndModel | None,
    resumed: Checkpoint | None,
) -> tuple[FrontEndModel | None, Checkpoint | None]:
    """The front end that a recogniser is trained behind, if any.

    A resumed run keeps its own; a new one takes what `frontend` names, or else what the weights
    carry that it starts from. Where it leaves that out, it says so.

    Args:
        options: with `FrontEndTrainingSettings`.
        settings: features of the recogniser.
        carried: front end of the checkpoint that the run goes on or starts from.
        resumed: that checkpoint, where the run goes on.

    Returns:
        The front end, and the checkpoint that it begins with where that is one of its own.

    Raises:
        InputError: options contradict each other or the checkpoint, or the front end does not hear
            the recogniser's frames.
    """
    wanted = options[FrontEndTrainingSettings]
    check_shares(wanted)
    begins: Checkpoint | None = None
    if resumed is not None and resumed.info is not None:
        _check_source(wanted.frontend, carried, resumed)
        if carried is not None:
            chosen = ("observation", "frontend_training")
            given = {name: getattr(wanted, name) for name in chosen if name in options.given}
            wanted = dataclasses.replace(carried.settings, **given)
    elif wanted.frontend is not None:
        dropped, carried = carried, None
        if wanted.frontend != OFF:
            model, begins = _loaded(wanted.frontend)
            carried = FrontEndModel(model, wanted)
        if dropped is not None:
            print(
                f"note: --frontend={wanted.frontend}: the front end that "
                f"{dropped.settings.frontend} carries is left out",
                file=sys.stderr,
            )
    elif carried is not None:
        wanted = dataclasses.replace(wanted, frontend=carried.settings.frontend)
    if carried is None:
        for name in given_otherwise(options, FrontEndTrainingSettings):
            if name != "frontend":  # it says off
                raise InputError(
                    f"--{name}: belongs to a front end, and there is none; give "
                    f"--frontend=CHECKPOINT, or leave the option out"
                )
        return None, None
    check_frames(carried.model, settings, str(wanted.frontend))
    return dataclasses.replace(carried, settings=wanted), begins


def _loaded(path: str) -> tuple[Enhancer | Separator, Checkpoint]:
    """A front end, by itself or in front of a recogniser, and its weights."""
    saved = checkpoint.load(checkpoint.newest(path), optimizer=False)
    info, where = needed(saved.info, saved.path), str(saved.path)
    if FRONT_END not in info:
        return model_of(info, where), saved
    with reading(info, "recognition", (FRONT_END,), where):
        own = FrontEndModel.of(info[FRONT_END], where)
    return own.model, split(saved, own)[1]


def _check_source(named: str | None, carried: FrontEndModel | None, resumed: Checkpoint) -> None:
    """Refuse another front end than a resumed run has."""
    own = OFF if carried is None else carried.settings.frontend
    if named not in (None, own):
        was = "without a front end" if carried is None else f"behind {own}"
        raise InputError(
            f"--frontend={named}: {resumed.path} was trained {was}; leave the option out, or begin "
            f"a new run from its weights with --pretrained_model"
        )


def split(saved: Checkpoint, front_end: FrontEndModel) -> tuple[Checkpoint, Checkpoint]:
    """A recogniser and its front end as two checkpoints.

    Args:
        saved: of both.
        front_end: as its JSON describes it.
    """
    own = {
        name.removeprefix(_WEIGHTS): value
        for name, value in saved.weights.items()
        if name.startswith(_WEIGHTS)
    }
    rest = {name: value for name, value in saved.weights.items() if not name.startswith(_WEIGHTS)}
    info = {"epoch": saved.epoch, **front_end.model.describe()}
    return (
        dataclasses.replace(saved, weights=rest, optimizer=None),
        Checkpoint(saved.path, own, None, info),
    )
