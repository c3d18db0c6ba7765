"""The settings of source separation; importable without NumPy."""

from dataclasses import dataclass
from typing import Literal

from data_utils.errors import InputError
from data_utils.settings import option

MaskExtension = Literal["average", "zeros"]

STEMS = ("vocals", "accompaniment")
"""In the order that every array of stems has."""

HALVINGS = 6
"""How often the network halves frames and bins: both have to be multiples of 2 ** HALVINGS."""


@dataclass(frozen=True)
class SongFiles:
    """Where the songs are, and the manifest of them."""

    train_manifest: str = option(
        "manifest.csv",
        "the songs, from run_scripts/preprocess.py",
        when="more than one collection of songs",
    )
    train_dataset: str = option(
        "dataset",
        "folder that the paths of the manifest start from",
        when="the songs lie elsewhere, on another disk for example",
    )


@dataclass(frozen=True)
class SongSettings(SongFiles):
    """Which parts of the songs are heard, and as what."""

    margin: float = option(
        0.5,
        "kept clear at both ends of a song",
        unit="s",
        minimum=0,
        when="larger where songs begin and end with silence or applause",
    )
    chunk_duration: float = option(
        20.0,
        "length of the parts that are trained on",
        unit="s",
        minimum=0.1,
        when="seldom; a little less than a whole number of blocks of T frames wastes least",
    )
    n_chunks_per_song: int = option(
        15,
        "parts of each song, evenly spread; they overlap where the song is shorter than all",
        minimum=1,
        when="more for long recordings; the store of process_data holds as many",
    )
    sample_rate: int = option(
        44100,
        "what recordings are resampled to",
        unit="Hz",
        minimum=8000,
        maximum=192000,
        when="16000 for speech, with frame_length and frame_step divided likewise",
    )
    frame_length: int = option(
        4096,
        "samples of a frame of the spectrum",
        minimum=128,
        when="together with sample_rate: about 90 ms part neighbouring tones",
    )
    frame_step: int = option(
        1024,
        "samples from one frame to the next, at most half a frame",
        minimum=32,
        when="a quarter of frame_length is usual",
    )
    T: int = option(
        512,
        "frames that the network hears at a time, a multiple of 64",
        minimum=64,
        when="256 takes half the memory; the network then knows less of what comes before and "
        "after",
    )
    F: int = option(
        1024,
        "bins that the network hears, from the lowest; a multiple of 64",
        minimum=64,
        when="1536 for up to 16.5 kHz instead of 11, in half as much time again",
    )


@dataclass(frozen=True)
class MixedSongSettings:
    """What songs are made of that nobody recorded as such, and how many."""

    speech: str = option("./dataset/clean.train", "speech: list, manifest or folder")
    music: str = option("./dataset/music.train", "music or noise: list, manifest or folder")
    train_dataset: str = option("./dataset/songs", "new folder for the songs")
    num_songs: int = option(60, "songs to make", minimum=1, maximum=99999)
    song_seconds: float = option(60.0, "length of each", unit="s", minimum=1, maximum=3600)
    snrs: tuple[float, ...] = option(
        (-5.0, 0.0, 5.0), "speech against music, of which each song draws one", unit="dB"
    )
    music_speeds: tuple[float, ...] = option(
        (1.0,),
        "how many times faster and higher the music is played; each song draws one",
        when="few pieces of music: at several speeds they are as good as several pieces",
    )
    music_layers: int = option(
        1,
        "most pieces that play at once; each song draws how many",
        minimum=1,
        maximum=10,
        when="2 or 3 where there are few pieces",
    )
    music_tone_db: float = option(
        0.0,
        "how far the music's octaves are raised or lowered at random, so that instruments sound "
        "like others",
        unit="dB",
        minimum=0,
        maximum=40,
        when="6 to 10 where there are few pieces",
    )
    sample_rate: int = option(16000, "rate of the songs", unit="Hz", minimum=8000, maximum=192000)
    seed: int = option(1, "seed of all draws", minimum=0)


@dataclass(frozen=True)
class StemSettings:
    """How the network's output becomes stems."""

    mask_extension: MaskExtension = option(
        "average",
        "bins above F: each stem gets its average share of the frame, or zeros: none gets any",
        when="`zeros` where hiss in the vocals disturbs; the stems then no longer sum to the "
        "recording above F",
    )
    mask_exponent: float = option(
        2.0,
        "a stem's share of a bin is its magnitude to this power: 2 shares by powers",
        minimum=0.5,
        maximum=4,
        when="`1`, by magnitudes, gave up to 0.5 dB more of either stem on our dev songs; "
        "`2` lets less of the other stem through",
    )


def check(settings: SongSettings) -> None:
    """Refuse settings that do not go together.

    Raises:
        InputError: names the option, the value and what is possible.
    """
    multiple = 2**HALVINGS
    for name, value in (("T", settings.T), ("F", settings.F)):
        if value % multiple:
            below = value - value % multiple
            raise InputError(
                f"--{name} {value}: the network halves it {HALVINGS} times, so that it has to be a "
                f"multiple of {multiple}; give {below} or {below + multiple}"
            )
    bins = settings.frame_length // 2 + 1
    if bins < settings.F:
        raise InputError(
            f"--F {settings.F}: frames of {settings.frame_length} samples have {bins} bins; "
            f"give at most {bins - bins % multiple}, or a larger --frame_length"
        )
    if 2 * settings.frame_step > settings.frame_length:
        raise InputError(
            f"--frame_step {settings.frame_step}: at most half of --frame_length "
            f"{settings.frame_length}, or no sound can be put together again from the frames"
        )
    shortest = settings.frame_length / settings.sample_rate
    if settings.chunk_duration < shortest:
        raise InputError(
            f"--chunk_duration {settings.chunk_duration:g}: a single frame lasts {shortest:.2f} s"
        )
