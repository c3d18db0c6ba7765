"""A speech enhancer as data: its spectra and its network. Importable without Paddle."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_utils.enhancement.settings import SpectrumSettings, check_spectrum
from data_utils.hearing import Hearing
from data_utils.mixing import LEVEL_DB
from data_utils.stft import Stft
from model_utils.blocks import Blocks
from model_utils.description import check_given, reading
from model_utils.networks.settings import MaskNetworkSettings, complete
from model_utils.options import Options, from_json

if TYPE_CHECKING:
    from model_utils.networks.r_transformer import MaskNetwork
    from model_utils.trainer.checkpoint import Checkpoint

_MAY_CHANGE = ("dropout", "emb_dropout")


@dataclass(frozen=True)
class Enhancer:
    """All that takes noise out of speech, beside the weights; a checkpoint carries it."""

    spectrum: SpectrumSettings
    network: MaskNetworkSettings
    """With all that follows from others filled in."""

    def describe(self) -> dict[str, Any]:
        """JSON values, from which `of` makes an equal enhancer."""
        return {
            "task": "enhancement",
            "spectrum": dataclasses.asdict(self.spectrum),
            "network": dataclasses.asdict(self.network),
        }

    @classmethod
    def of(cls, info: Mapping[str, Any], where: str) -> "Enhancer":
        """The enhancer that a checkpoint's JSON describes.

        Raises:
            InputError: a part of it is missing or not understood.
        """
        with reading(info, "enhancement", ("spectrum", "network"), where):
            spectrum = from_json(SpectrumSettings, info["spectrum"], "spectrum")
            check_spectrum(spectrum)
            network = from_json(MaskNetworkSettings, info["network"], "network")
            found = cls(spectrum, complete(network, spectrum))
        return found

    @property
    def stft(self) -> Stft:
        """The way from a wave to what the network hears, and back."""
        return Stft(self.spectrum.n_fft, self.spectrum.hop_length, self.spectrum.win_length)

    @property
    def hearing(self) -> Hearing:
        """What the network hears of a recording."""
        return Hearing(self.stft, self.spectrum.sample_rate, self.spectrum.bins, LEVEL_DB)

    @property
    def blocks(self) -> Blocks:
        """How it hears what is long: a minute of 10 ms frames at a time, ten seconds of it again.

        The work of attention to all frames so far grows with the square of their number.
        """
        return Blocks(6000, 1000, 0)

    def build(self) -> "MaskNetwork":
        """A network of these sizes with new weights."""
        from model_utils.networks.r_transformer import MaskNetwork

        return MaskNetwork(self.network)


def resolve(options: Options, saved: "Checkpoint | None") -> Enhancer:
    """The enhancer that a checkpoint carries, or else the one that the options describe.

    Args:
        options: with `SpectrumSettings` and `MaskNetworkSettings`; whatever of them was given must
            agree with the checkpoint, dropout alone may change.
        saved: a checkpoint; None, or one of weights alone, leaves everything to the options.

    Raises:
        InputError: options that contradict each other or the checkpoint.
    """
    spectrum, network = options[SpectrumSettings], options[MaskNetworkSettings]
    if saved is None or saved.info is None:
        check_spectrum(spectrum)
        return Enhancer(spectrum, complete(network, spectrum))
    carried = Enhancer.of(saved.info, str(saved.path))
    # As they were given: what is not is the checkpoint's, and None asks for nothing else.
    values = {**vars(spectrum), **vars(network)}
    given = {name: value for name, value in values.items() if value is not None}
    own = {**vars(carried.spectrum), **vars(carried.network)}
    check_given(options, given, own, saved.path, _MAY_CHANGE)
    changed = {name: given[name] for name in _MAY_CHANGE if name in options.given}
    return dataclasses.replace(carried, network=dataclasses.replace(carried.network, **changed))
