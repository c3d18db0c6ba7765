import re
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_utils import text as text_module
from data_utils.errors import InputError
from data_utils.text import (
    REPLACEMENT,
    Vocabulary,
    describe_characters,
    is_chinese,
    normalize_text,
)

MIXED = st.text(
    st.one_of(st.sampled_from("你好〇 aBé1.，!'’😀\u0301\u200d\ufe0f\tİßﬁ①ｱﾞ"), st.characters())
)


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("近几年，不但我用书给女儿压岁！", "近几年不但我用书给女儿压岁"),
        ("绿 是 阳春 烟 景", "绿是阳春烟景"),
        ("我爱 Python 编程", "我爱python编程"),
        ("Hello, World!", "hello world"),
        ("ＡＢＣ　１２３", "abc 123"),
        ("don't don’t", "dont dont"),
        ("well-known\tword\nend ", "well known word end"),
        ("二〇二一年", "二〇二一年"),
        ("❤️ ok 👍🏽 1️⃣", "ok 1"),
        ("STRASSE straße", "strasse strasse"),
        ("e\u0301", "é"),
        ("สวัสดี हिन्दी", "สวัสดี हिन्दी"),
        ("٣٤", "٣٤"),
        ("", ""),
        ("！？", ""),
    ],
)
def test_what_is_heard_stays(written: str, heard: str) -> None:
    assert normalize_text(written)[0] == heard


def the_long_way(text: str) -> tuple[str, Counter[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_module, "_AS_IT_IS", re.compile("(?!)"))  # matches nothing
        return normalize_text(text)


@given(st.text("一龥az09 ，") | MIXED)
@example("a b你c 1")
def test_the_short_way_is_as_good(text: str) -> None:
    assert normalize_text(text) == the_long_way(text)


def test_what_takes_the_short_way_stays_as_it_is() -> None:
    short = [c for c in map(chr, range(0x110000)) if text_module._AS_IT_IS.fullmatch(c)]
    assert len(short) == 0x9FA5 - 0x4E00 + 1 + 26 + 10
    assert all(the_long_way(character) == (character, {}) for character in short)


def test_dropped_characters_are_counted() -> None:
    text, dropped = normalize_text("好。好。😀 ")
    assert text == "好好"
    assert dropped == {"。": 2, "😀": 1}


def test_simplified_on_request_only() -> None:
    assert normalize_text("後來學習")[0] == "後來學習"
    assert normalize_text("後來學習", to_simplified=True)[0] == "后来学习"


@given(MIXED)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once, _ = normalize_text(text)
    assert normalize_text(once) == (once, {})


@given(MIXED)
def test_only_letters_marks_digits_and_single_spaces_remain(text: str) -> None:
    kept, _ = normalize_text(text)
    assert kept == " ".join(kept.split())
    for character in kept:
        category = unicodedata.category(character)
        assert character in " 〇" or category[0] in "LM" or category == "Nd"
    for left, space, right in zip(kept, kept[1:], kept[2:], strict=False):
        assert space != " " or not (is_chinese(left) or is_chinese(right))


@given(MIXED)
def test_case_and_width_do_not_matter(text: str) -> None:
    lowered = unicodedata.normalize("NFKC", text)
    assert normalize_text(lowered)[0] == normalize_text(text)[0]


@given(st.text("你好ab1 ，!"))
def test_every_character_is_kept_or_counted(text: str) -> None:
    kept, dropped = normalize_text(text)
    assert sorted(kept.replace(" ", "") + "".join(dropped.elements())) == sorted(
        # NFKC turns the full-width comma into the plain one.
        text.replace(" ", "").replace("，", ",")
    )


def test_characters_without_shape_are_described_by_code_point() -> None:
    assert describe_characters({"，": 5, "\ufe0f": 9, " ": 7}) == "U+FE0F 9, <space> 7, ， 5"
    assert describe_characters({"a": 1, "b": 2}, most=1) == "b 2, ..."


def test_vocabulary_order_and_threshold() -> None:
    counts = {"乙": 5, "甲": 5, "b": 9, " ": 3, "r": 1}
    vocabulary = Vocabulary.build(counts, count_threshold=2)
    assert vocabulary.tokens == ("<blank>", "<unk>", "<space>", "b", "乙", "甲")
    assert vocabulary.counts == (-1, 1, 3, 9, 5, 5)
    assert " " not in Vocabulary.build({"a": 1}).tokens
    assert "<space>" not in Vocabulary.build({"a": 1}).tokens


def test_encode_and_decode() -> None:
    vocabulary = Vocabulary(("<blank>", "<unk>", "<space>", "你", "a"))
    assert vocabulary.encode("你 x a") == [3, 2, 1, 2, 4]
    assert vocabulary.encode("你 x a", "drop") == [3, 2, 2, 4]
    assert vocabulary.decode([3, 3, 0, 2, 1, 4]) == f"你你 {REPLACEMENT}a"
    assert vocabulary.unknown_in("你x ax") == ["x", "x"]
    without = Vocabulary(("<blank>", "a"))
    assert without.encode("xa b") == [1]
    assert len(vocabulary) == 5 and vocabulary.tokens[vocabulary.blank_id] == "<blank>"


def test_markup_in_a_text_is_no_token() -> None:
    vocabulary = Vocabulary(("<blank>", "<unk>", "<", ">", "a"))
    assert vocabulary.encode("<a>") == [2, 4, 3]


@given(st.dictionaries(st.characters(exclude_categories=("Cs", "Cc")), st.integers(1, 9)))
def test_known_text_survives_encoding_and_the_file(counts: dict[str, int]) -> None:
    vocabulary = Vocabulary.build(counts)
    text = "".join(counts)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    with tempfile.TemporaryDirectory() as folder:
        vocabulary.save(Path(folder, "v.txt"))
        assert Vocabulary.load(Path(folder, "v.txt")) == vocabulary


@pytest.mark.parametrize(
    "content",
    [
        "<blank>\n的\n \n",
        "\ufeff<blank>\r\n的\r\n \r\n",
        "<blank>\t-1\n的\t7\n \t2\n",
        "<blank>\n的\n<space>",
    ],
)
def test_files_of_older_packages(tmp_path: Path, content: str) -> None:
    path = tmp_path / "zh_vocab.txt"
    path.write_bytes(content.encode())
    vocabulary = Vocabulary.load(path)
    assert vocabulary.tokens == ("<blank>", "的", "<space>")
    assert vocabulary.encode("的 x") == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("的\n<blank>\n", ":1: <blank> expected first, found '的'"),
        ("<blank>\n的\n是\n的\n", ":4: '的' stands at"),
        ("<blank>\n\n的\n", ":2: empty line"),
        ("<blank>\n你好\n", ":2: one character expected, found '你好'"),
        ("<blank>\n的\tmany\n", ":2: token<TAB>count expected"),
        ("", ":1: empty line"),
    ],
)
def test_broken_vocabularies_name_the_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "zh_vocab.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as error:
        Vocabulary.load(path)
    assert str(error.value).startswith(f"{path}{message}")
    assert "\n" not in str(error.value)


def test_missing_and_foreign_vocabularies(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tools/build_vocab\.py"):
        Vocabulary.load(tmp_path / "none.txt")
    (tmp_path / "gbk.txt").write_bytes("<blank>\n的\n".encode("gbk"))
    with pytest.raises(InputError, match="not UTF-8"):
        Vocabulary.load(tmp_path / "gbk.txt")


def test_an_extended_vocabulary_keeps_its_numbers_and_adds_what_a_text_can_hold() -> None:
    old = Vocabulary(("<blank>", "一", "二"))  # of an older package: no <unk>, no <space>
    new = Vocabulary(("<blank>", "<unk>", "<eos>", "三", " ", "一"), (-1, 2, -1, 5, 7, 3))
    both = old.extended(new)
    assert both.tokens == ("<blank>", "一", "二", "<unk>", "三", "<space>")
    assert both.counts == (-1, -1, -1, 2, 5, 7)
    for text in ("一二", "二一"):
        assert both.encode(text) == old.encode(text)
    assert both.encode("三 四") == [4, 5, 3] and both.decode([4, 5, 3]) == f"三 {REPLACEMENT}"
    assert old.extended(old) == old and both.extended(old) == both
