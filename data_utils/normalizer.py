"""Mean and standard deviation of each feature bin: accumulate, merge, save, apply."""

import dataclasses
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from data_utils.atomic import is_replaceable, write_atomically
from data_utils.errors import InputError
from data_utils.features import num_bins
from data_utils.settings import FeatureSettings, MeanStdSettings

KIND = re.compile(rb"PK\x03\x04.{26}(mean|std|settings)\.npy", re.S)
"""How a file of statistics begins."""

MIN_STD = 1e-3
"""Bins of speech vary by 1 or so; one that hardly varies is constant and must not be blown up."""

# What NumPy, zipfile and json raise over a file that is cut, altered, or something else altogether.
_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Statistics:
    """Count, mean and sum of squared deviations of frames, float64 `[bins]`.

    Two of them merge into exactly that of all frames (Chan, Golub and LeVeque 1979, Updating
    formulae and a pairwise algorithm for computing sample variances, eq. 2.1). Squares of large
    values are never subtracted from each other, so no precision is lost however many frames.
    """

    count: int
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @classmethod
    def of(cls, features: ArrayLike) -> "Statistics":
        """The statistics of `features` `[frames, bins]`, at least one frame."""
        frames = np.asarray(features, dtype=np.float64)
        mean = frames.mean(axis=0)
        return cls(len(frames), mean, np.square(frames - mean).sum(axis=0))

    def update(self, features: ArrayLike) -> "Statistics":
        """These statistics with the frames of `features` `[frames, bins]` taken in."""
        return self.merge(Statistics.of(features))

    def merge(self, other: "Statistics") -> "Statistics":
        """The statistics of both sets of frames together."""
        count = self.count + other.count
        step = other.mean - self.mean
        return Statistics(
            count,
            self.mean + step * (other.count / count),
            self.m2 + other.m2 + np.square(step) * (self.count * other.count / count),
        )

    @property
    def std(self) -> NDArray[np.float64]:
        """Standard deviation over all frames (divided by their count, not one less)."""
        return np.sqrt(self.m2 / self.count)


class Normalizer:
    """Brings each feature bin to mean 0 and standard deviation 1."""

    def __init__(
        self, mean: ArrayLike, std: ArrayLike, settings: FeatureSettings | None = None
    ) -> None:
        """Take over mean and standard deviation.

        Args:
            mean: `[bins]`, or `[bins, 1]` as files hold it.
            std: likewise; values below `MIN_STD` are raised to it.
            settings: the feature settings they belong to; None where an old file did not say.
        """
        self.mean = np.asarray(mean, dtype=np.float64).reshape(-1)
        self.std = np.maximum(np.asarray(std, dtype=np.float64).reshape(-1), MIN_STD)
        self.settings = settings
        self._shift = self.mean.astype(np.float32)
        self._scale = (1 / self.std).astype(np.float32)

    @property
    def num_bins(self) -> int:
        """Values per frame of the features that it fits."""
        return len(self.mean)

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """`features` `[frames, bins]` with each bin at mean 0 and deviation 1, float32."""
        return (features.astype(np.float32, copy=False) - self._shift) * self._scale

    def difference(self, other: "Normalizer") -> str:
        """What tells `other` from these statistics; empty if they are the same but for rounding."""
        if self.num_bins != other.num_bins:
            return f"{other.num_bins} bins in place of {self.num_bins}"
        for name in ("mean", "std"):
            own, its = getattr(self, name), getattr(other, name)
            if not np.allclose(its, own, rtol=1e-4, atol=1e-4):
                worst = int(np.abs(its - own).argmax())
                return f"{name} of bin {worst} is {its[worst]:.6g} in place of {own[worst]:.6g}"
        return ""

    def save(self, path: str | Path) -> None:
        """Write a `.npz` of `mean` and `std`, `[bins, 1]`, and the `settings` as JSON text.

        Raises:
            InputError: the file cannot be written.
        """
        stored = self.to_dict()["settings"]
        with write_atomically(path) as [temporary], temporary.open("wb") as stream:
            np.savez(
                stream,
                mean=self.mean[:, np.newaxis],
                std=self.std[:, np.newaxis],
                settings=np.array(json.dumps(stored)),
            )

    @classmethod
    def load(cls, path: str | Path, expected: FeatureSettings | None = None) -> "Normalizer":
        """Read what `save` or an older package wrote.

        Args:
            path: the `.npz` file.
            expected: settings of the features that will be normalised; None accepts any.

        Raises:
            InputError: the file is missing or damaged, or was made with other settings.
        """
        remedy = f"make it with: {_command(expected or FeatureSettings(), path)}"
        if not Path(path).is_file():
            raise InputError(f"{path}: file not found; {remedy}")
        try:
            with np.load(path, allow_pickle=False) as file:
                mean, std = file["mean"], file["std"]
                stored = json.loads(str(file["settings"])) if "settings" in file else None
            normalizer = cls.from_dict({"mean": mean, "std": std, "settings": stored})
        except _DAMAGE:
            if not is_replaceable(Path(path), KIND):
                default = MeanStdSettings().output_path
                remedy = f"make one with: {_command(expected or FeatureSettings(), default)}"
            raise InputError(f"{path}: holds no usable mean and std; {remedy}") from None
        if expected is not None:
            normalizer.check(expected, path)
        return normalizer

    def check(self, expected: FeatureSettings, path: str | Path) -> None:
        """Refuse features of other settings than these statistics were made with.

        Args:
            expected: settings of the features that will be normalised.
            path: where the statistics came from, for the message.

        Raises:
            InputError: the settings differ, or only the bins where an old file holds no settings.
        """
        again = f"make it again with: {_command(expected, path)}"
        if self.settings is not None:
            found, wanted = in_force(self.settings), in_force(expected)
            differences = [
                f"{name} {found[name]} where {wanted[name]} is wanted"
                for name in wanted
                if name in found and found[name] != wanted[name]
            ]
            if differences:
                flags = " ".join(
                    f"--{name}={value}"
                    for name, value in found.items()
                    if value != getattr(expected, name)
                )
                raise InputError(
                    f"{path}: made with {', '.join(differences)}; give the --config it was made "
                    f"with or {flags}, or {again}"
                )
        if self.num_bins != num_bins(expected):
            raise InputError(
                f"{path}: statistics of {self.num_bins} bins where feature_type "
                f"{expected.feature_type} has {num_bins(expected)}; {again}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Mean, std and settings as plain lists and numbers; JSON keeps them bit for bit."""
        return {
            "mean": self.mean.tolist(),
            "std": self.std.tolist(),
            "settings": None if self.settings is None else dataclasses.asdict(self.settings),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Normalizer":
        """What `to_dict` gave.

        Raises:
            ValueError, TypeError, KeyError: `content` is nothing of the kind.
        """
        stored = content["settings"]
        settings = None if stored is None else FeatureSettings(**stored)
        mean, std = np.asarray(content["mean"], float), np.asarray(content["std"], float)
        if mean.size != std.size or not mean.size:
            raise ValueError(f"{mean.size} means and {std.size} deviations")
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std >= 0).all()):
            raise ValueError("means and deviations must be finite, deviations not negative")
        return cls(mean, std, settings)


def in_force(settings: FeatureSettings) -> dict[str, Any]:
    """The settings by name, without those that change nothing beside the others."""
    values = dataclasses.asdict(settings)
    if settings.feature_type != "fbank":
        del values["num_mel_bins"]
    if not settings.use_db_normalization:
        del values["target_db"]
    return values


def _command(settings: FeatureSettings, path: str | Path) -> str:
    """The command that makes statistics for these settings."""
    flags = [
        f"--{field.name}={getattr(settings, field.name)}"
        for field in dataclasses.fields(settings)
        if field.name in in_force(settings) and getattr(settings, field.name) != field.default
    ]
    return " ".join(["python tools/compute_mean_std.py", f"--output_path={path}", *flags])
