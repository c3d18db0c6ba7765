"""Transcripts: what of a text can be heard, and the vocabulary that numbers it."""

import functools
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from data_utils.atomic import write_atomically
from data_utils.errors import InputError

BLANK = "<blank>"
UNKNOWN = "<unk>"
SPACE = "<space>"
REPLACEMENT = "\ufffd"
"""What an unknown token reads as: one character, so that it counts as one error."""

KIND = re.compile(rb"(\xef\xbb\xbf)?<blank>")
"""How a vocabulary's file begins."""

_REMEDY = "make it with: python tools/build_vocab.py"

# Chinese characters of Unicode 1.0, ASCII letters and digits, spaces inside words of the latter.
_AS_IT_IS = re.compile(
    "[\u4e00-\u9fa5a-z0-9]*(?:(?<=[a-z0-9]) (?=[a-z0-9])[\u4e00-\u9fa5a-z0-9]+)*"
)
"""Most transcripts, which are normalised already: told so at a tenth of the cost."""

# Written inside a word, where a space would cut it in two: don't -> dont.
_APOSTROPHES = frozenset("'\u2018\u2019")
_IDEOGRAPHIC_ZERO = "〇"  # a letter number to Unicode, a character like any other to its readers
_CHINESE_BLOCKS = (
    (0x3005, 0x3007),  # 々〆〇
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)


def normalize_text(text: str, *, to_simplified: bool = False) -> tuple[str, Counter[str]]:
    """Reduce a transcript to what can be heard in it.

    Unicode NFKC and case folding; letters of any script, their marks and decimal digits stay;
    punctuation, symbols and emoji go, and leave a space where they parted two words. Runs of white
    space become one space. Spaces beside a Chinese character are dropped: they are marks of word
    segmentation (THCHS-30 and others write them), nothing is heard there, and a model could not
    tell where one corpus puts them and another does not. Normalising twice changes nothing.

    Args:
        text: the transcript as its author wrote it.
        to_simplified: turn Traditional into Simplified Chinese (OpenCC, `t2s`).

    Returns:
        the text kept, and how often each character was dropped (white space is not counted).
    """
    if not to_simplified and _AS_IT_IS.fullmatch(text):
        return text, Counter()
    folded = _folded(text)
    if to_simplified:
        folded = _folded(_simplifier()(folded))
    kept: list[str] = []
    dropped: Counter[str] = Counter()
    for character in folded:
        if character.isspace():
            kept.append(" ")
        elif _is_heard(character, kept):
            kept.append(character)
        else:
            dropped[character] += 1
            if _parts_words(character):
                kept.append(" ")
    # Without what stood between them a letter and its mark may have become one character.
    words = unicodedata.normalize("NFC", "".join(kept)).split()
    return _joined(words), dropped


def _folded(text: str) -> str:
    """NFKC and case folding (Unicode, section 3.13, definition of toNFKC_Casefold)."""
    once = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    return unicodedata.normalize("NFKC", once.casefold())


def _is_heard(character: str, before: Sequence[str]) -> bool:
    category = unicodedata.category(character)
    if category in ("Mn", "Mc"):
        # A mark belongs to a letter; alone it is what remains of an emoji or an accent sign.
        return bool(before) and before[-1] != " " and not _is_ignorable(character)
    return category[0] == "L" or category == "Nd" or character == _IDEOGRAPHIC_ZERO


def _is_ignorable(mark: str) -> bool:
    """Whether a mark only selects how its letter is drawn."""
    name = unicodedata.name(mark, "")
    return "VARIATION SELECTOR" in name or name == "COMBINING GRAPHEME JOINER"


def _parts_words(dropped: str) -> bool:
    return dropped not in _APOSTROPHES and unicodedata.category(dropped)[0] in "PSZN"


def describe_characters(counts: Mapping[str, int], most: int = 10) -> str:
    """The most frequent characters of a count, for messages: `， 500, 。 300, U+FE0F 2, ...`."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{_visible(character)} {count}" for character, count in ordered[:most]]
    return ", ".join(shown) + (", ..." if len(ordered) > most else "")


def _visible(character: str) -> str:
    if character == " ":
        return SPACE
    mark = unicodedata.category(character)[0] == "M"
    visible = character.isprintable() and not mark
    return character if visible else f"U+{ord(character):04X}"


def is_chinese(character: str) -> bool:
    """Whether a character is a Chinese one (Unicode's unified and compatibility ideographs)."""
    return any(first <= ord(character) <= last for first, last in _CHINESE_BLOCKS)


def _joined(words: Sequence[str]) -> str:
    parts = list(words[:1])
    for left, right in itertools.pairwise(words):
        if not (is_chinese(left[-1]) or is_chinese(right[0])):
            parts.append(" ")
        parts.append(right)
    return "".join(parts)


@functools.cache
def _simplifier() -> Callable[[str], str]:
    import opencc

    return opencc.OpenCC("t2s").convert


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model writes; a character's number is its place in `tokens`.

    Its file holds `token<TAB>count` a line. Token 0 is `<blank>`, CTC's "nothing here";
    `<unk>` stands for characters that are not in it, `<space>` for the space.
    """

    tokens: tuple[str, ...]
    counts: tuple[int, ...] = ()
    """How often each token occurred, -1 where that is unknown."""

    blank_id = 0

    def __post_init__(self) -> None:
        tokens = tuple(SPACE if token == " " else token for token in self.tokens)
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "counts", tuple(self.counts) or (-1,) * len(tokens))
        assert len(self.counts) == len(tokens), "a count for each token"
        _check_tokens(tokens, lambda index: f"vocabulary: token {index}")

    @classmethod
    def build(cls, counts: Mapping[str, int], *, count_threshold: int = 0) -> "Vocabulary":
        """The vocabulary of characters that occur `count_threshold` times or more.

        Special tokens first, then by falling count, then by code point; `<unk>` counts the
        occurrences of the characters left out.
        """
        frequent = {c: n for c, n in counts.items() if n >= count_threshold}
        rare = sum(counts.values()) - sum(frequent.values())
        entries = [(BLANK, -1), (UNKNOWN, rare)]
        if " " in frequent:
            entries.append((SPACE, frequent.pop(" ")))
        entries += sorted(frequent.items(), key=lambda entry: (-entry[1], entry[0]))
        return cls(tuple(token for token, _ in entries), tuple(count for _, count in entries))

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """Read a vocabulary file, of this package or an older one.

        Older ones may lack the counts, `<unk>` and `<space>`; a line of one space is the space.

        Raises:
            InputError: no such file, no `<blank>` in line 1, a token twice, or a broken line.
        """
        try:
            content = Path(path).read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            raise InputError(f"{path}: file not found; {_REMEDY}") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from None
        except UnicodeDecodeError:
            raise InputError(f"{path}: not UTF-8; save it as UTF-8 or {_REMEDY}") from None
        # Only line feeds end a line here: a vocabulary may hold other separators as tokens.
        lines = content.replace("\r\n", "\n").rstrip("\n").split("\n")
        entries = [_entry(line, f"{path}:{n}") for n, line in enumerate(lines, start=1)]
        tokens, counts = zip(*entries, strict=True)
        _check_tokens(tokens, lambda index: f"{path}:{index + 1}")
        return cls(tokens, counts)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary file, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        lines = [f"{token}\t{n}\n" for token, n in zip(self.tokens, self.counts, strict=True)]
        with write_atomically(path) as (temporary,):
            temporary.write_text("".join(lines), encoding="utf-8", newline="\n")

    def encode(self, text: str, unknown: Literal["unk", "drop"] = "unk") -> list[int]:
        """The ids of a text's characters.

        Args:
            text: a normalised transcript.
            unknown: `unk` gives characters that are not in the vocabulary the id of `<unk>`, and
                leaves them out where the vocabulary has none; `drop` leaves them out.
        """
        ids = list(map(self._characters.get, text))
        if None not in ids:
            return cast("list[int]", ids)
        fallback = self._ids.get(UNKNOWN) if unknown == "unk" else None
        found = (fallback if token_id is None else token_id for token_id in ids)
        return [token_id for token_id in found if token_id is not None]

    def unknown_in(self, text: str) -> list[str]:
        """The characters of a text that are not in the vocabulary, each time they occur."""
        return [character for character in text if character not in self._characters]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, one after the other; repeats stay, `<blank>` reads as nothing."""
        return "".join(self._written[token_id] for token_id in ids)

    def extended(self, other: "Vocabulary") -> "Vocabulary":
        """These tokens, and behind them those of `other` that are new and that a text can hold."""
        new = [
            (token, count)
            for token, count in zip(other.tokens, other.counts, strict=True)
            if token not in self._ids and (token in (UNKNOWN, SPACE) or not _is_special(token))
        ]
        tokens, counts = zip(*new, strict=True) if new else ((), ())
        return Vocabulary(self.tokens + tokens, self.counts + counts)

    def difference(self, other: "Vocabulary") -> str:
        """How `other` differs, in a few words; empty if both number the same characters alike."""
        if self.tokens == other.tokens:
            return ""
        new = [token for token in other.tokens if token not in self._ids]
        gone = [token for token in self.tokens if token not in other._ids]
        sizes = f"{len(other)} tokens against {len(self)}"
        if not new and not gone:
            return f"{sizes}, the same ones in another order"
        return f"{sizes}, {len(new)} new ({_some(new)}), {len(gone)} missing ({_some(gone)})"

    def __len__(self) -> int:
        return len(self.tokens)

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {token: token_id for token_id, token in enumerate(self.tokens)}

    @functools.cached_property
    def _characters(self) -> dict[str, int]:
        """The id of each character that a text can hold."""
        characters = {t: i for t, i in self._ids.items() if not _is_special(t)}
        return characters | ({" ": self._ids[SPACE]} if SPACE in self._ids else {})

    @functools.cached_property
    def _written(self) -> tuple[str, ...]:
        read_as = {SPACE: " ", UNKNOWN: REPLACEMENT}
        return tuple(read_as.get(t, "" if _is_special(t) else t) for t in self.tokens)


def _some(tokens: Sequence[str]) -> str:
    return " ".join(tokens[:10]) + (" ..." if len(tokens) > 10 else "")


def _entry(line: str, where: str) -> tuple[str, int]:
    token, _, count = line.partition("\t")
    if not token:
        raise InputError(f"{where}: empty line; if it was a space, write {SPACE}, else {_REMEDY}")
    try:
        return SPACE if token == " " else token, int(count) if count.strip() else -1
    except ValueError:
        raise InputError(f"{where}: token<TAB>count expected, found {line!r}; {_REMEDY}") from None


def _is_special(token: str) -> bool:
    return len(token) > 2 and token[0] == "<" and token[-1] == ">"


def _check_tokens(tokens: Sequence[str], where: Callable[[int], str]) -> None:
    if not tokens or tokens[0] != BLANK:
        found = tokens[0] if tokens else "nothing"
        raise InputError(f"{where(0)}: {BLANK} expected first, found {found!r}; {_REMEDY}")
    seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        if len(token) != 1 and not _is_special(token):
            raise InputError(f"{where(index)}: one character expected, found {token!r}; {_REMEDY}")
        if token in seen:
            raise InputError(
                f"{where(index)}: {token!r} stands at {where(seen[token])} already; "
                f"delete the line or {_REMEDY}"
            )
        seen[token] = index
