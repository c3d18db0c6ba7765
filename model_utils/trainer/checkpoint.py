"""Checkpoints: `23.pdparams` (weights), `23.pdopt` (optimizer) and `23.json` (all the rest).

The three are one set. Each is written under a temporary name, synced and renamed, the JSON last;
it holds the SHA-256 of its companions, so that a set that a crash cut off is known by its hashes.
Reading never runs code: pickles are opened by an unpickler that knows NumPy arrays alone.
"""

import contextlib
import hashlib
import io
import json
import pickle
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_utils.atomic import room, write_atomically
from data_utils.errors import InputError

if TYPE_CHECKING:  # a checkpoint is read before Paddle is set up and imported
    from paddle import Tensor, nn

WEIGHTS, OPTIMIZER, INFO = ".pdparams", ".pdopt", ".json"
BEST = "best"
"""Name of the checkpoint with the best score so far."""

AVERAGED = "averaged"
"""Key of the JSON of a mean: names of the checkpoints whose weights it is the mean of."""

_PADDLE_NOTES = "StructuredToParameterName@@"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read from disk."""

    path: Path
    """The weights file."""
    weights: dict[str, NDArray[Any]]
    optimizer: dict[str, NDArray[Any]] | None
    """None where it was not found, or not wanted."""
    info: dict[str, Any] | None
    """Content of the JSON; None where only weights were found."""

    @property
    def epoch(self) -> int:
        """The epoch that the weights come from: of the JSON, or of a name such as 50.pdparams."""
        if self.info is not None:
            return int(self.info["epoch"])
        number = re.fullmatch(r"(?:epoch_)?(\d+)", self.path.stem)
        if number is None:
            raise InputError(
                f"{self.path}: no {self.path.stem}.json beside it and no epoch in its name; "
                f"name it EPOCH.pdparams to go on from there, "
                f"or start anew from it with --pretrained_model"
            )
        return int(number[1])


def save(
    folder: Path,
    name: str,
    weights: Mapping[str, "Tensor"],
    optimizer: Mapping[str, "Tensor"] | None,
    info: Mapping[str, Any],
) -> Path:
    """Write the set `name` into `folder`, whole or not at all; return the weights' path.

    Args:
        folder: made if missing.
        name: "23", or "23_batch_2000" inside epoch 23.
        weights: the network's state.
        optimizer: the optimizer's state, see `optimisation.optimizer_state`; None for weights that
            no optimizer made, such as a mean.
        info: JSON values; the companions' hashes are added.

    Raises:
        InputError: the folder cannot be written, the disk is full, or a weight is not finite:
            what a run could not go on from never takes the place of what it can.
    """
    import paddle

    for key, value in weights.items():
        if value.stop_gradient:  # no parameter: its name, saved too, counts what was done before
            value.name = key
        if not bool(paddle.isfinite(value).all()):
            raise InputError(
                f"{folder / name}: not saved, {key} is not finite any more; try a smaller "
                f"--learning_rate or --grad_clip"
            )
    states = {WEIGHTS: weights} | ({} if optimizer is None else {OPTIMIZER: optimizer})
    paths = [folder / f"{name}{suffix}" for suffix in states]
    with room(folder, "checkpoint"), write_atomically(*paths) as temporaries:
        for (suffix, state), temporary in zip(states.items(), temporaries, strict=True):
            if suffix == WEIGHTS:
                state = {key: _alone(value) for key, value in state.items()}
            paddle.save(dict(state), str(temporary))
        hashes = dict(zip(states, map(sha256, temporaries), strict=True))
    with room(folder, "checkpoint"), write_atomically(folder / f"{name}{INFO}") as (temporary,):
        text = json.dumps({**info, "files": hashes}, ensure_ascii=False, indent=1)
        temporary.write_text(text, encoding="utf-8")
    if optimizer is None:  # that of an earlier set of this name is not of these weights
        (folder / f"{name}{OPTIMIZER}").unlink(missing_ok=True)
    return paths[0]


def _alone(value: "Tensor") -> "Tensor":
    """The value in memory of its own.

    Paddle keeps a recurrent layer's weights in one piece and, to save one, copies all of it: a
    network of 216 MB took 1.9 GB more.
    """
    copy = value.clone()
    copy.name = value.name
    return copy


def sweep(folder: Path, before: float) -> None:
    """Remove what saves left half written that were killed.

    Args:
        folder: of the checkpoints.
        before: a file that was touched later may be in work; seconds since 1970.
    """
    for path in folder.glob(".*.tmp"):
        if re.fullmatch(r"\..+\.(pdparams|pdopt|json)\.\d+\.tmp", path.name):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before:
                    path.unlink()


def prune(folder: Path, run: str, keep: int, epochs: Collection[int] = ()) -> None:
    """Remove the older checkpoints of a run.

    Args:
        folder: of the checkpoints.
        run: whose; those of other runs stay, and so does `best`.
        keep: how many of the newest stay.
        epochs: whose own checkpoints stay too.
    """
    own = []
    for path, info in _described(folder):
        progress = info.get("progress", {})
        if path.stem != BEST and progress.get("run") == run:
            own.append((progress.get("step", 0), path))
    for _, path in sorted(own)[:-keep]:
        if path.stem not in map(str, epochs):
            # The description first: without it the rest is known to be none.
            for suffix in (INFO, OPTIMIZER, WEIGHTS):
                path.with_suffix(suffix).unlink(missing_ok=True)


def latest(folder: Path) -> Path | None:
    """The newest checkpoint of a folder that is whole; None where there is none.

    One that a crash cut off has no description, or hashes that do not fit, and is passed over. So
    is a mean of others: no run goes on from it.
    """
    found = [
        (path.with_suffix(INFO).stat().st_mtime_ns, info.get("progress", {}).get("step", 0), path)
        for path, info in _described(folder)
        if path.stem != BEST and AVERAGED not in info
    ]
    for *_, path in sorted(found, reverse=True):
        with contextlib.suppress(InputError):
            return load(path).path
    return None


def newest(path: str) -> str:
    """The checkpoint that `path` names; of a folder, the newest that is whole.

    Raises:
        InputError: the folder has none.
    """
    if not Path(path).is_dir():
        return path
    found = latest(Path(path))
    if found is None:
        raise InputError(f"{path}: no checkpoint in this folder; name one, or another folder")
    return str(found)


def _described(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The weights files in `folder` that have a description, with it."""
    for path in folder.glob(f"*{WEIGHTS}"):
        with contextlib.suppress(InputError):
            info = read_info(path)
            if info is not None:
                yield path, info


def amend(path: Path, **changes: Any) -> None:
    """Change entries of the JSON beside the weights at `path`; weights and optimizer stay."""
    info = read_info(path)
    target = path.with_suffix(INFO)
    with room(path.parent, "checkpoint"), write_atomically(target) as (temporary,):
        text = json.dumps({**(info or {}), **changes}, ensure_ascii=False, indent=1)
        temporary.write_text(text, encoding="utf-8")


def load(path: str | Path, *, optimizer: bool = True) -> Checkpoint:
    """Read a checkpoint; the optimizer's state and the JSON may be missing.

    Args:
        path: the weights file, its suffix may be left out.
        optimizer: whether its state is wanted; what only computes does not read it.

    Raises:
        InputError: a file is missing, damaged, not of its set, or holds more than arrays.
    """
    weights = weights_path(path)
    if not weights.is_file():
        if Path(path).is_dir():
            raise InputError(f"{path}: is a folder; {_inside(Path(path))}")
        raise InputError(f"{weights}: file not found; give the path of a .pdparams file")
    info = read_info(weights)
    hashes = (info or {}).get("files", {})
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    for suffix in (WEIGHTS, OPTIMIZER) if optimizer else (WEIGHTS,):
        # By suffix: a set may be copied under another name.
        companion, expected = weights.with_suffix(suffix), hashes.get(suffix)
        if not companion.is_file():
            continue
        if expected and sha256(companion) != expected:
            raise InputError(
                f"{companion}: does not belong to {weights.with_suffix(INFO).name} "
                f"(SHA-256 differs); it is damaged or of another save, take another checkpoint"
            )
        arrays[suffix] = read_arrays(companion)
    return Checkpoint(weights, arrays[WEIGHTS], arrays.get(OPTIMIZER), info)


def weights_path(path: str | Path) -> Path:
    """The weights file that `path` names, whose suffix may be left out.

    Raises:
        InputError: it names none.
    """
    named = Path(path)
    if not named.name:
        raise InputError(f"{str(path)!r}: no checkpoint; give the path of a .pdparams file")
    return named if named.suffix == WEIGHTS else named.with_name(named.name + WEIGHTS)


def _inside(folder: Path) -> str:
    """What to give in place of a folder."""
    found = sorted(folder.glob(f"*{WEIGHTS}"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        return "there is no checkpoint in it, give the path of a .pdparams file"
    return (
        f"give a checkpoint in it, such as {found[-1]}; train.py takes the newest of its "
        f"--output_model_dir by --resume_model=latest"
    )


def read_info(path: Path) -> dict[str, Any] | None:
    """The JSON beside the weights at `path`; None where there is none.

    Raises:
        InputError: it is damaged, or not the description of a checkpoint.
    """
    path = path.with_suffix(INFO)
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); take another checkpoint") from None
    problem = ""
    if not isinstance(info, dict):
        problem = "it is no JSON object"
    elif type(info.get("epoch")) is not int or info["epoch"] < 0:
        problem = "it names no epoch"
    else:
        for key in ("files", "progress", "plan", "options", "device", "versions"):
            if not isinstance(info.get(key, {}), dict):
                problem = f"{key} is no JSON object"
    if problem:
        raise InputError(
            f"{path}: not the description of a checkpoint, {problem}; take another checkpoint"
        )
    return info


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a `.pdparams` or `.pdopt` file, by name, without running anything in it.

    Raises:
        InputError: the file is damaged, or asks for more than NumPy arrays.
    """
    try:
        content = _ArraysOnly(io.BytesIO(path.read_bytes())).load()
    except _Forbidden as error:
        raise InputError(
            f"{path}: refused, it asks to run {error}; get it from a trusted source"
        ) from None
    except Exception as error:  # a broken pickle may raise nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: not a Paddle state file, or damaged ({reason})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: a dictionary of arrays expected, found {type(content).__name__}")
    arrays = {}
    for name, value in content.items():
        if name == _PADDLE_NOTES:
            continue
        # Paddle 2 writes a parameter as (its own name, array).
        array = value[1] if isinstance(value, tuple) and len(value) == 2 else value
        if isinstance(array, np.ndarray | np.generic | int | float):
            arrays[str(name)] = np.asarray(array)
    return arrays


class _Forbidden(Exception):
    """A pickle asks for something that is not an array."""


class _ArraysOnly(pickle.Unpickler):
    """Knows the four names that a pickled NumPy array needs, and nothing else."""

    _ALLOWED = frozenset(
        {
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("_codecs", "encode"),
            ("collections", "OrderedDict"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise _Forbidden(f"{module}.{name}")
        if name == "_reconstruct":
            module = (
                "numpy._core.multiarray"
                if np.lib.NumpyVersion(np.__version__) >= "2.0.0"
                else "numpy.core.multiarray"
            )
        return super().find_class(module, name)


def weights_of(network: "nn.Layer") -> dict[str, "Tensor"]:
    """The network's state by name, each tensor once.

    Paddle lists the weights of a recurrent layer under two names, which would double the file.
    """
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in network.state_dict().items():
        if id(value) not in seen:
            seen.add(id(value))
            state[name] = value
    return state


def set_weights(network: "nn.Layer", checkpoint: Checkpoint) -> None:
    """Set every weight of `network` from a checkpoint of the same sizes.

    Raises:
        InputError: a weight is missing, too many, or of another shape.
    """
    wanted = weights_of(network)
    shapes = {name: tuple(value.shape) for name, value in wanted.items()}
    found = fitting(checkpoint, shapes, network.state_dict().keys())
    for name, value in wanted.items():
        value.set_value(found[name])


def fitting(
    checkpoint: Checkpoint, shapes: Mapping[str, tuple[int, ...]], known: Collection[str]
) -> dict[str, NDArray[np.float32]]:
    """The weights of a checkpoint, which are those of a network's sizes.

    Args:
        checkpoint: as it was read.
        shapes: of each weight that the network has, by name.
        known: names that may be there too, see `weights_of`.

    Raises:
        InputError: a weight is missing, too many, or of another shape.
    """
    for name, shape in shapes.items():
        if name not in checkpoint.weights:
            raise InputError(f"{checkpoint.path}: no weight {name!r}; it is of another network")
        found = checkpoint.weights[name].shape
        if found != shape:
            raise InputError(
                f"{checkpoint.path}: {name} is {list(found)}, this network needs "
                f"{list(shape)}; give the sizes it was trained with"
            )
    surplus = sorted(checkpoint.weights.keys() - shapes.keys() - set(known))
    if surplus:
        raise InputError(
            f"{checkpoint.path}: weight {surplus[0]!r} has no place in this network; "
            f"give the sizes it was trained with"
        )
    return {name: checkpoint.weights[name].astype(np.float32, copy=False) for name in shapes}


def set_fitting_weights(
    network: "nn.Layer", checkpoint: Checkpoint, new_layers: Collection[str] = ()
) -> list[str]:
    """Set the weights that fit, as pretraining wants it; return the names of those left as made.

    Args:
        network: with new weights.
        checkpoint: of a network of the same kind, perhaps of other sizes.
        new_layers: layers of the network that keep their weights, whatever the shapes.

    Raises:
        InputError: nothing fits.
    """
    left = []
    wanted = weights_of(network)
    for name, value in wanted.items():
        found = checkpoint.weights.get(name)
        fits = found is not None and found.shape == tuple(value.shape)
        if found is not None and fits and name.partition(".")[0] not in new_layers:
            value.set_value(found.astype(np.float32, copy=False))
        else:
            left.append(name)
    if len(left) == len(wanted):
        raise InputError(f"{checkpoint.path}: no weight fits this network")
    return left


def sha256(path: Path) -> str:
    """The digest of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
