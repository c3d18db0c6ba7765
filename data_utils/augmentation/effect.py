"""What every effect is: checked settings, a draw of random values, and their application."""

import dataclasses
import math
import types
import typing
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_utils.errors import InputError
from data_utils.settings import option

Params = TypeVar("Params")


@dataclass(frozen=True, kw_only=True)
class Effect(ABC, Generic[Params]):
    """A random change of a wave `[samples]` or of features `[frames, bins]`, both float32.

    The fields of a subclass are the parameters of the configuration file. Drawing and applying are
    two steps: `draw` needs the generator and the shape only, `apply` is the same for the same
    `Params`, a small dataclass. Inputs are never changed in place.

    Raises:
        InputError: on construction, a value of the wrong type or out of range.
    """

    name: ClassVar[str]
    """What `type` says in the configuration file."""
    domain: ClassVar[Literal["wave", "features"]]

    prob: float = option(1.0, "share of the utterances that are changed", minimum=0.0, maximum=1.0)

    def __post_init__(self) -> None:
        kinds = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            _check(field.name, getattr(self, field.name), kinds[field.name], field.metadata)
        self.check()

    def check(self) -> None:
        """Raise InputError where parameters do not fit together."""
        return

    def unavailable(self) -> str | None:
        """Why the effect must be left out, in a line for the user; None where it can be used."""
        return None

    def describe(self) -> dict[str, Any]:
        """All that its changes follow from, beside the draws: JSON values."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Params | None:
        """Decide by `prob` whether an array of this shape is changed, and by how much.

        The first number of `rng` decides, the following are the values: they stay the same when
        `prob` changes.
        """
        return self.choose(rng, shape) if rng.random() < self.prob else None

    @abstractmethod
    def choose(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Params:
        """Draw the values of the change."""

    @abstractmethod
    def apply(self, array: NDArray[np.float32], params: Params) -> NDArray[np.float32]:
        """The changed array, float32 and not empty."""

    def __call__(self, array: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw, then apply; `array` itself where the draw leaves it alone."""
        params = self.draw(rng, array.shape)
        return array if params is None else self.apply(array, params)

    def check_order(self, low: str, high: str) -> None:
        """Raise InputError where the parameter named `low` exceeds the one named `high`."""
        smallest, largest = getattr(self, low), getattr(self, high)
        if smallest > largest:
            raise InputError(f"{low} {smallest} is larger than {high} {largest}; exchange them")


def _check(name: str, value: Any, kind: Any, metadata: typing.Mapping[str, Any]) -> None:
    if not _fits(value, kind):
        raise InputError(f"{name}: {_describe(kind)} expected, found {value!r}")
    low, high = metadata["minimum"], metadata["maximum"]
    for item in value if isinstance(value, list | tuple) else (value,):
        if item is None or isinstance(item, str):
            continue
        if (low is not None and item < low) or (high is not None and item > high):
            bounds = f"at least {low}" if high is None else f"between {low} and {high}"
            raise InputError(f"{name}: must be {bounds}, found {item}")


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, types.UnionType):
        return any(_fits(value, one) for one in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        inner = typing.get_args(kind)[0]
        return (
            isinstance(value, list | tuple) and bool(value) and all(_fits(v, inner) for v in value)
        )
    if isinstance(value, bool):
        return False
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return isinstance(value, kind)


def _describe(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join(_describe(one) for one in typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return "a list of whole numbers"
    words = {float: "a number", int: "a whole number", str: "text", types.NoneType: "null"}
    return words[kind]
