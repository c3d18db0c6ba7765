"""Weights of another run, from which a new one starts, perhaps with more characters."""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_utils.classes import Classes
from data_utils.errors import InputError
from data_utils.settings import CorpusSettings
from data_utils.text import Vocabulary
from model_utils import differences
from model_utils.description import task_of
from model_utils.front_end import FRONT_END, FrontEndModel
from model_utils.options import Options
from model_utils.recogniser import HEAD_LAYER, OUTPUT_LAYER, Recogniser, resolve
from model_utils.settings import RunSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.checkpoint import Checkpoint

if TYPE_CHECKING:
    from paddle import nn

MARGIN = 1.0
"""How far, in logits, a new character starts below the mean of the known ones."""


def other_weights(run: RunSettings, task: str) -> "Callable[[nn.Layer], None] | None":
    """What sets the weights of `pretrained_model` that fit; None where none is named.

    Raises:
        InputError: they cannot be read, or are of another task.
    """
    if run.pretrained_model is None:
        return None
    source = checkpoint.load(run.pretrained_model, optimizer=False)
    if source.info is not None and (found := task_of(source.info)) != task:
        raise InputError(f"{source.path}: a model for {found}, not for {task}")
    return Pretrained(source).start


def extended(options: Options, saved: Checkpoint) -> Recogniser:
    """The recogniser of a checkpoint, knowing the new characters of `vocab_path` too.

    Its tokens keep their ids, those that are new stand behind them. Features, statistics, sizes and
    the treatment of unknown characters are the checkpoint's; it has no head.

    Raises:
        InputError: the checkpoint does not name its tokens, or an option contradicts it.
    """
    files = options[CorpusSettings]
    if saved.info is None:
        raise InputError(
            f"--extend_vocab: no {saved.path.stem}.json beside {saved.path}, which would say whose "
            f"the rows of its output layer are; leave the option out, and the layer starts anew "
            f"where its shape does not fit"
        )
    own = resolve(options, saved, None, None, files.unknown)
    for line in differences.of_statistics(own, files, saved.path):
        print(line, file=sys.stderr)
    vocabulary = own.vocabulary.extended(Vocabulary.load(files.vocab_path))
    return dataclasses.replace(own, vocabulary=vocabulary, head=None)


@dataclass(frozen=True)
class Pretrained:
    """What a new run takes over."""

    saved: Checkpoint
    new_layers: tuple[str, ...] = ()
    """Layers that keep their new weights, whatever the shapes."""

    @classmethod
    def of(cls, saved: Checkpoint, recogniser: Recogniser) -> "Pretrained":
        """Name what makes the weights of `saved` fit `recogniser` less well.

        Raises:
            InputError: they are not of a recogniser.
        """
        if saved.info is None:
            print(
                f"note: no {saved.path.stem}.json beside {saved.path}: only shapes can be "
                f"compared; vocabulary and features have to be those it was trained with",
                file=sys.stderr,
            )
            return cls(saved)
        other = Recogniser.of(saved.info, str(saved.path))
        if difference := differences.of_input(other, recogniser):
            print(
                f"warning: {saved.path} was trained on other features ({difference}); its weights "
                f"fit best with the features and the --mean_std_path it was trained with",
                file=sys.stderr,
            )
        difference = other.vocabulary.difference(recogniser.vocabulary)
        if not difference:
            return cls(saved)
        print(
            f"note: the vocabulary is not that of {saved.path}: {difference}; the output layer, "
            f"whose rows are its characters, starts anew (--extend_vocab keeps those of characters "
            f"that it knows)",
            file=sys.stderr,
        )
        return cls(saved, (OUTPUT_LAYER,))

    @classmethod
    def extending(cls, saved: Checkpoint, recogniser: Recogniser) -> "Pretrained":
        """The weights of `saved` with rows for the characters that `recogniser` knows beyond it.

        Args:
            saved: a checkpoint.
            recogniser: as `extended` made it from the same.

        Raises:
            InputError: its output layer has not a row for each of its tokens.
        """
        assert saved.info is not None, "extended() refuses weights alone"
        known = len(saved.info["vocabulary"])
        new = recogniser.vocabulary.tokens[known:]
        for name, value in saved.weights.items():
            if name.partition(".")[0] == OUTPUT_LAYER and value.shape[-1:] != (known,):
                raise InputError(
                    f"{saved.path}: {name} is {list(value.shape)} for {known} tokens; "
                    f"take another checkpoint"
                )
        shown = " ".join(new[:10]) + (" ..." if len(new) > 10 else "")
        print(
            f"note: the vocabulary is that of {saved.path}, {known} tokens, and {len(new)} new"
            f"{f' ({shown})' if new else ''}; features, statistics and sizes are its own",
            file=sys.stderr,
        )
        return cls(dataclasses.replace(saved, weights=with_new_rows(saved.weights, len(new))))

    def for_head(self, head: Classes) -> "Pretrained":
        """The same for a network with a head, which starts anew where its classes are others.

        Args:
            head: of the new run.
        """
        info = self.saved.info or {}
        other = None if info.get("head") is None else Classes.from_json(info["head"])
        if other is None or other.names == head.names:
            return self
        print(
            f"note: the head of {self.saved.path} tells {other.shown()}, this one {head.shown()}: "
            f"it starts anew",
            file=sys.stderr,
        )
        return dataclasses.replace(self, new_layers=(*self.new_layers, HEAD_LAYER))

    @property
    def front_end(self) -> FrontEndModel | None:
        """The front end that comes with the weights."""
        if self.saved.info is None:
            return None
        found = Recogniser.of(self.saved.info, str(self.saved.path)).front_end
        if found is None:
            return None
        settings = dataclasses.replace(found.settings, frontend=str(self.saved.path))
        return dataclasses.replace(found, settings=settings)

    def without_front_end(self) -> "Pretrained":
        """The same for a network whose front end comes from elsewhere."""
        return dataclasses.replace(self, new_layers=(*self.new_layers, FRONT_END))

    def start(self, network: "nn.Layer") -> None:
        """Set the weights of `network` that fit, and say which on either side do not."""
        left = _shown(checkpoint.set_fitting_weights(network, self.saved, self.new_layers))
        surplus = _shown(sorted(self.saved.weights.keys() - network.state_dict().keys()))
        line = f"pretrained: {self.saved.path}, all weights"
        line += f" but {', '.join(left)}" if left else ""
        line += f"; without a place in this network: {', '.join(surplus)}" if surplus else ""
        print(line)


def _shown(names: list[str]) -> list[str]:
    """Names of weights; a front end comes and goes as a whole."""
    short = (FRONT_END if name.partition(".")[0] == FRONT_END else name for name in names)
    return list(dict.fromkeys(short))


def with_new_rows(weights: Mapping[str, NDArray[Any]], count: int) -> dict[str, NDArray[Any]]:
    """The `weights` of a network, its output layer with `count` more tokens behind its own.

    Each new row is the mean of the known ones, its bias `MARGIN` lower: whatever comes in, a new
    token is less likely than the best known one, so that what is decoded stays the same until
    training says otherwise. Known rows stay as they are. Those of new tokens are alike, which the
    labels soon change.

    Args:
        weights: by name; those of the output layer are [inputs, tokens] and [tokens].
        count: of new tokens.
    """
    result = dict(weights)
    for name, rows in weights.items():
        if name.partition(".")[0] == OUTPUT_LAYER:
            row = rows.mean(axis=-1, keepdims=True, dtype=np.float64)
            if rows.ndim == 1:
                row = row - MARGIN
            new = np.repeat(row, count, axis=-1).astype(rows.dtype)
            result[name] = np.concatenate([rows, new], axis=-1)
    return result
