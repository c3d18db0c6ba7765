"""Checkpoints: whole or absent, known by their hashes, and never able to run anything."""

import json
import os
import pickle
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

from data_utils.errors import InputError
from model_utils.settings import OptimisationSettings
from model_utils.trainer import checkpoint
from model_utils.trainer.optimisation import build_optimizer, optimizer_state


class Network(nn.Layer):
    """A little of everything that a checkpoint holds."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.gru = nn.GRU(2, width, direction="bidirect")
        self.output = nn.Linear(2 * width, 2)
        self.register_buffer("mean", paddle.arange(4, dtype="float32"))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.output(self.gru(x)[0])


def save(folder: Path, name: str = "3", value: float = 0.0, **info: Any) -> Path:
    """A set whose output bias is `value`."""
    network = Network()
    network.output.bias.set_value(paddle.full([2], value))
    optimizer = build_optimizer(OptimisationSettings(), network)
    network(paddle.ones([1, 4, 2])).sum().backward()
    optimizer.step()
    network.output.bias.set_value(paddle.full([2], value))
    state = optimizer_state(optimizer, network)
    weights = checkpoint.weights_of(network)
    return checkpoint.save(folder, name, weights, state, {"epoch": 3, **info})


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        checkpoint.load(path)
    assert "\n" not in str(error.value)
    return str(error.value)


# What was saved comes back


def test_round_trip(tmp_path: Path) -> None:
    path = save(tmp_path / "new" / "folder", value=1.5, note="中文", numbers=[1, 2])
    assert path == tmp_path / "new" / "folder" / "3.pdparams"
    assert sorted(p.name for p in path.parent.iterdir()) == ["3.json", "3.pdopt", "3.pdparams"]
    for given in (path, path.with_suffix(""), str(path)):
        saved = checkpoint.load(given)
        assert saved.path == path and saved.epoch == 3
        assert saved.info is not None and saved.info["note"] == "中文"
        assert saved.weights["output.bias"].tolist() == [1.5, 1.5]
        assert saved.optimizer


def test_every_weight_and_buffer_bit_for_bit(tmp_path: Path) -> None:
    network = Network()
    network.mean.set_value(paddle.to_tensor([1e-30, 2.0, -3.5, 1e30]))
    state = {"rate": paddle.zeros([1])}
    checkpoint.save(tmp_path, "1", checkpoint.weights_of(network), state, {"epoch": 1})
    other = Network()
    checkpoint.set_weights(other, checkpoint.load(tmp_path / "1"))
    for name, value in network.state_dict().items():
        assert np.array_equal(value.numpy(), other.state_dict()[name].numpy()), name


def test_no_weight_is_written_twice(tmp_path: Path) -> None:
    # Paddle lists the weights of a recurrent layer under two names.
    saved = checkpoint.load(save(tmp_path))
    size = sum(value.size for value in saved.weights.values())
    assert size == sum(int(p.size) for p in Network().parameters()) + 4


def test_saving_takes_little_more_memory_than_the_weights(tmp_path: Path) -> None:
    layer = nn.GRU(256, 256, direction="bidirect")  # Paddle has its weights in one piece
    weights = checkpoint.weights_of(layer)
    size = sum(value.numpy().nbytes for value in weights.values())
    tracemalloc.start()
    try:
        path = checkpoint.save(tmp_path, "1", weights, None, {"epoch": 1})
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * size  # each weight with the whole layer beside it would be eight times
    saved = checkpoint.load(path)
    for name, value in weights.items():
        assert np.array_equal(saved.weights[name], value.numpy()), name


def test_paddle_itself_reads_the_files(tmp_path: Path) -> None:
    path = save(tmp_path, value=2.5)
    weights = paddle.load(str(path))
    assert weights["output.bias"].numpy().tolist() == [2.5, 2.5]


def test_what_paddle_itself_saves_is_read(tmp_path: Path) -> None:
    network = Network()
    path = tmp_path / "50.pdparams"
    paddle.save(network.state_dict(), str(path))
    saved = checkpoint.load(path)
    checkpoint.set_weights(Network(), saved)
    assert np.array_equal(saved.weights["output.weight"], network.output.weight.numpy())
    # A Paddle 2 file holds a parameter as (its name, array), and notes of names beside.
    arrays = {name: value.numpy() for name, value in network.state_dict().items()}
    older = {name: (f"linear_{i}", a) for i, (name, a) in enumerate(arrays.items())}
    path.write_bytes(pickle.dumps({**older, "StructuredToParameterName@@": {"a": "b"}}, 2))
    found = checkpoint.load(path).weights
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)


# Weights alone


@pytest.mark.parametrize(("name", "epoch"), [("50", 50), ("epoch_7", 7), ("007", 7)])
def test_lone_weights_have_the_epoch_of_their_name(name: str, epoch: int, tmp_path: Path) -> None:
    path = save(tmp_path, name)
    path.with_suffix(".json").unlink()
    path.with_suffix(".pdopt").unlink()
    saved = checkpoint.load(path)
    assert (saved.info, saved.optimizer, saved.epoch) == (None, None, epoch)


@pytest.mark.parametrize("name", ["best", "model-v2", "23_batch_2000"])
def test_lone_weights_without_an_epoch_in_their_name(name: str, tmp_path: Path) -> None:
    # Weights from inside epoch 23 must not pass for those of its end.
    path = save(tmp_path, name)
    path.with_suffix(".json").unlink()
    with pytest.raises(InputError, match=f"{name}.pdparams: no {name}.json beside it"):
        _ = checkpoint.load(path).epoch


# Whole or absent


class _Crash(BaseException):
    """The machine stops; nothing cleans up after it."""


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Stop at the rename of file `number` of a set."""
    replace = Path.replace
    done: list[Path] = []

    def stop(self: Path, target: Path) -> Path:
        if len(done) == number:
            raise _Crash
        done.append(self)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", stop)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_crash_between_files_of_a_new_set(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        crash_at(patch, number)
        with pytest.raises(_Crash):
            save(tmp_path)
    assert not (tmp_path / "3.json").exists(), "the JSON comes last: a cut set has none"
    assert not list(tmp_path.glob(".*")), "no litter"
    save(tmp_path, value=4.0)
    assert checkpoint.load(tmp_path / "3").weights["output.bias"].tolist() == [4.0, 4.0]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_crash_between_files_over_an_older_set(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, "best", value=1.0)
    with monkeypatch.context() as patch:
        crash_at(patch, number)
        with pytest.raises(_Crash):
            save(tmp_path, "best", value=2.0)
    if number == 0:
        weights = checkpoint.load(tmp_path / "best").weights
        assert weights["output.bias"].tolist() == [1.0, 1.0], "the older set is as it was"
    else:
        assert "does not belong to best.json" in refused(tmp_path / "best")


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
def test_files_of_another_save_are_refused_by_name(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path, "3", value=1.0)
    other = save(tmp_path, "4", value=2.0)
    other.with_suffix(suffix).replace(path.with_suffix(suffix))
    message = refused(path)
    assert message.startswith(f"{path.with_suffix(suffix)}: does not belong to 3.json (SHA-256")


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
@pytest.mark.parametrize("with_json", [True, False])
def test_a_truncated_file_is_refused(suffix: str, with_json: bool, tmp_path: Path) -> None:
    path = save(tmp_path)
    if not with_json:
        path.with_suffix(".json").unlink()
    damaged = path.with_suffix(suffix)
    for size in (damaged.stat().st_size // 2, 1, 0):
        damaged.write_bytes(damaged.read_bytes()[:size])
        assert refused(path).startswith(f"{damaged}: ")


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"files": {}}', "\x00", "[" * 100_000),
        *('{"epoch": "3"}', '{"epoch": true}', '{"epoch": -1}', '{"epoch": 1.5}'),
        *('{"epoch": 3, "files": []}', '{"epoch": 3, "options": 1}'),
        '{"epoch": 3, "progress": "x"}',
    ],
)
def test_a_damaged_json_is_refused(content: str, tmp_path: Path) -> None:
    path = save(tmp_path)
    path.with_suffix(".json").write_text(content, encoding="utf-8")
    assert refused(path).startswith(f"{path.with_suffix('.json')}: ")


def test_a_missing_optimizer_is_allowed(tmp_path: Path) -> None:
    path = save(tmp_path)
    path.with_suffix(".pdopt").unlink()
    assert checkpoint.load(path).optimizer is None


def test_where_it_is_not_wanted_the_optimizer_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path, value=2.0)
    path.with_suffix(".pdopt").write_bytes(b"damaged")
    saved = checkpoint.load(path, optimizer=False)
    assert saved.optimizer is None and saved.weights["output.bias"].tolist() == [2.0, 2.0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path / "9").startswith(f"{tmp_path / '9.pdparams'}: file not found")
    assert refused(tmp_path / "9.json").startswith(f"{tmp_path / '9.json.pdparams'}: file not")


def test_a_folder_is_called_one_and_a_checkpoint_in_it_is_offered(tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"{tmp_path}: is a folder; there is no checkpoint in it, give the path of a .pdparams file"
    )
    for number, name in enumerate(("9", "10", "best")):
        path = tmp_path / f"{name}.pdparams"
        path.touch()
        os.utime(path, (number, number))
    assert refused(tmp_path).startswith(f"{tmp_path}: is a folder; give a checkpoint in it, such")
    for part in (f" {path};", "train.py", "--resume_model=latest"):
        assert part in refused(tmp_path)
    folder = save(tmp_path / "new", "3").with_suffix("")
    folder.mkdir()
    assert checkpoint.load(folder).epoch == 3, "of that name, its ending left out"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "param").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"param/3\.pdparams: cannot be written"):
        save(tmp_path / "param")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "param"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written"):
        save(folder)


# Nothing runs


class _Evil:
    """Unpickled, it would make a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.victim}",)


class _Subtle(_Evil):
    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[override]
        return eval, (f"open({str(self.victim)!r}, 'w')",)


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt"])
@pytest.mark.parametrize("kind", [_Evil, _Subtle])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_runs_something_is_refused(
    suffix: str, kind: type[_Evil], protocol: int, tmp_path: Path
) -> None:
    path = save(tmp_path)
    path.with_suffix(".json").unlink()
    victim = tmp_path / "victim"
    content = pickle.dumps({"weight": kind(victim)}, protocol)
    path.with_suffix(suffix).write_bytes(content)
    message = refused(path)
    assert message.startswith(f"{path.with_suffix(suffix)}: refused, it asks to run ")
    assert not victim.exists()
    pickle.loads(content)
    assert victim.exists(), "this test is blind"


@pytest.mark.parametrize("name", ["system", "popen"])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    # STACK_GLOBAL with a dotted name would walk from an allowed module to another.
    path = tmp_path / "1.pdparams"
    path.write_bytes(
        b"\x80\x04"
        + pickle.SHORT_BINUNICODE
        + b"\x05numpy"
        + pickle.SHORT_BINUNICODE
        + bytes([len(f"os.{name}")])
        + f"os.{name}".encode()
        + pickle.STACK_GLOBAL
        + b"."
    )
    assert f"numpy.os.{name}" in refused(path)


@pytest.mark.parametrize("content", [[1, 2], np.zeros(3), "text", None])
def test_other_things_than_a_dictionary_are_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "1.pdparams"
    path.write_bytes(pickle.dumps(content, 2))
    assert "a dictionary of arrays expected" in refused(path)


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
@pytest.mark.parametrize("named", [True, False])
def test_files_of_both_lines_of_paddle_are_read(module: bytes, named: bool, tmp_path: Path) -> None:
    # Paddle 2 writes a parameter as (its own name, array); NumPy 1 and 2 name different modules.
    array = np.arange(6, dtype="float32").reshape(2, 3)
    notes = {"weight": "linear_0.w_0"}
    value = ("linear_0.w_0", array) if named else array
    content = pickle.dumps({"weight": value, "StructuredToParameterName@@": notes}, 2)
    path = tmp_path / "1.pdparams"
    path.write_bytes(re.sub(rb"numpy\._?core\.multiarray", module, content))
    assert module in path.read_bytes()
    read = checkpoint.read_arrays(path)
    assert list(read) == ["weight"] and np.array_equal(read["weight"], array)


# Weights and networks


def loaded(weights: dict[str, np.ndarray]) -> checkpoint.Checkpoint:
    return checkpoint.Checkpoint(Path("a.pdparams"), weights, None, None)


def test_weights_of_another_network_are_named() -> None:
    network = Network()
    weights = {name: value.numpy() for name, value in checkpoint.weights_of(network).items()}
    wide = {name: value.numpy() for name, value in checkpoint.weights_of(Network(5)).items()}
    first = next(name for name in weights if weights[name].shape != wide[name].shape)
    before = {name: value.copy() for name, value in weights.items()}
    cases = {
        f"a.pdparams: {first} is {list(wide[first].shape)}, this network needs "
        f"{list(weights[first].shape)}; give the sizes it was trained with": wide,
        "a.pdparams: no weight 'output.bias'; it is of another network": {
            name: value for name, value in weights.items() if name != "output.bias"
        },
        "a.pdparams: weight 'extra' has no place in this network; "
        "give the sizes it was trained with": {**weights, "extra": np.zeros(1)},
    }
    for message, given in cases.items():
        with pytest.raises(InputError) as error:
            checkpoint.set_weights(network, loaded(given))
        assert str(error.value) == message
    for name, value in checkpoint.weights_of(network).items():
        assert np.array_equal(value.numpy(), before[name]), "nothing was set by halves"


def test_weights_that_fit_are_not_copied() -> None:
    """A large network would stand in memory twice."""
    whole, half = np.zeros((3, 2), np.float32), np.zeros(2, np.float16)
    saved = checkpoint.Checkpoint(Path("1.pdparams"), {"a": whole, "b": half}, None, None)
    found = checkpoint.fitting(saved, {"a": (3, 2), "b": (2,)}, ())
    assert np.shares_memory(found["a"], whole)
    assert found["b"].dtype == np.float32


def test_pretraining_takes_what_fits() -> None:
    network = Network()
    before = network.output.weight.numpy().copy()
    weights = {name: value.numpy() + 1 for name, value in checkpoint.weights_of(network).items()}
    weights["output.weight"] = np.zeros((6, 9), dtype="float32")
    del weights["output.bias"]
    left = checkpoint.set_fitting_weights(network, loaded(weights))
    assert sorted(left) == ["output.bias", "output.weight"]
    assert np.array_equal(network.output.weight.numpy(), before)
    assert network.mean.numpy().tolist() == [1, 2, 3, 4]
    # Of the same shape, and yet not wanted.
    named = checkpoint.set_fitting_weights(
        network, loaded({**weights, "mean": np.zeros(4)}), ["mean"]
    )
    assert "mean" in named and network.mean.numpy().tolist() == [1, 2, 3, 4]
    with pytest.raises(InputError, match=r"a\.pdparams: no weight fits"):
        checkpoint.set_fitting_weights(network, loaded({"x": np.zeros(3)}))


def test_the_json_is_readable_by_itself(tmp_path: Path) -> None:
    path = save(tmp_path, note="中")
    text = path.with_suffix(".json").read_text(encoding="utf-8")
    assert "中" in text and set(json.loads(text)["files"]) == {".pdparams", ".pdopt"}


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_a_path_without_a_name_is_no_checkpoint(path: str) -> None:
    with pytest.raises(InputError, match=r"give the path of a \.pdparams file"):
        checkpoint.load(path)


def test_a_set_may_be_copied_under_another_name_and_is_still_checked(tmp_path: Path) -> None:
    save(tmp_path, "best", value=1.0)
    for suffix in (".pdparams", ".pdopt", ".json"):
        shutil.copy(tmp_path / f"best{suffix}", tmp_path / f"final{suffix}")
    save(tmp_path, "best", value=2.0)  # training goes on, the copy has nothing to do with it
    assert np.allclose(checkpoint.load(tmp_path / "final").weights["output.bias"], 1.0)
    shutil.copy(tmp_path / "best.pdparams", tmp_path / "final.pdparams")
    assert "final.pdparams: does not belong to final.json" in refused(tmp_path / "final")


def test_amending_changes_the_json_alone(tmp_path: Path) -> None:
    path = save(tmp_path, "3", value=1.0, progress={"step": 1})
    before = path.read_bytes()
    checkpoint.amend(path, progress={"step": 2})
    loaded = checkpoint.load(path)
    assert loaded.info is not None and loaded.info["progress"] == {"step": 2}
    assert loaded.info["epoch"] == 3 and path.read_bytes() == before


def test_the_bytes_do_not_tell_what_a_process_did_before(tmp_path: Path) -> None:
    layer = nn.Layer()
    layer.register_buffer("mean", paddle.zeros([3]))
    saved = []
    for name in ("1", "2"):
        layer.mean.name = f"eager_tmp_{name}"  # Paddle counts its temporaries
        checkpoint.save(tmp_path, name, checkpoint.weights_of(layer), {}, {"epoch": 1})
        saved.append((tmp_path / f"{name}.pdparams").read_bytes())
    assert saved[0] == saved[1]


def test_what_killed_saves_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    names = [".3.pdparams.77.tmp", ".3_batch_2.pdopt.77.tmp", ".3.json.77.tmp"]
    others = ["3.pdparams", ".notes.tmp", "a.tmp", ".4.pdparams.78.tmp"]
    for name in names + others:
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (1000, 1000))
    os.utime(tmp_path / ".4.pdparams.78.tmp", (3000, 3000))  # in work
    checkpoint.sweep(tmp_path, before=2000)
    checkpoint.sweep(tmp_path / "not there", before=2000)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
