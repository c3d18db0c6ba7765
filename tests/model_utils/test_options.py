"""Options: from one definition the flags, the file's keys, the table and the help."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from data_utils.errors import InputError
from data_utils.settings import CorpusSettings, FeatureSettings, MeanStdSettings, option
from inference.settings import (
    DECODER_OPTIONS,
    INFERENCE_OPTIONS,
    EvaluationSettings,
    TranscriptionSettings,
)
from model_utils.options import (
    RULE,
    TITLE,
    Options,
    Reserved,
    TaskOptions,
    check_owners,
    command_again,
    parse,
    parse_task,
    run_command,
)
from model_utils.settings import (
    TRAINING,
    NetworkSettings,
    OptimisationSettings,
    RunSettings,
    ScheduleSettings,
)

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Things:
    """One of every kind."""

    count: int = option(3, "how many", minimum=1, maximum=9)
    ratio: float = option(0.5, "how much", minimum=0, aliases=("r", "share"))
    name: str = option("none of all", "what")
    path: str | None = option(None, "where")
    loud: bool = option(False, "whether")
    quiet: bool = option(True, "whether not")
    colour: Literal["red", "green"] = option("red", "which")
    limit: float | None = option(1.5, "up to", unit="s", maximum=float("inf"))
    parts: tuple[str, ...] = option(("a",), "with commas")
    files: list[str] | None = option(None, "with spaces")


@dataclass(frozen=True)
class Others:
    """Of another command."""

    foreign: int = option(1, "not ours")


OLD = (Reserved("beam_size", (10, 300)), Reserved("is_long", (False,)), Reserved("top", (1.0,)))

WriteConfig = Callable[[str], str]


@pytest.fixture
def config(tmp_path: Path) -> WriteConfig:
    def write(text: str) -> str:
        path = tmp_path / "some.json5"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def read(*argv: str, **keywords: Any) -> Options:
    return parse("command.py", [Things], argv, reserved=OLD, **keywords)


def things(*argv: str) -> Things:
    return read(*argv)[Things]


def refused(*argv: str, command: Sequence[type] = (Things,)) -> str:
    with pytest.raises(InputError) as error:
        parse("command.py", command, argv, reserved=OLD)
    assert "\n" not in str(error.value)
    return str(error.value)


# Where a value comes from


def test_defaults_then_config_then_flags(config: WriteConfig) -> None:
    assert things() == Things()
    file = config("{ratio: 0.25, count: 4}")
    assert things(f"--config={file}") == Things(ratio=0.25, count=4)
    assert things("--count=5", f"--config={file}") == Things(ratio=0.25, count=5)
    assert things("--count", "5", "-C", file, "--ratio", "2") == Things(ratio=2.0, count=5)
    assert things("--config=None") == Things()
    assert read("--count=3", "-C", file).given == {"count", "ratio"}, "a default given counts too"


def test_aliases_are_flags_and_keys(config: WriteConfig) -> None:
    assert things("--share=0.75").ratio == things("-r", "0.75").ratio == 0.75
    file = config("{share: 0.125}")
    assert things("-C", file).ratio == 0.125
    assert things("-C", file, "-r", "1").ratio == 1.0
    assert read("--share=1").given == {"ratio"}
    optimisation = parse("train.py", TRAINING, ["--lr=0.5", "--epochs=7"])
    assert optimisation[ScheduleSettings].learning_rate == 0.5
    assert optimisation[RunSettings].num_epoch == 7


def test_a_key_twice_in_one_file_is_refused(config: WriteConfig) -> None:
    assert "ratio" in refused("-C", config("{ratio: 1, ratio: 2}"))


@pytest.mark.parametrize("preset", sorted((ROOT / "conf").glob("quickstart.json5")))
def test_the_shipped_preset_serves_every_command_around_training(preset: Path) -> None:
    argv = ["-C", str(preset)]
    shared = [NetworkSettings, FeatureSettings]
    trained = parse("train.py", TRAINING, argv)
    for command in ([EvaluationSettings], [TranscriptionSettings], [MeanStdSettings]):
        read = parse("other.py", [*command, *shared], argv, shares_config_with=TRAINING)
        assert all(read[group] == trained[group] for group in shared)
        assert read[command[0]] == command[0](), "the other command's own options stay as they are"


def test_a_name_and_its_alias_in_one_file_are_refused(config: WriteConfig) -> None:
    message = refused("-C", config("{ratio: 1, share: 2}"))
    assert "ratio is given twice" in message and "share" in message


def test_a_file_may_serve_two_commands(config: WriteConfig) -> None:
    file = config("{foreign: 'anything', count: 2}")
    assert read("-C", file, shares_config_with=[Others, Things])[Things] == Things(count=2)
    assert read("-C", file, shares_config_with=[Others])[Things] == Things(), "not its count"
    assert "unknown key 'foreign'" in refused("-C", file)
    with pytest.raises(InputError, match="unknown option --foreign"):
        read("--foreign=2", shares_config_with=[Others])
    own = config("{count: 2}")
    assert read("-C", own, shares_config_with=[Others])[Things] == Things(count=2)


# What a value may be


@pytest.mark.parametrize("word", ["None", "none", "null", " None "])
def test_none_is_a_word(word: str) -> None:
    assert things(f"--path={word}").path is None
    assert things(f"--limit={word}").limit is None
    assert "--count: a value is needed" in refused(f"--count={word}")
    assert "--name: a value is needed" in refused(f"--name={word}")


@pytest.mark.parametrize(
    ("words", "value"),
    [(["True", "true", "1", "yes", "on"], True), (["False", "false", "0", "no", "off"], False)],
)
def test_true_and_false_are_words(words: list[str], value: bool) -> None:
    for word in words:
        assert things(f"--loud={word}").loud is things("--quiet", word).quiet is value
    assert things("--loud").loud is True


def test_values_of_a_file_have_the_same_types(config: WriteConfig) -> None:
    file = config(
        "{count: '4', ratio: 1, path: null, loud: true, quiet: 'False', colour: 'green', "
        "limit: null, parts: ['x', 'y'], files: ['p', 'q,r']}"
    )
    assert things("-C", file) == Things(
        4, 1.0, "none of all", None, True, False, "green", None, ("x", "y"), ["p", "q,r"]
    )
    assert isinstance(things("-C", file).ratio, float)
    assert things("-C", config("{parts: 'x,y', files: 'q,r'}")) == Things(
        parts=("x", "y"), files=["q,r"]
    )


def test_tuples_by_commas_and_lists_by_spaces() -> None:
    assert things("--parts=a,b c,d").parts == ("a", "b c", "d")
    assert things("--files", "a", "b,c", "d e", "--loud").files == ["a", "b,c", "d e"]
    assert things("--files", "a", "--loud", "--files=b", "--files", "c", "d").files == list("abcd")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--count=two", "--count: a whole number expected, found 'two'"),
        ("--count=2.5", "--count: a whole number expected, found '2.5'"),
        ("--count=inf", "--count: a whole number expected, found 'inf'"),
        ("--count=True", "--count: a whole number expected, found 'True'"),
        ("--ratio=nan", "--ratio: a number expected, found 'nan'"),
        ("--ratio=", "--ratio: a number expected, found ''"),
        ("--loud=maybe", "--loud: True or False expected, found 'maybe'"),
        ("--colour=blue", "--colour: 'blue' is not one of red, green"),
        ("--count=0", "--count: must be between 1 and 9, found 0"),
        ("--count=10", "--count: must be between 1 and 9, found 10"),
        ("--ratio=-0.1", "--ratio: must be at least 0, found -0.1"),
        ("--ratio=inf", "--ratio: a finite number expected, found inf"),
        ("--limit=-inf", "--limit: a finite number expected, found -inf"),
    ],
)
def test_wrong_values_are_named(argument: str, message: str) -> None:
    assert refused(argument) == message


@pytest.mark.parametrize("text", ["true", "[1]", "{}", "'x'"])
def test_wrong_values_of_a_file_name_file_and_key(text: str, config: WriteConfig) -> None:
    file = config(f"{{count: {text}}}")
    assert refused("-C", file).startswith(f"{file}: count: a whole number expected, found ")


def test_bounds_are_allowed_and_numbers_may_be_written_in_any_way() -> None:
    assert (things("--count=1").count, things("--count=9").count) == (1, 9)
    assert things("--count=4.0").count == 4 and isinstance(things("--count=4.0").count, int)
    assert things("--ratio=1e-3").ratio == 0.001
    assert things("--limit=inf").limit == float("inf")


def test_negative_values_need_no_sign_of_equality() -> None:
    assert read("--parts", "-5,0", "--loud")[Things].parts == ("-5", "0")
    assert things("--parts", "-.5").parts == ("-.5",)
    assert refused("--ratio", "-0.1") == refused("--ratio=-0.1")
    assert things("--files", "-5.wav").files == ["-5.wav"]
    assert refused("--parts", "-r", "1").startswith("argument --parts: expected one argument")
    assert refused("-5,0").startswith("unknown option -5,0")


@pytest.mark.parametrize(
    ("typed", "files"),
    [
        ("", None),
        ("a b", ["a", "b"]),
        ("--count=4 a b", ["a", "b"]),
        ("a --count 4 b", ["a", "b"]),
        ("a b --loud", ["a", "b"]),
        ("a --files b c", ["a", "b", "c"]),
        ("--files b c --count=4 a", ["a", "b", "c"]),
        ("a -- -b --count=3", ["a", "-b", "--count=3"]),
        ("-- -b", ["-b"]),
    ],
)
def test_what_has_no_name_may_stand_anywhere(typed: str, files: list[str] | None) -> None:
    found = read(*typed.split(), positional="files")
    assert found[Things].files == files
    assert found[Things].count == (4 if "--count=4" in typed or "--count 4" in typed else 3)
    assert ("files" in found.given) == (files is not None)


def test_what_has_no_name_hides_no_slip() -> None:
    for typed, message in (
        ("a --cuont=4 b", "unknown option --cuont; did you mean --count?"),
        ("--cuont", "unknown option --cuont; did you mean --count?"),
        ("a --count", "argument --count: expected one argument"),
        ("--loud a", "--loud: True or False expected, found 'a'"),
    ):
        with pytest.raises(InputError) as error:
            read(*typed.split(), positional="files")
        assert str(error.value).startswith(message)


# What is not known


def test_unknown_keys_name_the_file_and_the_nearest(config: WriteConfig) -> None:
    file = config("{cuont: 4}")
    assert refused("-C", file) == f"{file}: unknown key 'cuont'; did you mean 'count'?"
    file = config("{xyzxyzxyz: 4}")
    assert refused("-C", file) == f"{file}: unknown key 'xyzxyzxyz'"


def test_unknown_flags_name_the_nearest() -> None:
    assert refused("--cuont=4").startswith("unknown option --cuont; did you mean --count?")
    assert refused("--s=1").startswith("unknown option --s; command.py --help"), "none is near"
    assert refused("--R=1").startswith("unknown option --R; command.py --help")
    assert refused("--r=1").startswith("unknown option --r; did you mean -r?")
    assert refused("--nope=1", command=TRAINING).startswith("unknown option --nope; command.py -")
    assert refused("--xyzxyzxyz").startswith("unknown option --xyzxyzxyz; command.py --help")
    assert refused("--coun=4").startswith("unknown option --coun;"), "nothing is abbreviated"
    assert refused("stray").startswith("unknown option stray")
    message = refused("--batch_sise=3", command=TRAINING)
    assert "did you mean --batch_size?" in message
    assert refused("--count").startswith("argument --count: expected one argument")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{count: }", "not valid JSON5"),
        ("[]", "an object of options expected, found list"),
        ("", "not valid JSON5"),
    ],
)
def test_files_that_hold_no_options(text: str, message: str, config: WriteConfig) -> None:
    file = config(text)
    assert refused("-C", file).startswith(f"{file}: {message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused("-C", str(tmp_path / "no.json5")).startswith(f"{tmp_path / 'no.json5'}: ")
    (tmp_path / "bytes.json5").write_bytes(b"\xff\xfe\x00")
    assert "not valid JSON5" in refused("-C", str(tmp_path / "bytes.json5"))


# Options that are not built yet


@pytest.mark.parametrize(
    "argument",
    ["--beam_size=10", "--beam_size=300", "--is_long=False", "--is_long=false", "--top=1"],
)
def test_reserved_options_accept_their_defaults(argument: str) -> None:
    options = read(argument)
    assert options[Things] == Things() and not options.given
    assert options.as_dict().keys() == read().as_dict().keys()


@pytest.mark.parametrize("argument", ["--beam_size=5", "--is_long", "--is_long=True", "--top=x"])
def test_reserved_options_refuse_all_else(argument: str) -> None:
    name = argument.partition("=")[0]
    assert refused(argument).startswith(f"{name}: ") and "leave it at " in refused(argument)


def test_reserved_options_may_stand_in_a_file(config: WriteConfig) -> None:
    assert things("-C", config("{beam_size: 300, is_long: false, top: 1.0}")) == Things()
    file = config("{beam_size: 7}")
    assert refused("-C", file).startswith(f"{file}: beam_size: 7 is not available")


def test_every_reserved_option_of_older_packages_accepts_what_it_says() -> None:
    from inference.settings import EvaluationSettings, TranscriptionSettings

    for settings, reserved in (
        (EvaluationSettings, DECODER_OPTIONS),
        (TranscriptionSettings, INFERENCE_OPTIONS),
    ):
        for item in reserved:
            for default in item.defaults:
                parse("x.py", [settings], [f"--{item.name}={default}"], reserved=reserved)
            with pytest.raises(InputError, match=f"--{item.name}: "):
                parse("x.py", [settings], [f"--{item.name}=another"], reserved=reserved)


# What is printed


def test_table_is_sorted_and_in_the_form_users_know() -> None:
    assert read("--parts=b,a", "--path=p").table() == "\n".join(
        [
            "-----------  Configuration Arguments -----------",
            "colour: red",
            "count: 3",
            "files: None",
            "limit: 1.5",
            "loud: False",
            "name: none of all",
            "parts: b,a",
            "path: p",
            "quiet: True",
            "ratio: 0.5",
            "------------------------------------------------",
        ]
    )


def test_table_of_training_lists_every_option_once() -> None:
    options = parse("train.py", TRAINING, [])
    title, *lines, rule = options.table().splitlines()
    assert (title, rule) == (TITLE, RULE)
    names = [line.partition(": ")[0] for line in lines]
    assert names == sorted(names) and len(set(names)) == len(names)
    assert "train_manifest: ./dataset/manifest.train" in lines
    json.dumps(options.as_dict())  # checkpoints hold them


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--learning_rate=inf", "a finite number expected"),
        ("--weight_decay=inf", "a finite number expected"),
        ("--grad_clip=0", "must be at least 1e-06"),
        ("--grad_clip=inf", "a finite number expected"),
        ("--max_duration=-1", "must be at least 0,"),
        ("--dropout=inf", "a finite number expected"),
    ],
)
def test_settings_of_training_that_no_run_can_use(argument: str, message: str) -> None:
    found = refused(argument, command=TRAINING)
    assert found.startswith(f"{argument.partition('=')[0]}: {message}")
    limits = parse("train.py", TRAINING, ["--grad_clip=None", "--max_duration=inf"])
    assert limits[OptimisationSettings].grad_clip is None
    assert limits[CorpusSettings].max_duration == float("inf")


def test_defaults_are_those_users_know() -> None:
    expected = {
        "augment_conf_path": "./conf/augmentation.json",
        "batch_size": 32,
        "learning_rate": 1e-4,
        "max_duration": 20.0,
        "mean_std_path": "./dataset/mean_std.npz",
        "min_duration": 0.0,
        "num_conv_layers": 2,
        "num_epoch": 50,
        "num_rnn_layers": 3,
        "output_model_dir": "./models/param",
        "pretrained_model": None,
        "resume_model": None,
        "rnn_layer_size": 1024,
        "shuffle_method": "batch_shuffle_clipped",
        "test_manifest": "./dataset/manifest.test",
        "test_off": False,
        "train_manifest": ("./dataset/manifest.train",),
        "use_gpu": True,
        "vocab_path": "./dataset/zh_vocab.txt",
        "dev_manifest": None,
        "log_interval": 100,
        "save_interval": 2000,
    }
    assert expected.items() <= parse("train.py", TRAINING, []).as_dict().items()
    given = parse("train.py", TRAINING, ["--train_manifest=a,b", "--augment_conf_path=None"])
    assert given[CorpusSettings].train_manifest == ("a", "b")
    assert given.as_dict()["augment_conf_path"] is None
    assert given[NetworkSettings] == NetworkSettings()


def test_help_shows_default_unit_and_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        read("--help")
    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--limit FLOAT up to [1.5 s]" in text
    assert "--colour red|green which [red]" in text
    assert "--beam_size [VALUE] known from older packages, not built yet: only 10 or 300" in text


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a: b; do c"), 2, "error: a: b; do c\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_a_users_mistake_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise error

    with pytest.raises(SystemExit) as left:
        run_command(main)
    assert left.value.code == code and capsys.readouterr().err == line


def test_a_commands_own_exit_code_is_kept() -> None:
    for status, code in ((None, 0), (0, 0), (2, 2)):
        with pytest.raises(SystemExit) as left:
            run_command(lambda status=status: status)
        assert left.value.code == code


SAYS = """
import sys
from data_utils.errors import InputError
from model_utils.options import run_command
def main():
    print("你好" * 3000)
    raise InputError("再见")
run_command(main)
"""


@pytest.mark.parametrize(
    ("encoding", "out", "err"),
    [
        ("ascii", rb"\u4f60\u597d", rb"\u518d\u89c1"),
        ("latin-1:strict", rb"\u4f60\u597d", rb"\u518d\u89c1"),
        ("utf-8", "你好".encode(), "再见".encode()),
    ],
)
def test_a_character_that_a_stream_cannot_write_shows_its_number(
    encoding: str, out: bytes, err: bytes
) -> None:
    said = subprocess.run(
        [sys.executable, "-c", SAYS],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (said.returncode, said.stdout.strip()) == (2, out * 3000)
    assert said.stderr.strip() == b"error: " + err


def test_a_reader_that_has_left_is_no_success_and_no_fault() -> None:
    for program in (SAYS, SAYS.replace("3000", "3"), SAYS.replace("raise", "#")):
        reader, writer = os.pipe()
        os.close(reader)
        said = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writer)
        assert said.returncode == 141
        assert said.stderr in (b"", "error: 再见\n".encode())


# Nothing heavy at import

COMMANDS = ["train.py", "eval.py", "infer.py", *sorted(p.name for p in ROOT.glob("tools/*.py"))]
HELP_SECONDS = 0.3


@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_at_once(command: str) -> None:
    script = ROOT / command if (ROOT / command).exists() else ROOT / "tools" / command
    seconds = []
    for _ in range(10):
        # Processor time, the best of some: what else the machine does is not the command's doing.
        before = os.times()
        child = subprocess.run(
            [sys.executable, str(script), "--help"], capture_output=True, text=True, check=False
        )
        after = os.times()
        assert child.returncode == 0 and child.stdout.startswith(f"usage: {command}"), child.stderr
        seconds.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
        if seconds[-1] < HELP_SECONDS:
            return
    raise AssertionError(f"{command} --help took {min(seconds):.2f} s")


@pytest.mark.parametrize(
    "module",
    [
        "model_utils.options",
        "model_utils.settings",
        "model_utils.runtime",
        "data_utils.settings",
        "inference.settings",
    ],
)
def test_settings_import_neither_numpy_nor_paddle(module: str) -> None:
    program = f"import sys, {module}; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert not {"numpy", "paddle", "scipy", "librosa", "matplotlib", "visualdl"} & set(loaded)


# A command to be typed next


@pytest.mark.parametrize(
    ("typed", "again"),
    [
        ("--count=4 --loud", "--count=4 --loud --ratio=0.5"),
        ("--ratio=2 --share 3 -r 4 -r=5 --count 4", "--count 4 --ratio=0.5"),
        ("--share=-3 --path p --loud", "--loud --ratio=0.5"),
        ("--path=p --files a b", "--files a b --ratio=0.5"),
    ],
)
def test_a_command_again_has_each_option_once_by_whatever_name(
    typed: str, again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["tools/some.py", *typed.split()])
    options = read()
    assert command_again(options, without=["path"], ratio=0.5) == f"python tools/some.py {again}"
    monkeypatch.setattr(sys, "argv", ["tools/some.py", "--name=two words"])
    assert (
        command_again(options, "train.py", count=2)
        == "python train.py '--name=two words' --count=2"
    )


# One command, several tasks


@dataclass(frozen=True)
class Which:
    """Which task."""

    task: Literal["first", "second"] = option("first", "which")


TASKS = {
    "first": TaskOptions((Which, Things)),
    "second": TaskOptions((Which, Things, Others), {"ratio": 0.25, "count": 7}),
}


def told(*argv: str) -> Options:
    return parse_task("command.py", TASKS, argv)


def test_the_task_decides_which_options_there_are(config: WriteConfig) -> None:
    assert told()[Which].task == "first" and told()[Things] == Things()
    for argv in (["--task=second"], ["--task", "second"], ["-C", config("{task: 'second'}")]):
        options = told(*argv, "--foreign=3")
        assert options[Which].task == "second" and options[Others].foreign == 3
        assert options[Things] == Things(ratio=0.25, count=7), "defaults of its own"
        assert "count" not in options.given
    assert told("-C", config("{task: 'second', ratio: 1}"))[Things].ratio == 1
    assert told("-C", config("{task: 'second'}"), "--task=first")[Which].task == "first"


def test_options_of_another_task_are_unknown(config: WriteConfig) -> None:
    for argv, message in (
        (["--foreign=3"], "unknown option --foreign"),
        (["-C", config("{task: 'second'}"), "--task=first", "--foreign=1"], "unknown option --for"),
        (["--task=third"], "--task: 'third' is not one of first, second"),
        (["-C", config("{task: 3}")], "some.json5: task: '3' is not one of first, second"),
        (["--task"], "expected one argument"),
    ):
        with pytest.raises(InputError) as error:
            told(*argv)
        assert message in str(error.value) and "\n" not in str(error.value)


def test_help_shows_the_defaults_of_the_task(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        told("--task=second", "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "how much [0.25]" in said and "how many [7]" in said and "not ours [1]" in said


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ([], ""),
        (["--count=4"], "--count=4: belongs to --colour=green, red has none"),
        (["--count=3"], ""),  # the default: files that runs leave hold it
        (["--count=4", "--colour=green"], ""),
        (["--ratio=0.7"], ""),
        (["--share=0.7", "--colour=green"], "--ratio=0.7: belongs to --colour=red or blue, green"),
        (["--name=x", "--count=4"], "--count=4: belongs to"),
    ],
)
def test_options_of_another_choice_are_refused(given: list[str], refused: str) -> None:
    options = parse("a command", [Things], given)
    owners = {"count": ("green",), "ratio": ("red", "blue")}
    if not refused:
        check_owners(options, Things, "colour", owners)
        return
    with pytest.raises(InputError) as error:
        check_owners(options, Things, "colour", owners)
    assert str(error.value).startswith(refused)
    assert str(error.value).endswith("; leave the option out")
