"""Features, effects and resampling on one core, against other libraries.

Each library computes the same kind of features of the same clip in a process of its own that may
use one core and one thread, through the functions that its users call. Where the definitions agree,
the values are compared too.
"""

import contextlib
import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import (
    MeasuringSettings,
    Report,
    Section,
    Spread,
    interleaved,
    number,
    ratio,
    versions_of,
)
from benchmarks.peers import PeerSettings, Side, environment
from data_utils.settings import option
from model_utils.options import Options

REQUIREMENTS = (
    "kaldi-native-fbank==1.23.0",
    "librosa==0.11.0",
    "numpy==2.4.6",
    "python_speech_features==0.6",
    "resampy==0.4.3",
    "scipy==1.17.1",
    "setuptools==80.9.0",  # resampy looks for pkg_resources
    "soxr==1.1.0",
)
"""The libraries that are compared, and versions of what they stand on: ours, where we have them."""

_FEATURES = {
    "linear": ("librosa",),
    "fbank": ("kaldi-native-fbank", "kaldi-native-fbank as here", "librosa"),
    "mfcc": ("python_speech_features", "librosa"),
}
"""Who computes what, beside us."""

_SAME = (
    ("linear", "librosa"),
    ("fbank", "kaldi-native-fbank as here"),
    ("fbank", "librosa"),
    ("mfcc", "python_speech_features"),
)
"""Whose definition is ours."""

_EDGE = 6
"""Frames at either end of mfcc that other ends show in: it pads the last frame, slopes reach on."""

_RATES = (8000, 44100, 48000)
_METHODS = (
    *("resampy kaiser_best", "resampy kaiser_fast"),
    *("librosa soxr_hq", "librosa polyphase"),
)
_KEPT_HZ, _LOST_HZ = 1000, 10000
"""A tone that 16 kHz can carry, and one that they cannot."""


@dataclass(frozen=True)
class FeaturesSettings:
    """How long is measured, with what."""

    clip_seconds: float = option(10.0, "length of the clip", unit="s", minimum=0.5, maximum=600)
    seconds: float = option(
        0.5, "how long each measurement lasts at least", unit="s", minimum=0, maximum=60
    )


SETTINGS = (MeasuringSettings, FeaturesSettings, PeerSettings)


def measure(options: Options) -> Report:
    """The three tables: features, effects, resampling."""
    settings, rounds = options[FeaturesSettings], options[MeasuringSettings].rounds
    python = None
    if options[PeerSettings].peers:
        python = environment("features", REQUIREMENTS)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        ours = stack.enter_context(Side("benchmarks.features_ours", cores=1))
        peers = None
        if python is not None:
            peers = stack.enter_context(Side("benchmarks.features_peers", python=python, cores=1))
        stage = _Stage(ours, peers, folder, settings, rounds)
        report = Report(versions=versions_of("scipy", "soxr"))
        _features(stage, report)
        _effects(stage, report)
        _resampling(stage, report)
        if peers is not None:
            names = [requirement.partition("==")[0] for requirement in REQUIREMENTS]
            report.peers = peers("versions", packages=names)
    return report


@dataclass(frozen=True)
class _Stage:
    """Who is measured, with what."""

    ours: Side
    peers: Side | None
    folder: Path
    settings: FeaturesSettings
    rounds: int

    def clip(self, name: str, samples: Any) -> Path:
        """A file of samples."""
        import numpy as np

        path = self.folder / f"{name}.npy"
        np.save(path, samples)
        return path

    def rates(self, named: Mapping[str, tuple[str, Path]]) -> dict[str, list[float]]:
        """Seconds of audio in a second of each, ours and the peers', for the clip given with it.

        Args:
            named: by the name in the table, that of the side and the clip.
        """
        contestants: dict[str, Callable[[], float]] = {}
        for shown, (name, clip) in named.items():
            if side := self.side(shown):
                contestants[shown] = functools.partial(
                    side,
                    "measure",
                    name=name,
                    clip=str(clip),
                    amount=self.settings.clip_seconds,
                    seconds=self.settings.seconds,
                )
        return interleaved(contestants, self.rounds)

    def output(self, shown: str, name: str, clip: Path) -> Any:
        """What one of them makes of the clip: an array."""
        import numpy as np

        side, path = self.side(shown), self.folder / "output.npy"
        assert side is not None, "peers that are left out have no output"
        side("save", name=name, clip=str(clip), path=str(path))
        return np.load(path)

    def side(self, shown: str) -> Side | None:
        """Who has this name in the table; None of a peer where they are left out."""
        return self.ours if shown.startswith("ours") else self.peers


def _features(stage: _Stage, report: Report) -> None:
    import numpy as np

    from benchmarks.sounds import syllables

    clip = stage.clip("clip", syllables(stage.settings.clip_seconds))
    named = {}
    for kind, others in _FEATURES.items():
        named[f"ours {kind}"] = (kind, clip)
        named |= {f"{kind} {other}": (f"{kind} {other}", clip) for other in others}
    named["ours linear with loudness"] = ("loudness and linear", clip)
    rates = stage.rates(named)
    rows = []
    for kind, others in _FEATURES.items():
        mine = rates[f"ours {kind}"]
        rows.append((f"{kind}, ours", f"{Spread.of(mine)}", "1", ""))
        for other in others if stage.peers else ():
            name = f"{kind} {other}"
            times, difference = ratio(mine, rates[name]), "another definition"
            if (kind, other) in _SAME:
                own, its = stage.output("ours", kind, clip), stage.output(name, name, clip)
                edge = _EDGE if kind == "mfcc" else 0
                last = min(len(own), len(its)) - edge
                difference = number(float(np.abs(own[edge:last] - its[edge:last]).max()))
                report.figures[f"difference {kind} to {other}"] = difference
            rows.append((f"{kind}, {other}", f"{Spread.of(rates[name])}", f"{times}", difference))
            report.figures[f"features {kind} to {other}"] = f"{number(times.median)}x"
    loud = rates["ours linear with loudness"]
    rows.append(("linear, ours, loudness brought to -20 dBFS", f"{Spread.of(loud)}", "", ""))
    report.sections.append(
        Section(
            "Features",
            "Windows of 20 ms every 10 ms, 80 mel bands, 13 cepstra with two orders of slopes. "
            "`as here` is kaldi-native-fbank told to use our window, filters and unit. The "
            "difference is the largest of any value, all of which are logarithms.",
            ("features", "audio-seconds per second", "ours is so many times", "difference"),
            rows,
        )
    )


def _effects(stage: _Stage, report: Report) -> None:
    from benchmarks.sounds import syllables, write_effect_sounds

    clip = stage.clip("clip", syllables(stage.settings.clip_seconds))
    noises, room = write_effect_sounds(stage.folder)
    own = {
        "noise": {"noise_manifest_path": str(noises)},
        "impulse": {"impulse_manifest_path": str(room)},
    }
    effects: dict[str, dict[str, Any]] = stage.ours("effects")
    contestants = {
        kind: functools.partial(
            stage.ours,
            "effect",
            kind=kind,
            params={**params, **own.get(kind, {})},
            clip=str(clip),
            amount=stage.settings.clip_seconds,
            seconds=stage.settings.seconds,
        )
        for kind, params in effects.items()
    }
    costs = {
        kind: Spread.of([1000 / rate for rate in rates])
        for kind, rates in interleaved(contestants, stage.rounds).items()
    }
    report.sections.append(
        Section(
            "Effects",
            "Milliseconds for a second of audio, each effect applied every time with its default "
            "parameters; the noises and the room's echo are in memory after the first draws.",
            ("effect", "ms per second of audio"),
            [(kind, str(cost)) for kind, cost in costs.items()],
        )
    )
    for kind, cost in costs.items():
        report.figures[f"effect {kind}"] = f"{number(cost.median)} ms per second of audio"


def _resampling(stage: _Stage, report: Report) -> None:
    from benchmarks.sounds import syllables

    named = {}
    for rate in _RATES:
        clip = stage.clip(f"clip_{rate}", syllables(stage.settings.clip_seconds, rate))
        named[f"ours soxr {rate}"] = (f"resample {rate} soxr", clip)
        named |= {f"{method} {rate}": (f"resample {rate} {method}", clip) for method in _METHODS}
    rates = stage.rates(named)
    rows = []
    for rate in _RATES:
        mine = rates[f"ours soxr {rate}"]
        for method in ("ours soxr", *(_METHODS if stage.peers else ())):
            shown = f"{method} {rate}"
            times = ratio(mine, rates[shown])
            rows.append(
                (
                    f"{rate} Hz, {method}",
                    f"{Spread.of(rates[shown])}",
                    "1" if method == "ours soxr" else f"{times}",
                    *_faithfulness(stage, shown, named[shown][0], rate),
                )
            )
            if method != "ours soxr":
                report.figures[f"resample {rate} to {method}"] = f"{number(times.median)}x"
    report.sections.append(
        Section(
            "Resampling to 16 kHz",
            f"A tone of {_KEPT_HZ} Hz should come out as it went in: what differs, in dB of the "
            f"tone. One of {_LOST_HZ} Hz, which 16 kHz cannot carry, should leave nothing: what "
            f"it leaves.",
            ("from", "audio-seconds per second", "ours is so many times", "error", "alias"),
            rows,
        )
    )


def _faithfulness(stage: _Stage, shown: str, name: str, rate: int) -> Sequence[str]:
    """What is wrong with a tone that stays, and what is left of one that cannot, in dB."""
    import numpy as np

    from data_utils.audio import SAMPLE_RATE, level_db

    def tone(hertz: int, at: int) -> Any:
        return np.sin(2 * np.pi * hertz * np.arange(at) / at).astype(np.float32)  # a second

    middle = slice(SAMPLE_RATE // 4, 3 * SAMPLE_RATE // 4)  # filters ring at the ends
    wanted = tone(_KEPT_HZ, SAMPLE_RATE)[middle]
    found = stage.output(shown, name, stage.clip("tone", tone(_KEPT_HZ, rate)))[middle]
    error = f"{level_db(found - wanted) - level_db(wanted):.0f} dB"
    if rate < 2 * _LOST_HZ:
        return error, ""
    left = stage.output(shown, name, stage.clip("tone", tone(_LOST_HZ, rate)))[middle]
    return error, f"{level_db(left) - level_db(wanted):.0f} dB"
