"""The characters of manifests: counted into a vocabulary, and those that it lacks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from data_utils.atomic import check_place
from data_utils.errors import InputError
from data_utils.manifest import Manifest
from data_utils.settings import VocabularySettings
from data_utils.text import KIND, Vocabulary, describe_characters, normalize_text

_SIBLINGS = ("train", "dev", "test")


@dataclass(frozen=True)
class CharacterCount:
    """How often each character occurs in a manifest, its transcripts normalised."""

    path: str
    characters: Counter[str]
    changed: int
    """Transcripts that were not normalised yet."""


def count_characters(path: str) -> CharacterCount:
    """Count a manifest's characters.

    Raises:
        InputError: the manifest is missing, empty or broken.
    """
    characters: Counter[str] = Counter()
    changed = 0
    manifest = Manifest.open(path)
    for utterance in tqdm(manifest, f"counting {path}", unit=" lines", disable=None, leave=False):
        text, _ = normalize_text(utterance.text)
        characters.update(text)
        changed += text != utterance.text
    return CharacterCount(path, characters, changed)


def build_vocabulary(settings: VocabularySettings) -> Vocabulary:
    """Count the manifests' characters, write the vocabulary, print what it lacks of each split.

    Raises:
        InputError: a manifest is missing, empty or broken, or none holds a character; something
            else stands where the vocabulary is to be; or another split beside the manifests is
            broken, which is said when the vocabulary is written.
    """
    check_place(settings.vocab_path, kind=KIND)
    counted = [count_characters(path) for path in settings.manifest_paths]
    total: Counter[str] = Counter()
    for count in counted:
        total.update(count.characters)
    if not total:
        raise InputError(
            f"{','.join(settings.manifest_paths)}: no transcript in it; "
            "give --manifest_paths the manifest of the training data"
        )
    vocabulary = Vocabulary.build(total, count_threshold=settings.count_threshold)
    vocabulary.save(settings.vocab_path)
    broken = []
    for path in _siblings(settings.manifest_paths):
        try:
            counted.append(count_characters(path))
        except InputError as error:
            broken.append(str(error))
    print(report(vocabulary, counted))
    print(f"written: {settings.vocab_path}, {len(vocabulary)} tokens")
    if broken:
        raise InputError(f"{'; '.join(broken)} (the vocabulary is written all the same)")
    return vocabulary


def report(vocabulary: Vocabulary, counted: Iterable[CharacterCount]) -> str:
    """One line for each manifest: the share of its characters that the vocabulary lacks."""
    lines = []
    for count in counted:
        unknown = {c: n for c, n in count.characters.items() if vocabulary.unknown_in(c)}
        missing, total = sum(unknown.values()), count.characters.total()
        rate = missing / total if total else 0.0
        line = f"{count.path}: {missing} of {total} characters out of vocabulary ({rate:.3%})"
        lines.append(f"{line}: {describe_characters(unknown)}" if unknown else line)
        if count.changed:
            lines.append(
                f"{count.path}: {count.changed} transcripts are not normalised, the vocabulary "
                "is of normalised ones; make the manifest anew: python tools/create_manifest.py"
            )
    return "\n".join(lines)


def _siblings(paths: Sequence[str]) -> list[str]:
    """The other splits that lie beside these manifests."""
    given = {Path(path).absolute() for path in paths}
    beside = (
        f"{path.rpartition('.')[0]}.{split}"
        for path in paths
        if path.rpartition(".")[2] in _SIBLINGS
        for split in _SIBLINGS
    )
    return [
        path
        for path in dict.fromkeys(beside)
        if Path(path).absolute() not in given and Path(path).is_file()
    ]
