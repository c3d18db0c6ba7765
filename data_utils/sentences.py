"""The sentences of a generated corpus: a small Mandarin grammar, or the lines of a file.

The grammar has about 80 characters: digit strings, commands to a home, times of day.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_utils.errors import InputError

_DIGITS = "零一二三四五六七八九"
_ROOMS = ("客厅", "卧室", "厨房", "书房", "阳台")
_DEVICES = ("灯", "空调", "电视", "窗帘", "风扇", "音乐")
_HOURS = {
    "早上": range(6, 9),
    "上午": range(9, 12),
    "中午": range(12, 13),
    "下午": range(1, 7),
    "晚上": range(7, 12),
}
_TIME_FRAMES = ("{}", "现在是{}", "{}提醒我开会", "明天{}叫我起床", "今天{}出门")
_DIGIT_FRAMES = ("{}", "{}", "号码是{}", "密码是{}")


def from_grammar(count: int, rng: np.random.Generator) -> list[str]:
    """`count` different sentences in random order, written as people write them.

    A third each are commands, times and digit strings while they last: there are about 400
    commands and 1,300 times, and digit strings without end.
    """
    kinds = [list(_commands()), list(_times())]
    sentences = [
        str(text)
        for kind in kinds
        for text in rng.permutation(kind)[: -(-count // (len(kinds) + 1))]
    ]
    known = set(sentences)
    while len(sentences) < count:
        text = _digit_string(rng)
        if text not in known:
            known.add(text)
            sentences.append(text)
    return [_punctuated(sentences[i], rng) for i in rng.permutation(len(sentences))[:count]]


def from_file(path: str | Path) -> list[str]:
    """The different sentences of a UTF-8 file with one a line, in its order.

    Empty lines are passed over, and sentences that differ in punctuation or spaces only.

    Raises:
        InputError: the file cannot be read, or holds a line with nothing to say, or no line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8; save it as UTF-8, one sentence a line") from None
    sentences: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = " ".join(line.split())
        if text and not spoken(text):
            raise InputError(f"{path}:{number}: nothing to say in {text!r}; remove the line")
        if text:
            sentences.setdefault(spoken(text), text)
    if not sentences:
        raise InputError(f"{path}: no sentence in it; write one a line")
    return list(sentences.values())


def spoken(text: str) -> str:
    """What of `text` is heard: its letters, digits and Chinese characters."""
    return "".join(character for character in text if character.isalnum())


def _number(value: int) -> str:
    """`value`, 1 to 59, as it is said: 26 is 二十六, 10 is 十."""
    tens, ones = divmod(value, 10)
    head = "" if tens == 0 else "十" if tens == 1 else f"{_DIGITS[tens]}十"
    return head + (_DIGITS[ones] if ones else "")


def _commands() -> Iterator[str]:
    for room, device in itertools.product(_ROOMS, _DEVICES):
        thing = f"{room}的{device}"
        for verb in ("打开", "关闭", "关掉"):
            yield f"{verb}{thing}"
            yield f"请{verb}{thing}"
            yield f"帮我把{thing}{verb}"
    for room in _ROOMS:
        for degrees in range(16, 31):
            yield f"把{room}的空调调到{_number(degrees)}度"
        for change in ("大", "小"):
            yield f"把{room}的声音调{change}一点"
            yield f"{room}的电视声音{change}一点"
        for change in ("亮", "暗"):
            yield f"把{room}的灯调{change}一点"
            yield f"{room}的灯{change}一点"
        for polite in ("", "请"):
            yield f"{polite}拉上{room}的窗帘"
            yield f"{polite}在{room}播放音乐"
        yield f"帮我把{room}的窗帘拉上"
        yield f"帮我在{room}播放音乐"


def _times() -> Iterator[str]:
    minutes = ["整", "半", "一刻", "零五分", *(f"{_number(m)}分" for m in range(10, 60, 5))]
    for part, hours in _HOURS.items():
        for hour, minute, frame in itertools.product(hours, minutes, _TIME_FRAMES):
            name = "两" if hour == 2 else _number(hour)
            yield frame.format(f"{part}{name}点{minute}")


def _digit_string(rng: np.random.Generator) -> str:
    digits = "".join(_DIGITS[i] for i in rng.integers(0, 10, rng.integers(3, 8)))
    return _DIGIT_FRAMES[rng.integers(len(_DIGIT_FRAMES))].format(digits)


def _punctuated(text: str, rng: np.random.Generator) -> str:
    """Most people end a sentence with a full stop, some with another mark, some with none."""
    return text + ("。", "。", "！", "")[rng.integers(4)]
