"""From the settings of a command to its flags, its JSON5 file, its help and its table.

Every option is declared once, in a dataclass beside the code it steers, with
`data_utils.settings.option`. This module composes several of them for a command. A value comes from
the flag on the command line, else from `--config FILE`, else from the default.
"""

import argparse
import contextlib
import dataclasses
import io
import math
import os
import re
import shlex
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from data_utils.errors import InputError, suggestion

Settings = TypeVar("Settings")

TITLE = "-----------  Configuration Arguments -----------"
RULE = "-" * 48

_SHORT = 3
"""Letters of an alias that may stand behind a single dash: -lr."""

_FALSE = {"false", "no", "off", "0"}
_TRUE = {"true", "yes", "on", "1"}


@dataclasses.dataclass(frozen=True)
class Reserved:
    """An option that users of older packages give and that is not built yet.

    Its defaults are accepted and change nothing; any other value is refused.
    """

    name: str
    defaults: tuple[Any, ...]


class Options:
    """The resolved options of one command: `options[FeatureSettings]` is that settings object."""

    def __init__(self, command: str, groups: Mapping[type, Any], given: frozenset[str]) -> None:
        self.command = command
        self._groups = dict(groups)
        self.given = given
        """Names that the command line or the configuration file set, rather than a default."""

    def __getitem__(self, settings: type[Settings]) -> Settings:
        return self._groups[settings]

    def replaced(self, *groups: Any) -> "Options":
        """These options with other settings objects in the place of those of the same classes."""
        changed = self._groups | {type(group): group for group in groups}
        return Options(self.command, changed, self.given)

    def spellings(self, names: Collection[str]) -> set[str]:
        """These options and their other names."""
        fields = [field for group in self._groups for field in dataclasses.fields(group)]
        others = {a for f in fields if f.name in names for a in f.metadata["aliases"]}
        return {*names, *others}

    def as_dict(self) -> dict[str, Any]:
        """Every option by name, for the table and the checkpoint."""
        return {
            field.name: getattr(group, field.name)
            for group in self._groups.values()
            for field in dataclasses.fields(group)
        }

    def table(self) -> str:
        """The table that training prints: one `name: value` a line, sorted."""
        values = self.as_dict()
        lines = [
            f"{name}: {','.join(map(str, value)) if isinstance(value, tuple) else value}"
            for name, value in sorted(values.items())
        ]
        return "\n".join([TITLE, *lines, RULE])


def parse(
    command: str,
    settings: Sequence[type],
    argv: Sequence[str] | None = None,
    *,
    description: str = "",
    reserved: Sequence[Reserved] = (),
    shares_config_with: Sequence[type] = (),
    defaults: Mapping[str, Any] | None = None,
    positional: str | None = None,
) -> Options:
    """Read the options of `command` from `argv`, and from the file that `--config` names.

    Args:
        command: the command's name, for messages.
        settings: dataclasses whose fields are the options.
        argv: arguments without the program's name; `sys.argv[1:]` by default.
        description: first lines of `--help`.
        reserved: options that are known but not built yet.
        shares_config_with: settings of another command, whose file may be given too: of one with
            a key that only that command knows, the settings that both have are taken, no others.
        defaults: of some options, in the place of those that they were declared with.
        positional: the option, a list, that what stands on the command line without a name is.

    Raises:
        InputError: an unknown option or key, or a value of the wrong type or out of range.
    """
    own = defaults or {}
    fields = {field.name: field for group in settings for field in dataclasses.fields(group)}
    kinds = {
        name: kind
        for group in settings
        for name, kind in typing.get_type_hints(group).items()
        if name in fields
    }
    aliases = {alias: name for name, field in fields.items() for alias in field.metadata["aliases"]}
    parser = _parser(command, description, settings, kinds, reserved, own)
    arguments = _joined(sys.argv[1:] if argv is None else argv)
    if positional is None:
        given = vars(parser.parse_args(arguments))
    else:
        given = _with_unnamed(parser, arguments, positional)

    values: dict[str, Any] = {}
    config = given.pop("config", None)
    if config not in (None, "None"):
        known = {*_flag_names(settings), *(item.name for item in reserved)}
        others = _flag_names(shares_config_with)
        content = _read_config(Path(config), known | others)
        if not content.keys() <= known:  # the other command's file
            known = _flag_names([group for group in settings if group in shares_config_with])
        for key, value in content.items():
            name = aliases.get(key, key)
            if name in values:
                raise InputError(f"{config}: {name} is given twice, as {key!r} too; keep one")
            if key in known:
                values[name] = (value, f"{config}: {key}")
    values.update({name: (value, f"--{name}") for name, value in given.items()})

    for item in reserved:
        value, origin = values.pop(item.name, (None, ""))
        if origin:
            _refuse_reserved(item, value, origin)
    converted = {
        name: convert(value, kinds[name], fields[name].metadata, origin)
        for name, (value, origin) in values.items()
    }
    in_force = {**own, **converted}
    groups = {
        group: group(
            **{f.name: in_force[f.name] for f in dataclasses.fields(group) if f.name in in_force}
        )
        for group in settings
    }
    return Options(command, groups, frozenset(converted))


@dataclasses.dataclass(frozen=True)
class TaskOptions:
    """What a command may be told where it does one of several tasks."""

    settings: tuple[type, ...]
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of options that have other ones for this task."""


def parse_task(
    command: str,
    tasks: Mapping[str, TaskOptions],
    argv: Sequence[str] | None = None,
    *,
    description: str = "",
    reserved: Sequence[Reserved] = (),
    shares_config_with: Mapping[str, Sequence[type]] | None = None,
) -> Options:
    """Read the options of a command whose option `task` decides which others there are.

    Args:
        command: the command's name, for messages.
        tasks: by name; the first one is meant unless the command line or its file says otherwise.
        argv: arguments without the program's name; `sys.argv[1:]` by default.
        description: first lines of `--help`.
        reserved: options that are known but not built yet, of the first task alone.
        shares_config_with: settings of another command by task, whose file may be given too.

    Raises:
        InputError: no such task, or as `parse`.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    names = tuple(tasks)
    name, origin = _task_named(arguments) or (names[0], "")
    if name not in names:
        raise InputError(f"{origin}: {name!r} is not one of {', '.join(names)}")
    task = tasks[name]
    return parse(
        command,
        task.settings,
        arguments,
        description=description,
        reserved=reserved if name == names[0] else (),
        shares_config_with=(shares_config_with or {}).get(name, ()),
        defaults={**task.defaults, "task": name},
    )


def _task_named(arguments: Sequence[str]) -> tuple[str, str] | None:
    """The task that the command line names, or else its file; and where."""
    peek = _Parser(add_help=False, allow_abbrev=False)
    peek.add_argument("--task")
    peek.add_argument("-C", "--config")
    found, _ = peek.parse_known_args(arguments)
    if found.task is not None:
        return found.task, "--task"
    if found.config in (None, "None"):
        return None
    named = _config_content(Path(found.config)).get("task")
    return None if named is None else (str(named), f"{found.config}: task")


def command_again(
    options: Options, script: str | None = None, without: Collection[str] = (), **changed: Any
) -> str:
    """The command that was typed, with other values of some options.

    Args:
        options: that it was read as.
        script: that takes the same options; None: the one that was typed.
        without: options that are left out.
        changed: options with their new values.
    """
    kept, skip, dropped = [], False, options.spellings({*without, *changed})
    for argument in _joined(sys.argv[1:]):
        name = argument.lstrip("-").partition("=")[0]
        if argument.startswith("-") or not skip:
            skip = argument.startswith("-") and name in dropped
            if not skip:
                kept.append(argument)
    new = [f"--{name}={value}" for name, value in changed.items()]
    return shlex.join(["python", script or _typed(), *kept, *new])


def _typed() -> str:
    """The script as it was typed; of one elsewhere its name, as where it is belongs to nobody."""
    script = Path(sys.argv[0])
    return script.name if script.is_absolute() else script.as_posix()


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main`; a user's mistake is one line on stderr and exit code 2.

    Interrupted it leaves with 130, as shells count it, and silently with 141 where the reader of
    its output (head, less) has left. What the terminal cannot write is shown as escapes.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            status = main() or 0
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            status = 2
        finally:
            sys.stdout.flush()  # here, not after us, a reader that has left is noticed
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 128 + 2  # SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        status = 128 + 13  # SIGPIPE
    sys.exit(status)


_NEGATIVE = re.compile(r"-\.?\d")
"""How a value begins that argparse may take for an option, -5,0 say; no option begins so."""


def _joined(arguments: Sequence[str]) -> list[str]:
    """The arguments, a negative value joined with the name in front of it: --snrs=-5,0."""
    found: list[str] = []
    for argument in arguments:
        if _NEGATIVE.match(argument) and found and re.fullmatch(r"--\w+", found[-1]):
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


def _with_unnamed(parser: "_Parser", arguments: list[str], positional: str) -> dict[str, Any]:
    """What was given, all that has no name in front of what `positional` names.

    It may stand before options, between and behind them; behind -- everything is of it.
    """
    parser.add_argument("unnamed", nargs="*", metavar="FILE", help=f"as --{positional}")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given = vars(parser.parse_intermixed_args(arguments[:end]))
    if unnamed := [*given.pop("unnamed", ()), *arguments[end + 1 :]]:
        given[positional] = [*unnamed, *given.get(positional, ())]
    return given


def check_owners(
    options: Options, settings: type, choice: str, owners: Mapping[str, Sequence[str]]
) -> None:
    """Refuse options that belong to another value of the option `choice` than the chosen one.

    A default, written out, changes nothing and is let through: the files that runs leave hold all.

    Args:
        options: which of them were given, rather than defaults.
        settings: the group that holds them all.
        choice: option that decides.
        owners: by option, the values of `choice` that it belongs to.

    Raises:
        InputError: naming the first that does not belong.
    """
    chosen = vars(options[settings])[choice]
    for name, value in given_otherwise(options, settings).items():
        if chosen not in owners.get(name, (chosen,)):
            raise InputError(
                f"--{name}={value}: belongs to --{choice}={' or '.join(owners[name])}, "
                f"{chosen} has none; leave the option out"
            )


def given_otherwise(options: Options, settings: type) -> dict[str, Any]:
    """The options of a group that were given, and are not their defaults."""
    values = {field.name: field.default for field in dataclasses.fields(settings)}
    return {
        name: value
        for name, value in vars(options[settings]).items()
        if name in options.given and value != values[name]
    }


def _flag_names(settings: Sequence[type]) -> set[str]:
    fields = [field for group in settings for field in dataclasses.fields(group)]
    return {name for field in fields for name in (field.name, *field.metadata["aliases"])}


def convert(value: Any, kind: Any, metadata: Mapping[str, Any], origin: str) -> Any:
    """`value`, text from a flag or anything from JSON5, as the annotated type `kind`.

    `None`, `True` and `False` may be written as words. `origin` begins the message of an error.
    """
    alternatives = typing.get_args(kind) if _is_union(kind) else (kind,)
    inner = next(item for item in alternatives if item is not type(None))
    is_choice = typing.get_origin(inner) is Literal and value in typing.get_args(inner)
    is_word = isinstance(value, str) and value.strip().lower() in ("none", "null")
    if value is None or (is_word and not is_choice):  # "none" may be one of the choices
        if type(None) in alternatives:
            return None
        raise InputError(f"{origin}: a value is needed, None was given")
    if typing.get_origin(inner) in (tuple, list):
        # A tuple is written with commas, a list (of files, whose names may hold one) with spaces.
        split = [value] if typing.get_origin(inner) is list else str(value).split(",")
        items = value if isinstance(value, list | tuple) else split
        element = typing.get_args(inner)[0]
        return typing.get_origin(inner)(_scalar(item, element, origin) for item in items)
    if typing.get_origin(inner) is Literal:
        choices = typing.get_args(inner)
        if value not in choices:
            raise InputError(f"{origin}: {value!r} is not one of {', '.join(choices)}")
        return value
    return _in_range(_scalar(value, inner, origin), metadata, origin)


def from_json(settings: type[Settings], content: Any, origin: str) -> Settings:
    """The settings object whose `dataclasses.asdict` was written as JSON.

    Args:
        settings: its class; a field that is missing has its default.
        content: what was read.
        origin: where, the beginning of an error's message.

    Raises:
        InputError: `content` is no object, or a field is unknown, of the wrong type, out of range.
    """
    if not isinstance(content, dict):
        raise InputError(f"{origin}: an object expected, found {content!r}")
    fields: dict[str, dataclasses.Field[Any]] = {
        field.name: field
        for field in dataclasses.fields(settings)  # type: ignore[arg-type]
    }
    kinds = typing.get_type_hints(settings)
    for name in content:
        if name not in fields:
            raise InputError(f"{origin}: unknown {name!r}")
    return settings(
        **{
            name: convert(value, kinds[name], fields[name].metadata, f"{origin}.{name}")
            for name, value in content.items()
        }
    )


def read_bool(value: Any, origin: str) -> bool:
    """What a word such as True, no or 1 says; `origin` begins the message of an error."""
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise InputError(f"{origin}: True or False expected, found {value!r}")
    return word in _TRUE


def _scalar(value: Any, kind: type, origin: str) -> Any:
    if kind is bool:
        return read_bool(value, origin)
    if kind is str:
        if isinstance(value, dict | list):
            raise InputError(f"{origin}: text expected, found {value!r}")
        return str(value)
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or number != number or (kind is int and not number.is_integer()):
        expected = "a whole number" if kind is int else "a number"
        raise InputError(f"{origin}: {expected} expected, found {value!r}")
    return kind(number)


def _in_range(value: Any, metadata: Mapping[str, Any], origin: str) -> Any:
    low, high = metadata["minimum"], metadata["maximum"]
    if value in (math.inf, -math.inf) and value not in (low, high):
        raise InputError(f"{origin}: a finite number expected, found {value}")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low}" if high in (None, math.inf) else f"at most {high}"
        if low is not None and high not in (None, math.inf):
            bounds = f"between {low} and {high}"
        raise InputError(f"{origin}: must be {bounds}, found {value}")
    return value


def _is_union(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def _refuse_reserved(item: Reserved, value: Any, origin: str) -> None:
    for default in item.defaults:
        with contextlib.suppress(InputError):
            if _scalar(value, type(default), origin) == default:
                return
    raise InputError(
        f"{origin}: {value} is not available in this version; "
        f"leave it at {' or '.join(map(str, item.defaults))}"
    )


def _read_config(path: Path, known: set[str]) -> dict[str, Any]:
    content = _config_content(path)
    for key in content:
        if key not in known:
            raise InputError(f"{path}: unknown key {key!r}{suggestion(key, known)}")
    return content


def _config_content(path: Path) -> dict[str, Any]:
    import json5

    try:
        text = path.read_text(encoding="utf-8-sig")
        content = json5.loads(text, allow_duplicate_keys=False)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON5: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: an object of options expected, found {type(content).__name__}")
    return content


class _Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are an InputError of one line."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: "):
            unknown = message.removeprefix("unrecognized arguments: ").split()[0].split("=")[0]
            raise InputError(
                f"unknown option {unknown}{suggestion(unknown, self._option_string_actions)}; "
                f"{self.prog} --help lists them all"
            )
        raise InputError(f"{message}; {self.prog} --help lists the options")


def _parser(
    command: str,
    description: str,
    settings: Sequence[type],
    kinds: Mapping[str, Any],
    reserved: Sequence[Reserved],
    defaults: Mapping[str, Any],
) -> _Parser:
    parser = _Parser(
        prog=command,
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-C", "--config", metavar="FILE", help="JSON5 file of options; flags override it"
    )
    for group in settings:
        for field in dataclasses.fields(group):
            _add_flag(parser, field, kinds[field.name], defaults.get(field.name, field.default))
    for item in reserved:
        shown = " or ".join(map(str, item.defaults))
        parser.add_argument(
            f"--{item.name}",
            nargs="?",
            const="True",
            metavar="VALUE",
            help=f"known from older packages, not built yet: only {shown} is accepted",
        )
    return parser


def _add_flag(parser: _Parser, field: "dataclasses.Field[Any]", kind: Any, default: Any) -> None:
    meta = field.metadata
    inner = next(item for item in (typing.get_args(kind) if _is_union(kind) else (kind,)))
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    unit = f" {meta['unit']}" if meta["unit"] and default is not None else ""
    text = f"{meta['help']} [{default}{unit}]".replace("%", "%%")
    short = [f"-{alias}" for alias in meta["aliases"] if len(alias) <= _SHORT]
    names = [*short, *(f"--{alias}" for alias in meta["aliases"] if len(alias) > 1)]
    extra: dict[str, Any] = {}
    if typing.get_origin(inner) is Literal:
        extra["metavar"] = "|".join(typing.get_args(inner))
    elif typing.get_origin(inner) is list:
        extra.update(nargs="+", action="extend", metavar="FILE")
    elif typing.get_origin(inner) is tuple:
        extra["metavar"] = "A,B,..."
    elif inner is bool:
        extra.update(nargs="?", const="True", metavar="True|False")
    else:
        extra["metavar"] = inner.__name__.upper()
    parser.add_argument(f"--{field.name}", *names, dest=field.name, help=text, **extra)
