"""Dividing recordings between training, dev and test, so that the division stays.

Where a recording goes depends on its speaker or its name alone: adding recordings, or reading them
in another order, moves no other one.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from data_utils.preparation.annotation import Line


def group_of(line: Line) -> tuple[str, str]:
    """What must not be torn apart: the speaker's recordings; else the recording itself."""
    return ("speaker", line.speaker) if line.speaker else ("file", line.audio.replace("\\", "/"))


def describe_groups(groups: Iterable[tuple[str, str]]) -> str:
    """How these groups divide their recordings: `by speaker (20)`, for messages."""
    kinds = Counter(kind for kind, _ in set(groups))
    files = "by a hash of the file name" + (", for those without speaker" * ("speaker" in kinds))
    ways = {"speaker": "by speaker", "file": files}
    return " and ".join(f"{way} ({kinds[kind]})" for kind, way in ways.items() if kinds[kind])


def assign(
    groups: Iterable[tuple[str, str]], shares: Mapping[str, float], seed: int
) -> dict[tuple[str, str], str]:
    """Give each group its split: one of `shares`, or `train`.

    A group is hashed to a number in [0, 1), and `shares` divides that range from below. Where few
    groups leave a split empty, training first, it takes one from the split that has most.

    Args:
        groups: see `group_of`.
        shares: share of the groups that each held out split gets on average, 0 to 1.
        seed: another seed gives another division.
    """
    positions = {group: _position(group, seed) for group in set(groups)}
    split_of = {group: _split_at(position, shares) for group, position in positions.items()}
    wanted = ["train", *(split for split, share in shares.items() if share > 0)]
    for split in wanted:
        counts = Counter(split_of.values())
        if not split_of or split in counts:
            continue
        donor = max(counts, key=lambda name: (counts[name], name == "train"))
        if counts[donor] > 1 or split == "train":
            spared = [group for group, its_split in split_of.items() if its_split == donor]
            split_of[min(spared, key=lambda group: (positions[group], group))] = split
    return split_of


def _split_at(position: float, shares: Mapping[str, float]) -> str:
    upper = 0.0
    for split, share in shares.items():
        upper += share
        if position < upper:
            return split
    return "train"


def _position(group: tuple[str, str], seed: int) -> float:
    text = "\0".join((str(seed), *group))
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
