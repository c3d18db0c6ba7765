"""The factor of mixed precision, which only a GPU computes with."""

import pytest

from data_utils.errors import InputError
from model_utils.runtime import Device
from model_utils.trainer.precision import FIRST_SCALE, GROWTH_STEPS, Precision

CPU, GPU = Device("cpu", "plain", 1), Device("gpu:0", "plain", 1)


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_a_cpu_refuses_it(amp: str) -> None:
    with pytest.raises(InputError, match=f"--amp={amp}: mixed precision needs a GPU"):
        Precision(amp, CPU)  # type: ignore[arg-type]


def test_off_and_bf16_scale_nothing() -> None:
    for precision in (Precision("off", CPU), Precision("bf16", GPU)):
        precision.judge(False)
        assert precision.scale == 1.0 and not precision.is_searching and precision.state() == {}


def test_the_scale_halves_with_each_overflow_and_doubles_after_many_good_steps() -> None:
    precision = Precision("fp16", GPU)
    for _ in range(3):
        precision.judge(False)
    assert precision.scale == FIRST_SCALE / 8 and precision.is_searching
    for _ in range(GROWTH_STEPS - 1):
        precision.judge(True)
    assert precision.scale == FIRST_SCALE / 8
    other = Precision("fp16", GPU)
    other.restore(precision.state())
    for each in (precision, other):
        each.judge(True)
        assert each.scale == FIRST_SCALE / 4
    for _ in range(100):
        precision.judge(False)
    assert precision.scale == 1.0 and not precision.is_searching
