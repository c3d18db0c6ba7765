from collections import Counter
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from data_utils.preparation.annotation import Line
from data_utils.preparation.splitting import assign, describe_groups, group_of

SHARES = {"test": 0.2, "dev": 0.1}
GROUPS = st.sets(st.tuples(st.sampled_from(["speaker", "file"]), st.text(max_size=5)))


def test_shares_are_met_on_average() -> None:
    split_of = assign([("file", str(i)) for i in range(10_000)], SHARES, seed=0)
    counts = Counter(split_of.values())
    # Binomial: four standard deviations are at most 160.
    assert abs(counts["test"] - 2000) < 160
    assert abs(counts["dev"] - 1000) < 120


@given(GROUPS, GROUPS, st.integers())
def test_more_groups_move_none(
    some: set[tuple[str, str]], more: set[tuple[str, str]], seed: int
) -> None:
    # Enough others that every split has its share anyway.
    others = {("file", f"other {i}") for i in range(200)}
    before = assign(some | others, SHARES, seed)
    after = assign(some | more | others, SHARES, seed)
    assert all(after[group] == split for group, split in before.items())


@given(GROUPS, st.integers(), st.sampled_from([0.05, 0.4, 0.5]))
# Two of three fell to test, and dev found nothing that it might take.
@example({("file", "³\x1c\U000dc973"), ("speaker", ""), ("speaker", "0000")}, 973503079, 0.05)
def test_every_split_gets_something_if_there_are_three(
    groups: set[tuple[str, str]], seed: int, share: float
) -> None:
    split_of = assign(groups, {"test": share, "dev": share}, seed)
    assert set(split_of) == groups
    if groups:
        assert "train" in split_of.values()
    if len(groups) >= 3:
        assert {"test", "dev"} <= set(split_of.values())


def test_no_share_means_none() -> None:
    split_of = assign([("file", str(i)) for i in range(100)], {"test": 0.0}, seed=0)
    assert set(split_of.values()) == {"train"}


def test_the_seed_divides_otherwise() -> None:
    groups = [("file", str(i)) for i in range(100)]
    assert assign(groups, SHARES, 0) == assign(reversed(groups), SHARES, 0)
    assert assign(groups, SHARES, 0) != assign(groups, SHARES, 1)


def test_groups_are_speakers_where_known() -> None:
    assert group_of(Line(Path("t"), 1, "a.wav", "", "s1")) == ("speaker", "s1")
    assert group_of(Line(Path("t"), 1, "d\\a.wav", "", None)) == ("file", "d/a.wav")
    assert describe_groups([("speaker", "a"), ("speaker", "a")]) == "by speaker (1)"
    assert describe_groups([("file", "a")]) == "by a hash of the file name (1)"
    assert describe_groups([("file", "a"), ("speaker", "a")]) == (
        "by speaker (1) and by a hash of the file name, for those without speaker (1)"
    )
