"""Generated speech: a corpus of clips spoken by espeak-ng, laid out as a user lays out recordings.

The engine comes with the wheel `espeakng-loader`, library and voices inside. It is GPL-3.0 software
and an optional extra (`quickstart`): the corpus needs it, training never does.
"""

import ctypes
import functools
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from data_utils import sentences
from data_utils.atomic import write_atomically
from data_utils.audio import SAMPLE_RATE, Samples, level_db, read_audio, resample
from data_utils.errors import InputError
from data_utils.preparation.annotation import annotations_in
from data_utils.settings import GenerationSettings
from data_utils.workers import available_cores, spawned_map

RECIPE = 1
"""Raised whenever the same settings give other clips; stored beside the corpus."""

SPLITS = ("train", "dev", "test")

# Of the engine's 104 variants, these sound like different people who speak Mandarin. Left out:
# - whispers, and voices with flat or inverted pitch, which have no tones: AnxiousAndy, aunty,
#   caleb, robosoft6, robosoft8, whisper, whisperf;
# - those in which fewer than 85 % of 20 words were nearest to the same word of all other voices
#   (mel cepstra): Alicia, Demonic, kaukovalta, Lee, shelby, zac;
# - near copies, less than 4.5 dB (RMS over a mel spectrogram; the median pair has 15 dB) from a
#   voice kept: splits would share a voice under two names.
# fmt: off
VOICES = (
    "adam", "Alex", "Andrea", "Andy", "anika", "anikaRobot", "Annie", "announcer", "antonio",
    "belinda", "boris", "croak", "david", "Denis", "Diogo", "ed", "f1", "f2", "f3",
    "f4", "f5", "Gene", "Gene2", "grandma", "grandpa", "gustave", "Henrique", "ian", "iven",
    "iven3", "Jacky", "john", "klatt", "klatt4", "linda", "m1", "m2", "m4", "m5", "m6", "m7",
    "m8", "marcelo", "Marco", "Mario", "max", "Michael", "michel", "miguel", "Mike", "mike2",
    "Mr serious", "Nguyen", "norbert", "pablo", "paul", "pedro", "quincy", "RicishayMax",
    "RicishayMax2", "rob", "robert", "robosoft", "robosoft2", "robosoft4", "robosoft7",
    "sandro", "steph", "Storm", "travis", "Tweaky", "UniRobot", "victor",
)
# fmt: on
_NUM_HELD_OUT_VOICES = 8
"""Voices of dev, and of test."""

_INSTALL = 'run make, or pip install -e ".[quickstart]"'
_GO_ON = "finished clips are kept; the same command goes on, a smaller --num_workers needs less"
_NOISE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Clip:
    """One utterance to generate."""

    split: str
    voice: str
    number: int
    """Position in its split, from 0."""
    text: str

    @property
    def path(self) -> str:
        """Where it lies in the output folder."""
        return f"audio/{self.split}/{self.speaker}/{self.number:05d}.wav"

    @property
    def speaker(self) -> str:
        """Name of the voice as annotations give it."""
        return self.voice.lower().replace(" ", "_")


def generate_corpus(settings: GenerationSettings) -> list[Clip]:
    """Speak the corpus that `settings` describe, and return its clips.

    Writes `annotation/{train,dev,test}.txt` (path, text, speaker), 16-bit clips of 16 kHz in
    `audio/<split>/<speaker>/`, and noises in `audio/noise/`. The same settings give the same bytes
    for any number of workers. Clips that exist are kept, so that an interrupted run goes on.

    Raises:
        InputError: the engine is not installed, the text cannot be used, the folder holds a corpus
            of other settings or the user's own annotation, or a worker process died.
    """
    engine = _engine_version()
    clips = plan(settings)
    output = Path(settings.output_dir).resolve()
    annotation = _annotation(clips, output)
    _claim(output, settings, engine, annotation)
    _speak_all(clips, output, settings)
    _write_noises(clips, output, settings.seed)
    with write_atomically(*annotation) as temporaries:
        for path, content in zip(temporaries, annotation.values(), strict=True):
            path.write_bytes(content)
    return clips


def plan(settings: GenerationSettings) -> list[Clip]:
    """Who says what: voices disjoint between the splits, and sentences kept from training.

    In dev and in test, `unseen_share` of the clips say sentences that are in no other split; the
    others say sentences that training voices say too.

    Raises:
        InputError: the text cannot be read, or has too few sentences to keep any from training.
    """
    rng = np.random.default_rng([settings.seed])
    voices = [VOICES[i] for i in rng.permutation(len(VOICES))]
    held_out = _NUM_HELD_OUT_VOICES
    voices_of = {
        "test": voices[:held_out],
        "dev": voices[held_out : 2 * held_out],
        "train": voices[2 * held_out :],
    }
    counts = {"train": settings.num_train, "dev": settings.num_dev, "test": settings.num_test}
    num_unseen = {
        split: round(settings.unseen_share * counts[split]) if split != "train" else 0
        for split in SPLITS
    }
    if settings.text is None:
        # Half as many sentences as training clips: each is said by about two voices.
        total = -(-settings.num_train // 2) + sum(num_unseen.values())
        pool = sentences.from_grammar(total, rng)
        num_reserved = num_unseen
    else:
        lines = sentences.from_file(settings.text)
        pool = [lines[i] for i in rng.permutation(len(lines))]
        most = max(1, len(pool) // 10)
        num_reserved = {split: min(num_unseen[split], most) for split in SPLITS}
    reserved: dict[str, list[str]] = {}
    for split in SPLITS:
        reserved[split], pool = pool[: num_reserved[split]], pool[num_reserved[split] :]
    if not pool:
        raise InputError(
            f"{settings.text}: too few sentences to keep some from training; "
            "add some, or give --unseen_share=0"
        )
    common = pool[: settings.num_train]  # what training voices really say
    clips = []
    for split in SPLITS:
        texts = list(_cycle(reserved[split], num_unseen[split]))
        texts += _cycle(
            [common[i] for i in rng.permutation(len(common))], counts[split] - len(texts)
        )
        for number, i in enumerate(rng.permutation(len(texts))):
            voice = voices_of[split][number % len(voices_of[split])]
            clips.append(Clip(split, voice, number, texts[i]))
    return clips


def _cycle(items: Sequence[str], count: int) -> Iterator[str]:
    return (items[i % len(items)] for i in range(count))


def _annotation(clips: Sequence[Clip], output: Path) -> dict[Path, bytes]:
    """The content of each annotation file."""
    lines = defaultdict(list)
    for clip in clips:
        lines[clip.split].append(f"{clip.path}\t{clip.text}\t{clip.speaker}\n")
    return {
        output / "annotation" / f"{split}.txt": "".join(lines[split]).encode()
        for split in SPLITS
        if lines[split]
    }


def _check_unmixed(annotation: Mapping[Path, bytes], output: Path) -> None:
    """Refuse a folder where the user's own annotation would be overwritten or pushed aside.

    What is put beside a finished corpus is another matter: then nothing more is written.
    """
    present = {path: path.read_bytes() for path in annotations_in(output / "annotation")}
    if annotation.items() <= present.items():
        return
    for path, content in present.items():
        if annotation.get(path) != content:
            raise InputError(
                f"{path}: not of the corpus to be generated, and would be overwritten or left out "
                "of training; choose another --output_dir, or move it away"
            )


def _claim(
    output: Path, settings: GenerationSettings, engine: str, annotation: Mapping[Path, bytes]
) -> None:
    """Mark `output` as the place of this corpus, unless it is that of another."""
    described = {"recipe": RECIPE, "engine": engine} | asdict(settings)
    del described["output_dir"], described["num_workers"]
    if settings.text is not None:
        content = Path(settings.text).read_bytes()
        described["text"] = hashlib.blake2b(content, digest_size=16).hexdigest()
    record = output / "generated.json"
    if record.exists():
        _compare(record, described)
    _check_unmixed(annotation, output)
    if not record.exists():
        with write_atomically(record) as [path]:
            path.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


def _compare(record: Path, described: dict[str, Any]) -> None:
    cure = f"choose another --output_dir, or remove annotation, audio and {record.name} there"
    try:
        found = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise InputError(f"{record}: cannot be read; {cure}") from None
    for name, value in described.items():
        if found.get(name) != value:
            raise InputError(
                f"{record}: the corpus there has {name} {found.get(name)}, not {value}; {cure}"
            )


def _speak_all(clips: Sequence[Clip], output: Path, settings: GenerationSettings) -> None:
    """Generate the clips that are missing, a process for each voice."""
    from tqdm import tqdm

    by_voice = defaultdict(list)
    for clip in clips:
        by_voice[clip.voice].append(clip)
    missing = [
        group
        for group in by_voice.values()
        if not all((output / clip.path).exists() for clip in group)
    ]
    done = len(clips) - sum(map(len, missing))
    threads = ThreadPoolExecutor(settings.num_workers or available_cores())
    try:
        with tqdm(
            total=len(clips), initial=done, desc="speaking", unit=" clips", disable=None
        ) as bar:
            tasks = {
                threads.submit(_speak_apart, group, output, settings.seed): len(group)
                for group in missing
            }
            for task in as_completed(tasks):
                task.result()
                bar.update(tasks[task])
    finally:
        threads.shutdown(cancel_futures=True)


def _speak_apart(clips: Sequence[Clip], output: Path, seed: int) -> None:
    """`_speak` in a process of its own.

    The engine keeps state between calls (the phases of its pitch flutter and of its roughness) that
    no call resets: only a fresh process gives the same samples again.
    """
    # An interrupt stops the parent; a voice already started is finished in a second.
    speak = functools.partial(_speak, output=output, seed=seed)
    list(spawned_map(speak, [clips], 1, cure=_GO_ON))


def _speak(clips: Sequence[Clip], output: Path, seed: int) -> None:
    """Generate all clips of one voice in order, and write those that are missing."""
    engine = Engine()
    speaker = np.random.default_rng([seed, VOICES.index(clips[0].voice)])
    usual_rate = speaker.uniform(155, 200)
    usual_pitch = speaker.uniform(38, 62)
    for clip in clips:
        rng = np.random.default_rng([seed, SPLITS.index(clip.split), clip.number])
        speech = engine.speak(
            clip.text,
            voice=f"cmn+{clip.voice}",
            rate=round(usual_rate * rng.uniform(0.9, 1.1)),
            pitch=round(usual_pitch + rng.uniform(-6, 6)),
            pitch_range=round(rng.uniform(42, 65)),
        )
        path = output / clip.path
        if not path.exists():
            _write_wav(path, recorded(resample(speech, engine.rate, SAMPLE_RATE), rng))


def recorded(speech: Samples, rng: np.random.Generator) -> Samples:
    """`speech` `[n]` at 16 kHz as a microphone in a quiet room gives it.

    The engine's silence is cut off and 0.05 to 0.3 s of it are put at either end, the level is
    -28 to -18 dBFS, and under all of it lies white noise of -65 to -45 dBFS: the engine's own
    silences are zeros, which no recording has.
    """
    heard = np.flatnonzero(np.abs(speech) > 0.003 * np.abs(speech).max())
    speech = speech[heard[0] : heard[-1] + 1]
    gain_db = rng.uniform(-28, -18) - level_db(speech)
    speech = speech * min(10 ** (gain_db / 20), 0.9 / np.abs(speech).max())
    before, after = (rng.uniform(0.05, 0.3, 2) * SAMPLE_RATE).astype(int)
    speech = np.pad(speech, (before, after))
    noise = rng.standard_normal(len(speech)) * 10 ** (rng.uniform(-65, -45) / 20)
    return (speech + noise).astype(np.float32)


def _write_wav(path: Path, samples: NDArray[np.floating]) -> None:
    """Write 16-bit samples; values beyond full scale are clipped."""
    steps = np.clip(np.round(samples * 32767), -32768, 32767).astype(np.int16)
    with write_atomically(path) as [temporary]:
        soundfile.write(temporary, steps, SAMPLE_RATE, format="WAV", subtype="PCM_16")


def _write_noises(clips: Sequence[Clip], output: Path, seed: int) -> None:
    """Eight noises of ten seconds, for augmentation; the babble is made of training clips."""
    spoken = [output / clip.path for clip in clips if clip.split == "train"]
    kinds = ["white", "pink", "pink", "brown", "brown", "hum", "babble", "babble"]
    for number, kind in enumerate(kinds):
        path = output / "audio" / "noise" / f"{kind}_{number}.wav"
        if path.exists():
            continue
        rng = np.random.default_rng([seed, len(SPLITS), number])
        count = _NOISE_SECONDS * SAMPLE_RATE
        if kind == "babble":
            samples = _babble(spoken, count, rng)
        elif kind == "hum":
            samples = _hum(count, rng)
        else:
            samples = _colored(count, {"white": 0, "pink": 1, "brown": 2}[kind], rng)
        _write_wav(path, samples * 10 ** ((-26 - level_db(samples.astype(np.float32))) / 20))


def _colored(count: int, slope: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise `[count]` whose power falls with frequency to the power of `slope`, from 20 Hz up."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    shape = np.maximum(frequencies, 20.0) ** (-slope / 2)
    shape[frequencies < 20] = 0
    return np.fft.irfft(spectrum * shape, count)


def _hum(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Mains hum `[count]`: 50 Hz and its harmonics, over a little noise."""
    seconds = np.arange(count) / SAMPLE_RATE
    harmonics = np.arange(1, 13)[:, None]
    phases = rng.uniform(0, 2 * np.pi, harmonics.shape)
    tones = np.sin(2 * np.pi * 50 * harmonics * seconds + phases) / harmonics
    return tones.sum(axis=0) + 0.05 * rng.standard_normal(count)


def _babble(
    paths: Sequence[Path], count: int, rng: np.random.Generator, num_talkers: int = 8
) -> NDArray[np.float64]:
    """`num_talkers` rows of clips, of equal level, at once: `[count]`."""
    total = np.zeros(count)
    for _ in range(num_talkers):
        row = np.zeros(0, np.float32)
        while len(row) < count:
            row = np.append(row, read_audio(paths[int(rng.integers(len(paths)))]).samples)
        total += row[:count] / np.sqrt(np.mean(np.square(row[:count])))
    return total


class Engine:
    """espeak-ng; one for a process, and the process is its own: see `_speak_apart`.

    The calls are those of its `speak_lib.h`.
    """

    _SYNCHRONOUS = 2
    _RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
    _UTF8 = 1
    # Some variants are ten times as loud as others; at the usual 100 they run into the limiter.
    _QUIET = 25

    def __init__(self) -> None:
        import espeakng_loader

        # The engine keeps the path of its data in 160 bytes: a relative one always fits.
        os.chdir(Path(espeakng_loader.get_data_path()).parent)
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self.rate: int = self._library.espeak_Initialize(self._SYNCHRONOUS, 0, b".", 0)
        if self.rate <= 0:
            raise InputError(f"the speech engine espeakng-loader does not start: {_INSTALL}")
        # It seeds the noise in breathy voices by the clock.
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self._blocks: list[bytes] = []
        kind = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = kind(self._receive)  # kept: the library holds a bare pointer to it
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if samples and count:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
        return 0

    def speak(
        self, text: str, *, voice: str, rate: int = 175, pitch: int = 50, pitch_range: int = 50
    ) -> Samples:
        """`text` as float32 samples `[n]` at `self.rate` Hz.

        Args:
            text: one sentence.
            voice: language and variant, "cmn+f3".
            rate: nominal words a minute, 80 to 450.
            pitch: 0 to 99, 50 is the voice's own.
            pitch_range: 0 to 99, 50 is the voice's own.

        Raises:
            InputError: the voice is unknown, or there is nothing in `text` that it can say.
        """
        library = self._library
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise InputError(f"the speech engine espeakng-loader has no voice {voice}: {_INSTALL}")
        parameters = {
            self._RATE: rate,
            self._VOLUME: self._QUIET,
            self._PITCH: pitch,
            self._RANGE: pitch_range,
        }
        for parameter, value in parameters.items():
            library.espeak_SetParameter(parameter, value, 0)
        self._blocks.clear()
        content = text.encode()
        size = ctypes.c_size_t(len(content) + 1)
        library.espeak_Synth(content, size, 0, 0, 0, self._UTF8, None, None)
        steps = np.frombuffer(b"".join(self._blocks), np.int16)
        samples = steps.astype(np.float32) / np.float32(32768)
        if not samples.any():
            raise InputError(f"the speech engine says nothing for {text!r}; remove the sentence")
        return samples


def _engine_version() -> str:
    try:
        return version("espeakng-loader")
    except PackageNotFoundError:
        raise InputError(
            f"the speech engine espeakng-loader is not installed: {_INSTALL}"
        ) from None
