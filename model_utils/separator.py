"""A source separator as data: the parts of songs that its networks hear. No Paddle needed."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_utils.hearing import Hearing
from data_utils.separation.settings import SongSettings, check
from data_utils.stft import Stft
from model_utils.blocks import Blocks
from model_utils.description import check_given, reading
from model_utils.options import Options, from_json

if TYPE_CHECKING:
    from model_utils.networks.unet import SeparationNetwork
    from model_utils.trainer.checkpoint import Checkpoint

CONTEXT = 1 / 16
"""Share of a block, at its beginning and at its end, that is left to the neighbouring blocks."""

_HEARD = ("sample_rate", "frame_length", "frame_step", "T", "F")
"""Settings that the weights belong to; the others say where training data comes from."""


@dataclass(frozen=True)
class Separator:
    """All that takes songs apart, beside the weights; a checkpoint carries it."""

    songs: SongSettings
    trainer: str = ""
    """Who trained it."""

    def describe(self) -> dict[str, Any]:
        """JSON values, from which `of` makes an equal separator."""
        return {
            "task": "separation",
            "songs": dataclasses.asdict(self.songs),
            "trainer": self.trainer,
        }

    @classmethod
    def of(cls, info: Mapping[str, Any], where: str) -> "Separator":
        """The separator that a checkpoint's JSON describes.

        Raises:
            InputError: a part of it is missing or not understood.
        """
        with reading(info, "separation", ("songs",), where):
            songs = from_json(SongSettings, info["songs"], "songs")
            check(songs)
            found = cls(songs, str(info.get("trainer", "")))
        return found

    @property
    def stft(self) -> Stft:
        """The way from a wave to what the networks hear, and back."""
        length = self.songs.frame_length
        return Stft(length, self.songs.frame_step, length)

    @property
    def hearing(self) -> Hearing:
        """What the networks hear of a recording, whatever its level."""
        return Hearing(self.stft, self.songs.sample_rate, self.songs.F)

    @property
    def blocks(self) -> Blocks:
        """How they hear what is long: T frames at a time, with context on either side."""
        context = int(CONTEXT * self.songs.T)
        return Blocks(self.songs.T, context, context)

    def build(self) -> "SeparationNetwork":
        """Networks with new weights, one for each stem."""
        from model_utils.networks.unet import SeparationNetwork

        return SeparationNetwork(self.songs.T)


def resolve(options: Options, saved: "Checkpoint | None", trainer: str = "") -> Separator:
    """The separator that a checkpoint carries, trained on with these options, or a new one.

    Args:
        options: with `SongSettings`; those that the weights belong to must agree with the
            checkpoint.
        saved: a checkpoint; None, or one of weights alone, leaves everything to the options.
        trainer: who trains it.

    Raises:
        InputError: options that contradict each other or the checkpoint.
    """
    songs = options[SongSettings]
    if saved is None or saved.info is None:
        check(songs)
        return Separator(songs, trainer)
    carried = Separator.of(saved.info, str(saved.path))
    given = {name: getattr(songs, name) for name in _HEARD}
    own = {name: getattr(carried.songs, name) for name in _HEARD}
    check_given(options, given, own, saved.path)
    songs = dataclasses.replace(songs, **own)
    check(songs)
    return Separator(songs, trainer or carried.trainer)
