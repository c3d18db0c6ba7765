import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.classes import NO_CLASS, Classes, values_of
from data_utils.errors import InputError
from data_utils.manifest import Manifest, Utterance, write_manifests

Make = Callable[..., Manifest]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A manifest whose lines have these keys beside the usual ones."""

    def written(*more: dict[str, Any]) -> Manifest:
        usual = {"audio_filepath": "a.wav", "duration": 1.0, "text": "一"}
        lines = [json.dumps({**usual, **keys}) for keys in more]
        (tmp_path / "m").write_text("\n".join(lines), "utf-8")
        return Manifest.open(tmp_path / "m")

    return written


def test_the_classes_that_occur_are_sorted(make: Make) -> None:
    manifest = make({"language": "zh"}, {}, {"language": "en"}, {"language": " zh\n"})
    classes, values = Classes.of(manifest, "language", "--head_field=language")
    assert classes == Classes("language", ("en", "zh"))
    assert values == values_of(manifest, "language") == ["zh", None, "en", "zh"]
    assert classes.numbers(values).tolist() == [1, NO_CLASS, 0, 1]


def test_what_is_no_text_is_no_class(make: Make) -> None:
    odd = [{"noise": value} for value in (3, None, True, ["street"], {"is": "street"}, "", " \t")]
    assert set(values_of(make(*odd), "noise")) == {None}


def test_speakers_are_classes_too(make: Make) -> None:
    manifest = make({"speaker": "s2"}, {"speaker": "s1"})
    assert Classes.of(manifest, "speaker", "")[0].names == ("s1", "s2")


@given(st.sets(st.text(min_size=1), min_size=2, max_size=8), st.lists(st.none() | st.text()))
def test_numbers_name_their_class(names: set[str], values: list[str | None]) -> None:
    classes = Classes("f", tuple(sorted(names)))
    numbers = classes.numbers(values)
    assert numbers.dtype == np.int32 and numbers.shape == (len(values),)
    for value, number in zip(values, numbers, strict=True):
        if value in names:
            assert classes.names[number] == value
        else:
            assert number == (NO_CLASS if value is None else len(names))


@pytest.mark.parametrize("field", ["", " ", "text", "audio_filepath", "duration", "start", "end"])
def test_what_every_line_has_is_no_field(make: Make, field: str) -> None:
    with pytest.raises(InputError, match=r"^--head_field=x: the name of a field is expected"):
        Classes.of(make({}), field, "--head_field=x")


def test_too_few_classes_are_refused(make: Make) -> None:
    manifest = make({"language": "zh"}, {"language": "zh", "noise": "street"})
    for field, said in (
        ("language", r"o: all that is said is 'zh' \(.*m:1 and all behind\)"),
        ("langage", "o: no line of the manifest says it .*; did you mean 'language'"),
    ):
        with pytest.raises(InputError, match=said):
            Classes.of(manifest, field, "o")
    with pytest.raises(InputError, match="its lines have no field"):
        Classes.of(make({"language": 5}), "language", "o")


@given(st.sets(st.text(min_size=1), min_size=2, max_size=5))
def test_json_brings_them_back(names: set[str]) -> None:
    classes = Classes("語", tuple(names))
    assert Classes.from_json(json.loads(json.dumps(dataclasses.asdict(classes)))) == classes


@pytest.mark.parametrize(
    "content",
    [
        [],
        "language",
        {},
        {"field": "language"},
        {"field": 1, "names": ["a", "b"]},
        {"field": "language", "names": "ab"},
        {"field": "language", "names": ["a", 1]},
        {"field": "language", "names": ["a"]},
        {"field": "language", "names": ["a", "a"]},
    ],
)
def test_other_json_is_refused(content: object) -> None:
    with pytest.raises(InputError, match="its classes"):
        Classes.from_json(content)


def test_many_are_not_all_named() -> None:
    assert Classes("f", ("a", "b")).shown() == "2 classes of f (a, b)"
    assert Classes("f", tuple(map(str, range(99)))).shown().endswith("8, 9, ...)")


def test_a_fields_text_stays_what_it_was(tmp_path: Path) -> None:
    row = Utterance("a.wav", 1.0, "一", fields={"语言": " 中 文", "b": ""})
    write_manifests({tmp_path / "m": [row]})
    assert Manifest.open(tmp_path / "m")[0] == row
