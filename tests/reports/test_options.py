from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from data_utils.errors import InputError
from data_utils.settings import option
from reports.options import BEGIN, END, TRANSLATION, Language, document_options, with_tables


@dataclass(frozen=True)
class FruitSettings:
    """Three options of different kinds."""

    kind: Literal["apple", "pear"] = option("pear", "apple|pear, or <none>", when="`apple` in May")
    weight: float = option(2.5, "of one", unit="kg", aliases=("w",))
    places: tuple[int, ...] = option((3, 4), "where")


COLUMNS = ("option", "default", "meaning", "when")
PAGE = f"above\n\n{BEGIN}\nold\n{END}\n\nbelow\n"
CHINESE: dict[str, Any] = {
    "groups": {"FruitSettings": "水果"},
    "options": {
        "kind": {"help": "种类", "when": "五月用 `apple`"},
        "weight": {"help": "重量"},
        "places": {"help": "位置"},
    },
}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "fruit.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_a_table_for_each_class_between_the_comments(page: Path) -> None:
    expected = f"""above

{BEGIN}

### Fruit options

| option | default | meaning | when |
| --- | --- | --- | --- |
| `--kind` | apple, **pear** | apple\\|pear, or \\<none> | `apple` in May |
| `--weight`, `-w` | 2.5 kg | of one |  |
| `--places` | 3,4 | where |  |

{END}

below
"""
    english = Language(".md", COLUMNS)
    assert with_tables(page, [FruitSettings], english) == expected
    page.write_text(expected, encoding="utf-8")
    assert with_tables(page, [FruitSettings], english) == expected


def test_translated_texts_take_the_place_of_the_english_ones(page: Path) -> None:
    text = with_tables(page, [FruitSettings], Language(".zh.md", COLUMNS, CHINESE))
    assert "### 水果" in text
    assert "| `--kind` | apple, **pear** | 种类 | 五月用 `apple` |" in text
    assert "| `--weight`, `-w` | 2.5 kg | 重量 |  |" in text


def test_an_option_of_two_classes_may_have_a_text_for_each(page: Path) -> None:
    own = {"FruitSettings.places": {"help": "树上"}}
    both = {**CHINESE, "options": {**CHINESE["options"], **own}}
    text = with_tables(page, [FruitSettings], Language(".zh.md", COLUMNS, both))
    assert "| `--places` | 3,4 | 树上 |  |" in text and "位置" not in text


@pytest.mark.parametrize("text", [{}, {"help": "种类"}, {"when": "五月"}])
def test_a_missing_translation_is_named(text: dict[str, str], page: Path) -> None:
    lacking = {**CHINESE, "options": {**CHINESE["options"], "kind": text}}
    with pytest.raises(InputError, match=r"options\.zh\.json5: kind"):
        with_tables(page, [FruitSettings], Language(".zh.md", COLUMNS, lacking))
    del lacking["options"]["kind"]
    with pytest.raises(InputError, match=r"options\.zh\.json5: options: no text for kind"):
        with_tables(page, [FruitSettings], Language(".zh.md", COLUMNS, lacking))


@pytest.mark.parametrize("text", ["nothing", BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_page_without_the_comments_is_refused(text: str, page: Path) -> None:
    page.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"fruit\.md"):
        with_tables(page, [FruitSettings], Language(".md", COLUMNS))


def test_a_folder_without_the_pages_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{TRANSLATION}: .*--docs_dir"):
        document_options(tmp_path)
    (tmp_path / TRANSLATION).write_bytes(b"\xff")
    with pytest.raises(InputError, match=rf"{TRANSLATION}: no UTF-8 text"):
        document_options(tmp_path)
    (tmp_path / TRANSLATION).write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=TRANSLATION):
        document_options(tmp_path)
