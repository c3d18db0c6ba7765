"""What effects that draw from recordings share: a manifest of these, which may be missing."""

import functools
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from data_utils.augmentation.effect import Effect, Params
from data_utils.augmentation.sounds import Sounds, missing
from data_utils.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class RecordedEffect(Effect[Params]):
    """An effect that needs the recordings of a manifest."""

    chinese: ClassVar[str]
    """Its name in the line that users know from older packages."""

    @property
    @abstractmethod
    def manifest_path(self) -> str:
        """The manifest of its recordings."""

    def unavailable(self) -> str | None:
        """The line for the user where the manifest is missing or empty.

        Otherwise the manifest is opened, so that workers get it with the effect.
        """
        reason = missing(self.manifest_path, self.chinese)
        if reason is None:
            _ = self.sounds
        return reason

    def describe(self) -> dict[str, Any]:
        """With which recordings the manifest lists, wherever it lies."""
        return {**super().describe(), "recordings": Manifest.open(self.manifest_path).digest()}

    @functools.cached_property
    def sounds(self) -> Sounds:
        """The recordings of the manifest.

        Raises:
            InputError: the manifest cannot be read.
        """
        return Sounds(Manifest.open(self.manifest_path))
