"""What can be wrong with a corpus, looked for before training: every recording is read once.

Nothing here stops at a bad recording: each is a finding, and the next one is read.
"""

import hashlib
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_utils import features
from data_utils.audio import (
    MAX_GAIN_DB,
    SAMPLE_RATE,
    SILENCE_DB,
    TOLERANCE,
    AudioError,
    level_db,
    read_audio,
)
from data_utils.dataset import required_frames
from data_utils.manifest import Manifest, Utterance
from data_utils.settings import FeatureSettings
from data_utils.text import Vocabulary, describe_characters, is_chinese, normalize_text
from data_utils.workers import available_cores, spawned_map

CHUNK = 32
"""Utterances that a process is sent at a time."""
FULL_SCALE = 0.99
"""From here on a sample counts as at the limit; 8-bit recordings end at 0.992."""
CLIPPED_SHARE = 5e-4
"""A recording is clipped where at least this share of it lies in runs of `CLIPPED_RUN` samples at
the limit: a single one is heard by nobody."""
CLIPPED_RUN = 3
ODD_PACE = 3.0
"""Speech is odd that is so many times faster or slower than the median."""
FEW_TO_JUDGE = 20
"""Of fewer utterances there is no median worth the name."""
KEPT_FINDINGS = 1000
"""Of each kind so many are kept in each split; the others are counted."""


@dataclass(frozen=True)
class Kind:
    """A kind of finding."""

    name: str
    advice: str
    """What it means for the training, and what to do."""


MISSING = Kind("file missing", "Left out of training. Mend the path, or make the manifest again.")
UNREADABLE = Kind(
    "cannot be read", "Left out of training. Fetch or convert the recording again, or remove it."
)
SILENT = Kind("silent", "Left out of training: below what a converter's noise alone would give.")
NO_LABEL = Kind("no label", "Left out of training: nothing of the transcript is in the vocabulary.")
NO_FIT = Kind(
    "labels do not fit",
    "Left out of training: CTC needs an output frame for each label and one between two that "
    "repeat. Mostly a transcript of another recording, or one that was cut.",
)
OUTSIDE = Kind(
    "outside the durations", "Left out of training by --min_duration and --max_duration."
)
DURATION = Kind(
    "duration differs",
    "The manifest promises another length than the file has. Make the manifest again.",
)
FAINT = Kind(
    "faint",
    "So soft that normalisation to --target_db cannot lift it all the way; mostly noise is left.",
)
CLIPPED = Kind(
    "clipped",
    f"{CLIPPED_SHARE:.2%} of the samples or more lie in runs at full scale: recorded too loud.",
)
RATE = Kind(
    "other sample rate",
    "Resampled to 16 kHz like all others. Of a lower rate the upper frequencies are missing: "
    "train on such recordings only if the model shall hear such.",
)
SPEED = Kind(
    "oddly fast or slow",
    f"Characters per second more than {ODD_PACE:g} times above or below the median of its script: "
    "often a transcript of another recording, or one of a part only.",
)
UNKNOWN_CHARACTERS = Kind(
    "out of vocabulary",
    "Characters that the vocabulary lacks: trained on as <unk>, or dropped with --unknown=drop; "
    "in dev and test they are errors that no model can avoid.",
)
TWICE = Kind(
    "twice in a split", "The same path or the same sound again: it counts twice. Remove one."
)
SHARED = Kind(
    "in another split too",
    "The same path or the same sound as in another split: scores on it flatter. Remove one.",
)
SPEAKER = Kind(
    "speaker in train too",
    "Scores say nothing of voices that were never heard, unless that is meant.",
)
SENTENCE = Kind(
    "sentence in train too",
    "Scores say little of sentences that were never heard. Normal for commands and digits, "
    "a leak for read text.",
)

KINDS = (
    *(MISSING, UNREADABLE, SILENT, NO_LABEL, NO_FIT, OUTSIDE, DURATION, FAINT, CLIPPED, RATE),
    *(SPEED, UNKNOWN_CHARACTERS, TWICE, SHARED, SPEAKER, SENTENCE),
)
"""All of them, in the order of reports."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    where: str
    """Manifest and line."""
    audio: str
    detail: str


@dataclass
class SplitCheck:
    """What one split is like, and what was found in it."""

    name: str
    manifest: Manifest
    findings: dict[Kind, list[Finding]] = field(default_factory=lambda: {k: [] for k in KINDS})
    """The first `KEPT_FINDINGS` of each kind."""
    counts: Counter[Kind] = field(default_factory=Counter)
    """How many there are."""
    characters: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    """Characters that the vocabulary lacks."""
    speakers: Counter[str] = field(default_factory=Counter)
    """Utterances of each speaker who is named."""
    seconds: list[float] = field(default_factory=list)
    """Of each utterance, as it is read; as the manifest has it where it cannot be."""
    levels: list[float] = field(default_factory=list)
    """dBFS of each utterance that can be read; NaN of others."""
    rates: list[int] = field(default_factory=list)
    """Hz of each; 0 of those that cannot be read."""
    speeds: list[float] = field(default_factory=list)
    """Characters per second of each; NaN where it cannot be read."""
    scripts: list[str] = field(default_factory=list)
    """What most characters of each are, "Chinese" or "other": the former take longer to say."""
    paces: list[float] = field(default_factory=list)
    """Speed of each as a multiple of the median of its script; NaN where nobody can tell."""
    needs: list[float] = field(default_factory=list)
    """Share of its output frames that each utterance's labels need; above 1 they do not fit."""

    def add(self, kind: Kind, index: int, audio: str, detail: str) -> None:
        """Note a finding about an utterance."""
        self.counts[kind] += 1
        if len(self.findings[kind]) < KEPT_FINDINGS:
            self.findings[kind].append(Finding(self.manifest.where(index), audio, detail))

    @property
    def hours(self) -> float:
        """Of all utterances."""
        return sum(self.seconds) / 3600


@dataclass(frozen=True)
class Standard:
    """What utterances are held against."""

    vocabulary: Vocabulary
    features: FeatureSettings
    time_reduction: int
    """Feature frames to one output frame of the network."""
    unknown: Literal["unk", "drop"] = "unk"
    min_duration: float = 0.0
    max_duration: float = math.inf


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a worker found out about one utterance."""

    audio: str
    key: str
    speaker: str | None
    text: bytes
    """Digest of the normalised transcript."""
    characters: int
    script: str
    unknown: str
    need: float
    seconds: float
    rate: int
    level: float
    sound: bytes
    """Digest of the samples; empty where they cannot be used."""
    found: tuple[tuple[int, str], ...]
    """Number in `KINDS` and detail."""


def check_corpus(
    splits: Mapping[str, Manifest],
    standard: Standard,
    *,
    num_workers: int | None = None,
    progress: Callable[[int], object] = lambda utterances: None,
) -> list[SplitCheck]:
    """Read every recording of every split once, and say what is odd.

    The result does not depend on the number of workers.

    Args:
        splits: by name; "train" first, others are compared with it.
        standard: vocabulary, features and bounds of the training.
        num_workers: processes; None: one for each core. 0 or 1 reads in this process.
        progress: called with the number of utterances just read.

    Raises:
        InputError: a worker process died.
    """
    checks = {name: SplitCheck(name, manifest) for name, manifest in splits.items()}
    chunks = [
        (name, range(first, min(first + CHUNK, len(manifest))))
        for name, manifest in splits.items()
        for first in range(0, len(manifest), CHUNK)
    ]
    workers = available_cores() if num_workers is None else num_workers
    before = _Before()
    for (name, chunk), readings in zip(
        chunks, _read(chunks, splits, standard, workers), strict=True
    ):
        for index, reading in zip(chunk, readings, strict=True):
            _take_in(checks[name], index, reading)
            before.compare(checks[name], index, reading)
        progress(len(chunk))
    found = list(checks.values())
    _judge_rates(found)
    _judge_speeds(found)
    before.judge_speakers(found)
    return found


def _take_in(check: SplitCheck, index: int, reading: _Reading) -> None:
    """What concerns the utterance alone."""
    for kind, detail in reading.found:
        check.add(KINDS[kind], index, reading.audio, detail)
    check.characters += reading.characters
    check.unknown.update(reading.unknown)
    if reading.speaker is not None:
        check.speakers[reading.speaker] += 1
    check.seconds.append(reading.seconds)
    check.levels.append(reading.level)
    check.rates.append(reading.rate)
    check.needs.append(reading.need)
    usable = reading.sound and reading.characters
    check.scripts.append(reading.script)
    check.speeds.append(reading.characters / reading.seconds if usable else math.nan)


class _Before:
    """The utterances that came before: which of them a later one repeats."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[SplitCheck, int]] = {}
        self._sounds: dict[bytes, tuple[SplitCheck, int, bytes]] = {}
        self._texts: dict[bytes, int] = {}
        self._speakers: dict[tuple[str, str], int] = {}

    def compare(self, check: SplitCheck, index: int, reading: _Reading) -> None:
        """Note what of the utterance was there before, then remember it."""
        if reading.key in self._keys:
            other, place = self._keys[reading.key]
            kind = TWICE if other is check else SHARED
            where = other.manifest.where(place)
            check.add(kind, index, reading.audio, f"the same file as {where}")
        elif reading.sound and reading.sound in self._sounds:
            other, place, text = self._sounds[reading.sound]
            kind = TWICE if other is check else SHARED
            where = other.manifest.where(place)
            same = "" if text == reading.text else ", with another transcript"
            check.add(kind, index, reading.audio, f"the same sound as {where}{same}")
        if check.name != "train" and reading.characters and reading.text in self._texts:
            number = self._texts[reading.text]
            times = "once" if number == 1 else f"{number} times"
            check.add(SENTENCE, index, reading.audio, f"{times} in train")
        self._keys.setdefault(reading.key, (check, index))
        if reading.sound:
            self._sounds.setdefault(reading.sound, (check, index, reading.text))
        if check.name == "train":
            self._texts[reading.text] = self._texts.get(reading.text, 0) + 1
        if reading.speaker is not None:
            self._speakers.setdefault((check.name, reading.speaker), index)

    def judge_speakers(self, checks: Sequence[SplitCheck]) -> None:
        """Note the speakers of other splits who are in train too."""
        train = next((check for check in checks if check.name == "train"), None)
        for check in checks:
            if train is None or check is train:
                continue
            for speaker in sorted(check.speakers.keys() & train.speakers.keys()):
                index = self._speakers[check.name, speaker]
                own, there = check.speakers[speaker], train.speakers[speaker]
                detail = f"{speaker}: {own} utterances here, {there} in train"
                check.add(SPEAKER, index, check.manifest[index].audio, detail)


def _judge_rates(checks: Sequence[SplitCheck]) -> None:
    """Note the recordings whose sample rate is not the usual one."""
    counts = Counter(rate for check in checks for rate in check.rates if rate)
    if not counts:
        return
    usual = max(counts, key=lambda rate: (counts[rate], rate))
    for check in checks:
        for index, rate in enumerate(check.rates):
            if rate not in (0, usual):
                detail = f"{rate} Hz, most have {usual}"
                check.add(RATE, index, check.manifest[index].audio, detail)


def _judge_speeds(checks: Sequence[SplitCheck]) -> None:
    """Note the utterances that are spoken much faster or slower than others in their script."""
    speeds: dict[str, list[float]] = {"Chinese": [], "other": []}
    for check in checks:
        for script, speed in zip(check.scripts, check.speeds, strict=True):
            if math.isfinite(speed):
                speeds[script].append(speed)
    medians = {
        script: statistics.median(known)
        for script, known in speeds.items()
        if len(known) >= FEW_TO_JUDGE
    }
    for check in checks:
        for index, (script, speed) in enumerate(zip(check.scripts, check.speeds, strict=True)):
            median = medians.get(script, math.nan)
            check.paces.append(speed / median)
            if check.paces[-1] > ODD_PACE or check.paces[-1] < 1 / ODD_PACE:
                detail = f"{speed:.1f} characters a second, the median is {median:.1f}"
                check.add(SPEED, index, check.manifest[index].audio, detail)


def _read(
    chunks: Sequence[tuple[str, range]],
    splits: Mapping[str, Manifest],
    standard: Standard,
    num_workers: int,
) -> Iterator[list[_Reading]]:
    """The readings of each chunk, in order."""
    num_workers = min(num_workers, len(chunks))
    if num_workers <= 1:
        for name, chunk in chunks:
            yield [_reading(splits[name][index], standard, name == "train") for index in chunk]
        return
    yield from spawned_map(
        _read_in_worker,
        chunks,
        num_workers,
        cure="nothing was written; try again with a smaller --num_workers",
        initializer=_start_worker,
        arguments=(dict(splits), standard),
    )


_work: tuple[Mapping[str, Manifest], Standard]
"""What a worker process reads; set once as it starts, so that it is not sent with each chunk."""


def _start_worker(splits: Mapping[str, Manifest], standard: Standard) -> None:
    global _work
    _work = splits, standard


def _read_in_worker(item: tuple[str, range]) -> list[_Reading]:
    (name, chunk), (splits, standard) = item, _work
    return [_reading(splits[name][index], standard, name == "train") for index in chunk]


def _reading(utterance: Utterance, standard: Standard, trained: bool) -> _Reading:
    """Read one utterance's recording and transcript.

    Args:
        utterance: of a manifest.
        standard: what it is held against.
        trained: whether it is trained on, so that its duration has bounds.
    """
    found: list[tuple[Kind, str]] = []
    sound, seconds, rate, level = _sound(utterance, standard, found)
    text, _ = normalize_text(utterance.text)
    labels = standard.vocabulary.encode(text, standard.unknown)
    need = _need(labels, utterance, standard, found)
    unknown = "".join(standard.vocabulary.unknown_in(text))
    if unknown:
        found.append((UNKNOWN_CHARACTERS, describe_characters(Counter(unknown))))
    low, high = (np.float32(x) for x in (standard.min_duration, standard.max_duration))
    if trained and not low <= np.float32(utterance.duration) <= high:
        found.append((OUTSIDE, f"lasts {utterance.duration:.2f} s"))
    return _Reading(
        utterance.audio,
        f"{utterance.key} {utterance.end}",
        utterance.speaker or None,  # an empty name is nobody's
        _digest(text.encode("utf-8", "surrogatepass")),
        len(text),
        "Chinese" if 2 * sum(map(is_chinese, text)) > len(text) else "other",
        unknown,
        need,
        seconds,
        rate,
        level,
        sound,
        tuple((KINDS.index(kind), detail) for kind, detail in found),
    )


def _sound(
    utterance: Utterance, standard: Standard, found: list[tuple[Kind, str]]
) -> tuple[bytes, float, int, float]:
    """Digest, seconds, rate and level of an utterance's samples; what is odd goes into `found`."""
    try:
        audio = read_audio(
            utterance.audio, start=utterance.start or 0.0, end=utterance.end, rate=None
        )
    except AudioError as error:
        reason = str(error).removeprefix(f"{utterance.audio}: ")
        found.append((MISSING if reason == "file not found" else UNREADABLE, reason))
        return b"", utterance.duration, 0, math.nan
    except Exception as error:  # a defect of a codec must not cost the other recordings
        found.append((UNREADABLE, f"{type(error).__name__}: {error}"))
        return b"", utterance.duration, 0, math.nan
    level = level_db(audio.samples)
    if abs(audio.duration - utterance.duration) > TOLERANCE:
        detail = f"{audio.duration:.2f} s, {utterance.duration:.2f} s in the manifest"
        found.append((DURATION, detail))
    if level < SILENCE_DB:
        found.append((SILENT, f"{level:.0f} dBFS"))
        return b"", audio.duration, audio.rate, math.nan
    if level < standard.features.target_db - MAX_GAIN_DB:
        found.append((FAINT, f"{level:.0f} dBFS"))
    share = clipped_share(audio.samples)
    if share >= CLIPPED_SHARE:
        found.append((CLIPPED, f"{share:.2%} of its samples"))
    digest = _digest(audio.samples.tobytes() + audio.rate.to_bytes(4, "little"))
    return digest, audio.duration, audio.rate, level


def _need(
    labels: Sequence[int],
    utterance: Utterance,
    standard: Standard,
    found: list[tuple[Kind, str]],
) -> float:
    """Share of its output frames that the labels need, by the manifest's duration, as training."""
    num_samples = round(utterance.duration * SAMPLE_RATE)
    frames = features.num_frames(num_samples, standard.features)
    given, needed = -(-frames // standard.time_reduction), required_frames(labels)
    if not labels:
        found.append((NO_LABEL, f"transcript: {utterance.text!r}"))
    elif needed > given:
        found.append(
            (
                NO_FIT,
                f"{len(labels)} labels need {needed} output frames, its "
                f"{utterance.duration:.2f} s give {given}",
            )
        )
    return needed / max(1, given)


def clipped_share(samples: NDArray[np.float32]) -> float:
    """Share of `samples` `[n]` in runs of `CLIPPED_RUN` or more at full scale."""
    loud = np.abs(samples) >= FULL_SCALE
    edges = np.flatnonzero(np.diff(loud.astype(np.int8), prepend=0, append=0))
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= CLIPPED_RUN].sum()) / max(1, len(samples))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
