"""What a mask network learns from, and the spectra it sees; importable without NumPy."""

from dataclasses import dataclass
from typing import Literal

from data_utils.errors import InputError
from data_utils.settings import option

MaskName = Literal["irm", "ratio", "ibm", "psm"]

SNR_RANGE = (-50.0, 100.0)
"""dB; beyond it the fainter of the two is lost in rounding."""


@dataclass(frozen=True)
class NoisyCorpusSettings:
    """Lists of recordings, of which noisy speech is mixed."""

    train_clean: str = option(
        "./dataset/clean.train",
        "clean speech to train on: a list with a path a line, a manifest, or a folder",
        when="for each corpus one of its own; an annotation file will do, it begins with paths",
    )
    train_noise: str = option(
        "./dataset/noise.train",
        "noises to train on: list, manifest or folder",
        when="with as many kinds of noise as you can find: what was never heard stays in",
    )
    dev_clean: str | None = option(
        "./dataset/clean.dev",
        "clean speech that decides which epoch is best, None for none",
        when="other speakers than in training; 50 recordings will do, each is scored at every "
        "ratio of dev_snrs",
    )
    dev_noise: str | None = option(
        "./dataset/noise.dev",
        "noises for dev_clean",
        when="other recordings than in training, or the score flatters",
    )
    test_clean: str | None = option(
        None,
        "clean speech to test with, at the ratios of dev_snrs; None for none",
        when="once settings are chosen: a test set is looked at once, at the end",
    )
    test_noise: str | None = option(
        None,
        "noises for test_clean",
        when="kinds of noise that neither train_noise nor dev_noise has tell most",
    )
    train_snrs: tuple[float, ...] = option(
        (-5.0, 0.0),
        "signal-to-noise ratios to train at, of which each recording draws one, separated by "
        "commas",
        unit="dB",
        when="higher ones too, 5 and 10, where recordings to be cleaned are not that noisy",
    )
    dev_snrs: tuple[float, ...] = option(
        (-5.0, 0.0, 5.0),
        "signal-to-noise ratios at which every recording is scored, separated by commas",
        unit="dB",
        when="the ratios at which you will use the network",
    )
    crop_seconds: float | None = option(
        None,
        "train on a random part so long of longer recordings; None: on the whole",
        unit="s",
        minimum=0.1,
        when="3 to 4 where recordings are long or of very different lengths: batches then need "
        "less memory and less padding",
    )


@dataclass(frozen=True)
class SpectrumSettings:
    """The spectra whose magnitudes a mask network sees, and the mask it learns."""

    sample_rate: int = option(
        16000,
        "rate to which recordings are brought",
        unit="Hz",
        minimum=4000,
        maximum=192000,
        when="seldom: 8000 for telephone speech; in front of a recogniser masks of other than "
        "its own frames go through the wave",
    )
    n_fft: int = option(
        320,
        "samples of each Fourier transform; a frame has 1 + n_fft / 2 bins",
        minimum=4,
        maximum=16384,
        when="512 (with hop_length 256, win_length 512) for finer bins and coarser time",
    )
    hop_length: int = option(
        160,
        "samples from one frame to the next, at most half of win_length",
        minimum=1,
        when="a quarter of win_length for smoother output, at twice the work",
    )
    win_length: int = option(
        320,
        "samples of a frame, at most n_fft",
        minimum=4,
        when="together with n_fft",
    )
    mask: MaskName = option(
        "irm",
        "what the network learns: root of the speech's share of the power (irm), share of the "
        "magnitudes (ratio), 0 or 1 (ibm), or phase-sensitive (psm)",
        when="`psm` where the phase of the noise matters, at low ratios; `ibm` to sort each unit "
        "to one side",
    )

    @property
    def bins(self) -> int:
        """Values of a frame: the frequencies from 0 Hz to half the rate."""
        return self.n_fft // 2 + 1


def check_corpus(settings: NoisyCorpusSettings) -> None:
    """Refuse combinations that cannot be mixed.

    Raises:
        InputError: a list of speech without its list of noises, or the other way round; no ratio,
            or one beyond `SNR_RANGE`.
    """
    for part in ("dev", "test"):
        names = (f"{part}_clean", f"{part}_noise")
        missing = [name for name in names if getattr(settings, name) is None]
        if len(missing) == 1:
            raise InputError(
                f"--{missing[0]}: missing; name a list, or give --{names[0]}=None "
                f"--{names[1]}=None to do without both"
            )
    for name in ("train_snrs", "dev_snrs"):
        check_ratios(name, getattr(settings, name))


def check_ratios(name: str, ratios: tuple[float, ...]) -> None:
    """Refuse ratios at which nothing can be mixed.

    Args:
        name: of the option.
        ratios: its values, in dB.

    Raises:
        InputError: there is none, or one is beyond `SNR_RANGE`.
    """
    low, high = SNR_RANGE
    if not ratios:
        raise InputError(f"--{name}: no ratio given; write one or more, as in --{name}=-5,0,5")
    for ratio in ratios:
        if not low <= ratio <= high:
            raise InputError(f"--{name}: {ratio:g} dB is not between {low:g} and {high:g}; mend it")


def check_spectrum(settings: SpectrumSettings) -> None:
    """Refuse geometries whose spectra have no way back to a wave.

    Raises:
        InputError: a window longer than the transform, or hops longer than half the window.
    """
    if settings.win_length > settings.n_fft:
        raise InputError(
            f"--win_length: {settings.win_length} is more than --n_fft={settings.n_fft}; "
            f"give both, as in --n_fft={settings.win_length} --win_length={settings.win_length}"
        )
    if 2 * settings.hop_length > settings.win_length:
        raise InputError(
            f"--hop_length: {settings.hop_length} is more than half of "
            f"--win_length={settings.win_length}: samples between windows would be lost; "
            f"{settings.win_length // 2} is the most"
        )
