"""How many utterances were put into their class; counts are summed and divided once."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hits:
    """Utterances that were put into their class, of those that have one; sums are exact."""

    right: int = 0
    total: int = 0

    @property
    def rate(self) -> float:
        """The share that is right; nan where there was none."""
        return self.right / self.total if self.total else math.nan

    def __add__(self, other: "Hits") -> "Hits":
        return Hits(self.right + other.right, self.total + other.total)

    @property
    def detail(self) -> str:
        """`right 19 / 20`."""
        return f"right {self.right} / {self.total}"

    def format(self, name: str) -> str:
        """One line: `language: 0.95000 (right 19 / 20)`."""
        return f"{name}: {self.rate:.5f} ({self.detail})"
