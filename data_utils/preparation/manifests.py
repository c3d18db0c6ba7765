"""From annotation files to manifests: what `tools/create_manifest.py` does."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data_utils.atomic import check_place, write_atomically
from data_utils.errors import InputError
from data_utils.manifest import KIND, Utterance, write_manifests
from data_utils.preparation.annotation import Line, Problem, annotation_files, read_annotation
from data_utils.preparation.recordings import Recording, check_recordings, locate, recordings_below
from data_utils.preparation.splitting import assign, describe_groups, group_of
from data_utils.settings import ManifestSettings
from data_utils.text import describe_characters, normalize_text

_GIVEN = ("train", "dev", "test")
_NOISE = "noise"
_SOUNDS = (_NOISE, "impulse")
"""Manifests from which augmentation draws sounds: never a set of annotated speech."""
_SHOWN = 20

Row = tuple[Line, Utterance]


@dataclass(frozen=True)
class Preparation:
    """What became of a folder of annotations."""

    splits: dict[str, list[Utterance]]
    problems: list[Problem]
    """What was left out."""
    notes: list[str]
    """How it was divided, and what else the user should know."""
    dropped: Counter[str]
    """Characters that normalisation took out of the transcripts."""


def create_manifests(settings: ManifestSettings) -> Preparation:
    """Read the annotations, check every recording, write the manifests and print a report.

    Raises:
        InputError: there is no annotation, a file of it has a name that is taken, nothing in it can
            be used, or something else stands where a manifest is to be.
    """
    prefix = manifest_prefix(settings.manifest_prefix)
    skipped = Path(f"{prefix}skipped.txt")
    check_place(skipped)
    prepared = prepare_splits(settings)
    contents = {Path(f"{prefix}{split}"): rows for split, rows in prepared.splits.items() if rows}
    check_place(*contents, kind=KIND)
    _write_problems(skipped, prepared.problems)
    if not any(rows for split, rows in prepared.splits.items() if split != _NOISE):
        reason = "there is none"
        if prepared.problems:
            reason = f"first: {prepared.problems[0]}; all: {skipped.as_posix()}"
        raise InputError(f"{settings.annotation_path}: no line in it can be used ({reason})")
    print(report(prepared, skipped))
    write_manifests(contents)
    print("written: " + " ".join(path.as_posix() for path in contents))
    for split in (*_GIVEN, _NOISE):
        path = Path(f"{prefix}{split}")
        if path not in contents and path.exists():
            print(f"{path.as_posix()} is of an earlier run and was left as it is")
    return prepared


def manifest_prefix(given: str) -> str:
    """What stands before `train`: `dataset/manifest.`, for the folder `dataset/` too."""
    path = Path(given)
    if given.endswith(("/", "\\")) or path.is_dir():
        path /= "manifest."
    return path.as_posix().removesuffix(".") + "."


def prepare_splits(settings: ManifestSettings) -> Preparation:
    """Everything but the writing.

    Raises:
        InputError: there is no annotation, or a file of it has a name that is taken.
    """
    files = annotation_files(Path(settings.annotation_path))
    _check_names(files)
    annotations = [read_annotation(path) for path in files]
    notes = [f"{a.path.as_posix()}: {a.encoding}" for a in annotations if a.encoding != "UTF-8"]
    problems = [problem for annotation in annotations for problem in annotation.problems]

    lines = [line for annotation in annotations for line in annotation.lines]
    lines, dropped = _with_text(lines, settings.to_simplified, problems)
    located = _located(lines, problems)
    noises = _noises(settings.noise_path, notes)
    recordings = _checked([path for _, path in located] + noises, settings.num_workers)
    rows = _usable(located, recordings, problems)

    divided = _divided(files, rows, settings, notes)
    splits = {split: _without_repeats(its_rows, problems) for split, its_rows in divided.items()}
    _note_leaks(splits, notes)
    if noises:
        problems += [Problem("", n, recordings[n].reason) for n in noises if recordings[n].reason]
        splits[_NOISE] = [
            Utterance(name, recordings[name].duration, "")
            for name in noises
            if not recordings[name].reason
        ]
    return Preparation(splits, problems, notes, dropped)


def _with_text(
    lines: Iterable[Line], to_simplified: bool, problems: list[Problem]
) -> tuple[list[Line], Counter[str]]:
    """Lines with normalised transcripts, and what was dropped from these."""
    kept = []
    dropped: Counter[str] = Counter()
    for line in lines:
        text, gone = normalize_text(line.text, to_simplified=to_simplified)
        if text:
            dropped.update(gone)
            kept.append(dataclasses.replace(line, text=text))
        else:
            reason = f"nothing to be heard in {line.text!r}" if line.text else "empty transcript"
            problems.append(Problem(line.where, line.audio, reason))
    return kept, dropped


def _located(lines: Iterable[Line], problems: list[Problem]) -> list[tuple[Line, str]]:
    located = []
    for line in lines:
        folders = (line.file.parent, line.file.parent.parent)
        path = locate(line.audio, folders)
        if path is not None:
            located.append((line, path))
            continue
        searched = ", ".join(dict.fromkeys(f.as_posix() for f in (Path(), *folders)))
        reason = f"file not found (searched in {searched})"
        problems.append(Problem(line.where, line.audio, reason))
    return located


def _noises(folder: str | None, notes: list[str]) -> list[str]:
    if folder is None:
        return []
    if not Path(folder).is_dir():
        notes.append(f"{folder}: no such folder, so there is no manifest of noises")
        return []
    noises = recordings_below(Path(folder))
    if not noises:
        notes.append(f"{folder}: no recordings in it, so there is no manifest of noises")
    return noises


def _checked(paths: Iterable[str], num_workers: int | None) -> dict[str, Recording]:
    names = list(dict.fromkeys(paths))
    checks = check_recordings(names, num_workers)
    return dict(tqdm(checks, "reading recordings", len(names), unit=" files", disable=None))


def _usable(
    located: Iterable[tuple[Line, str]],
    recordings: Mapping[str, Recording],
    problems: list[Problem],
) -> list[Row]:
    rows = []
    for line, path in located:
        recording = recordings[path]
        if recording.reason:
            problems.append(Problem(line.where, line.audio, recording.reason))
        else:
            seconds = recording.duration
            utterance = Utterance(path, seconds, line.text, line.speaker, fields=dict(line.fields))
            rows.append((line, utterance))
    return rows


def _divided(
    files: Sequence[Path], rows: Sequence[Row], settings: ManifestSettings, notes: list[str]
) -> dict[str, list[Row]]:
    """Rows by split: as the files say, or divided where they do not."""
    given = _given(files)
    held_out = {"test": settings.test_share}
    if not given:
        notes.append(f"no train, dev or test file: all divided {_groups(rows)}")
        return _assigned(rows, held_out | {"dev": settings.dev_share}, settings.seed)
    splits: dict[str, list[Row]] = {_split_named(path): [] for path in files}
    for line, utterance in rows:
        splits[_split_named(line.file)].append((line, utterance))
    notes.append(f"splits as given: {', '.join(splits)}")
    if given == {"train"} and settings.test_share and splits["train"]:
        notes.append(
            f"neither dev nor test file: test held out of train {_groups(splits['train'])}"
        )
        splits |= _assigned(splits["train"], held_out, settings.seed)
    elif "test" not in given:
        notes.append("no test file, and so no test manifest: give training --test_manifest")
    if "train" not in given:
        notes.append("no train file: other names never become training data; rename one to train")
    return splits


def _check_names(files: Sequence[Path]) -> None:
    for path in files:
        split = _split_named(path)
        if _given(files) and split.lower() in _SOUNDS:
            raise InputError(
                f"{path.as_posix()}: augmentation would take its manifest.{split} for {split} "
                "recordings; give the file another name"
            )


def _given(files: Iterable[Path]) -> set[str]:
    return {_split_named(path) for path in files}.intersection(_GIVEN)


def _split_named(path: Path) -> str:
    return path.stem.lower() if path.stem.lower() in _GIVEN else path.stem


def _assigned(rows: Iterable[Row], shares: Mapping[str, float], seed: int) -> dict[str, list[Row]]:
    rows = list(rows)
    split_of = assign((group_of(line) for line, _ in rows), shares, seed)
    splits: dict[str, list[Row]] = {
        split: [] for split in _GIVEN if split == "train" or split in shares
    }
    for line, utterance in rows:
        splits[split_of[group_of(line)]].append((line, utterance))
    return splits


def _groups(rows: Iterable[Row]) -> str:
    return describe_groups(group_of(line) for line, _ in rows)


def _without_repeats(rows: Iterable[Row], problems: list[Problem]) -> list[Utterance]:
    first: dict[str, Row] = {}
    for line, utterance in rows:
        if utterance.audio in first:
            reason = f"the same recording as {first[utterance.audio][0].where}, which is used"
            problems.append(Problem(line.where, line.audio, reason))
        else:
            first[utterance.audio] = (line, utterance)
    return [utterance for _, utterance in first.values()]


def _note_leaks(splits: Mapping[str, Sequence[Utterance]], notes: list[str]) -> None:
    training = {utterance.audio for utterance in splits.get("train", ())}
    for split, utterances in splits.items():
        shared = sum(utterance.audio in training for utterance in utterances)
        if split != "train" and shared:
            notes.append(
                f"{shared} recordings stand in both train and {split}: "
                f"scores on {split} will be better than they should"
            )


def _write_problems(path: Path, problems: Sequence[Problem]) -> None:
    if not problems:
        path.unlink(missing_ok=True)  # the list of an earlier run no longer holds
        return
    with write_atomically(path) as (temporary,):
        lines = "".join(f"{problem}\n" for problem in problems)
        temporary.write_text(lines, encoding="utf-8", errors="backslashreplace", newline="\n")


def report(prepared: Preparation, skipped: Path) -> str:
    """What the user reads: how it was divided, what was dropped and skipped, and a table.

    Args:
        prepared: what to report.
        skipped: the file that lists every problem.
    """
    lines = list(prepared.notes)
    if prepared.dropped:
        lines.append(
            f"dropped {prepared.dropped.total()} characters that are not heard: "
            f"{describe_characters(prepared.dropped)}"
        )
    if prepared.problems:
        lines += [str(problem) for problem in prepared.problems[:_SHOWN]]
        more = len(prepared.problems) - _SHOWN
        shown = f" ({more} more than shown)" if more > 0 else ""
        lines.append(f"skipped {len(prepared.problems)}{shown}, listed in {skipped.as_posix()}")
    lines.append(f"{'split':<12}{'utterances':>12}{'hours':>10}{'characters':>12}{'speakers':>10}")
    for split, utterances in prepared.splits.items():
        hours = sum(utterance.duration for utterance in utterances) / 3600
        characters = sum(len(utterance.text) for utterance in utterances)
        speakers = len({utterance.speaker for utterance in utterances} - {None})
        lines.append(
            f"{split:<12}{len(utterances):>12}{hours:>10.2f}{characters:>12}{speakers or '-':>10}"
        )
    # File names in other encodings hold surrogates, which cannot be printed.
    return "\n".join(lines).encode("utf-8", "backslashreplace").decode()
