"""What the command makes of the options that users of Spleeter packages know."""

import pytest

from model_utils.settings import RunSettings
from run_scripts.run_spleeter import read_options, with_newest, with_precision


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("--amp=True --lr=1", "--amp=fp16 --lr=1"),
        ("--amp=false", "--amp=off"),
        ("--amp TRUE -bs 2", "--amp fp16 -bs 2"),
        ("--amp False", "--amp off"),
        ("--amp=bf16", "--amp=bf16"),
        ("--amp fp16", "--amp fp16"),
        ("--amp=perhaps", "--amp=perhaps"),
        ("--amp", "--amp"),
        ("--load_model True --trainer=True", "--load_model True --trainer=True"),
        ("", ""),
    ],
)
def test_true_and_false_stand_for_a_precision(typed: str, understood: str) -> None:
    assert with_precision(typed.split()) == understood.split()


@pytest.mark.parametrize(
    ("typed", "resumed"),
    [
        ("", "latest"),
        ("--load_model=True", "latest"),
        ("--load_model=False", None),
        ("--resume_model=a.pdparams", "a.pdparams"),
        ("--load_model=False --resume_model=a.pdparams", "a.pdparams"),
        ("--pretrained_model=b.pdparams", None),
    ],
)
def test_it_goes_on_from_the_newest_unless_told_otherwise(typed: str, resumed: str | None) -> None:
    given = read_options(typed.split())
    found = with_newest(given)
    assert found[RunSettings].resume_model == resumed
    same = {name: value for name, value in found.as_dict().items() if name != "resume_model"}
    assert same.items() <= given.as_dict().items()
