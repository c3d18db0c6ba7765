"""The sizes of mask networks; importable without Paddle. Those of the recogniser: model_utils."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from data_utils.enhancement.settings import SpectrumSettings
from data_utils.errors import InputError
from data_utils.settings import option

MaskNetworkName = Literal["rt", "zrt", "lstm"]
LocalRnnType = Literal["LSTM", "GRU", "RNN"]

_KSIZE = {"rt": 3, "zrt": 5, "lstm": None}
_N = {"rt": 1, "zrt": 2, "lstm": None}


@dataclass(frozen=True)
class MaskNetworkSettings:
    """A network that gives masks for magnitudes, under the names that its users know."""

    network: MaskNetworkName = option(
        "rt",
        "R-Transformer (rt), one without layer norm and with wider windows (zrt), or plain LSTM "
        "layers (lstm)",
        when="`lstm` for a baseline, or where hours of sound come in one piece: it needs no more "
        "for late frames than for early ones",
    )
    input_size: int | None = option(
        None,
        "bins of a frame that comes in; None: as many as n_fft gives",
        minimum=1,
        when="never: it follows from n_fft, and a value that contradicts it is refused",
    )
    d_model: int = option(
        320,
        "values of a frame inside; lstm: units of each layer",
        minimum=1,
        when="128 to 192 on a CPU or for little data; a multiple of h",
    )
    output_size: int | None = option(
        None,
        "bins of the mask; None: as many as n_fft gives",
        minimum=1,
        when="never, as input_size",
    )
    h: int = option(
        4,
        "rt, zrt: attention heads, among which d_model is divided",
        minimum=1,
        when="seldom; each head should keep 32 values or more",
    )
    rnn_type: LocalRnnType = option(
        "LSTM",
        "rt, zrt: cell of the local recurrence",
        when="`GRU` has a quarter fewer weights there, `RNN` a quarter as many",
    )
    ksize: int | None = option(
        None,
        "rt, zrt: frames, the present one included, that the local recurrence sees; None: 3 for "
        "rt, 5 for zrt",
        minimum=2,
        when="more for a wider neighbourhood, at more work for each frame",
    )
    n: int | None = option(
        None,
        "rt, zrt: local recurrences one after the other in each level; None: 1 for rt, 2 for zrt",
        minimum=1,
        when="2 widens the neighbourhood too, and adds weights",
    )
    n_level: int = option(
        2,
        "levels, each of local recurrence, attention and feed-forward; lstm: layers",
        minimum=1,
        when="3 where there is much data, 1 for speed",
    )
    dropout: float = option(
        0.1,
        "share of values dropped in every part of a level; lstm: behind each layer",
        minimum=0,
        maximum=0.95,
        when="more where the training loss falls and the dev score does not",
    )
    emb_dropout: float = option(
        0.1,
        "share of values dropped behind the input layer; lstm: of the input",
        minimum=0,
        maximum=0.95,
        when="together with dropout",
    )

    @property
    def layer_norm(self) -> bool:
        """Whether the parts of a level are normalised: those of rt are."""
        return self.network == "rt"


def complete(settings: MaskNetworkSettings, spectrum: SpectrumSettings) -> MaskNetworkSettings:
    """The settings with all that follows from others filled in: a network is built from them.

    Raises:
        InputError: sizes that contradict the spectrum's, or heads that do not divide d_model.
    """
    for name in ("input_size", "output_size"):
        given: int | None = getattr(settings, name)
        if given not in (None, spectrum.bins):
            raise InputError(
                f"--{name}: {given} contradicts --n_fft={spectrum.n_fft}, which gives "
                f"{spectrum.bins} bins; leave --{name} out, or change --n_fft"
            )
    if settings.network != "lstm" and settings.d_model % settings.h:
        raise InputError(
            f"--h: {settings.h} heads do not divide --d_model={settings.d_model}; "
            "make d_model a multiple of h"
        )
    return dataclasses.replace(
        settings,
        input_size=spectrum.bins,
        output_size=spectrum.bins,
        ksize=settings.ksize or _KSIZE[settings.network],
        n=settings.n or _N[settings.network],
    )
