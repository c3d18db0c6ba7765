"""The grammar says sensible things, and files of sentences are read as they are meant."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_utils.errors import InputError
from data_utils.sentences import from_file, from_grammar, spoken

DIGITS = "零一二三四五六七八九"


def value(numeral):
    """Read a Chinese numeral below 100: 二十六 is 26, 十 is 10, 零五 is 5."""
    tens, ten, ones = numeral.rpartition("十")
    if not ten:
        return DIGITS.index(numeral[-1])
    return 10 * (DIGITS.index(tens) if tens else 1) + (DIGITS.index(ones) if ones else 0)


@settings(max_examples=20)
@given(count=st.integers(0, 300), seed=st.integers(0, 2**32))
def test_sentences_are_different_and_as_many_as_asked_for(count, seed):
    sentences = from_grammar(count, np.random.default_rng(seed))
    assert len(sentences) == count
    assert len({spoken(text) for text in sentences}) == count
    assert sentences == from_grammar(count, np.random.default_rng(seed))


def test_about_eighty_characters_none_of_them_rare():
    sentences = from_grammar(1400, np.random.default_rng(0))
    counts = {}
    for text in sentences:
        for character in set(spoken(text)):
            counts[character] = counts.get(character, 0) + 1
    assert 70 <= len(counts) <= 90
    assert min(counts.values()) >= 5
    assert set(DIGITS) < set(counts)


def test_all_three_kinds_come_equally_often():
    sentences = [spoken(text) for text in from_grammar(900, np.random.default_rng(1))]
    digits = sum(
        re.fullmatch(f"((号码|密码)是)?[{DIGITS}]{{3,7}}", text) is not None for text in sentences
    )
    times = sum("点" in text and "一点" not in text[-2:] for text in sentences)
    assert digits == 300
    assert times == 300


def test_times_are_times_of_that_part_of_the_day():
    hours = {"早上": (6, 8), "上午": (9, 11), "中午": (12, 12), "下午": (1, 6), "晚上": (7, 11)}
    pattern = re.compile("(早上|上午|中午|下午|晚上)(.{1,2})点(整|半|一刻|(.+)分)")
    found = [pattern.search(text) for text in from_grammar(3000, np.random.default_rng(2))]
    found = [match for match in found if match]
    assert len(found) >= 900
    for match in found:
        part, hour, _, minute = match.groups()
        assert hour != "二"
        low, high = hours[part]
        assert low <= (2 if hour == "两" else value(hour)) <= high
        assert minute is None or value(minute) in range(5, 60, 5)


def test_a_file_is_read_by_lines_without_repetitions(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_bytes("\ufeff你好。\r\n\r\n  今天  天气好 \n你好！\nhello world\n".encode())
    assert from_file(path) == ["你好。", "今天 天气好", "hello world"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no sentence in it"),
        (b"\n \n", "no sentence in it"),
        ("你好\n……。\n".encode(), "sentences.txt:2: nothing to say"),
        ("你好".encode("gbk"), "not UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path, content, expected):
    path = tmp_path / "sentences.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(expected)) as caught:
        from_file(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
