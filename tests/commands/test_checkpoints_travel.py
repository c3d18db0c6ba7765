"""Checkpoints elsewhere: copied, alone, contradicted, trained on, fine-tuned."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from workspace import Ran, Workspace

from model_utils.trainer.checkpoint import read_arrays

CPU = "--use_gpu=False"
SIZES = ("--conv_channels=4", "--num_rnn_layers=1", "--rnn_layer_size=16")
FEATURES = ("--feature_type=fbank", "--num_mel_bins=16")
LAST = "models/param/2.pdparams"


def first_clip(work: Workspace) -> str:
    line = (work / "dataset" / "manifest.test").read_text(encoding="utf-8").splitlines()[0]
    return str(json.loads(line)["audio_filepath"])


def text_of(line: str) -> str:
    """What infer.py heard and how sure it was, without the time it took."""
    found = re.fullmatch(r"消耗时间：\d+ms, (识别结果: .*, 得分: \d+)", line)
    assert found, line
    return found[1]


def resumed(ran: Ran) -> str:
    """What a resumed training says of where it goes on."""
    [line] = [line for line in ran.out if line.startswith("resumed: ")]
    return line.removeprefix("resumed: ")


@pytest.fixture(scope="module")
def at_home(trained: Workspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The scores that the model has where it was trained: of eval.py, of infer.py."""
    work = trained.copy(tmp_path_factory.mktemp("home") / "work")
    model = f"--resume_model={LAST}"
    evaluation = work.run("eval.py", model, CPU)
    inference = work.run("infer.py", model, CPU, "--audio_path", first_clip(work))
    return evaluation.out[-1], text_of(inference.out[0])


def test_weights_and_description_are_enough(
    trained: Workspace, work: Workspace, at_home: tuple[str, str]
) -> None:
    for name in ("2.pdparams", "2.json"):
        shutil.copy(trained / "models" / "param" / name, work / name)
    # The test set comes from somewhere else too.
    shutil.copy(trained / "dataset" / "manifest.test", work / "some.manifest")
    model = ("--resume_model=2.pdparams", CPU)
    evaluation = work.run("eval.py", *model, "--test_manifest=some.manifest")
    inference = work.run("infer.py", *model, "--wav_path", first_clip(trained))
    assert (evaluation.out[-1], text_of(inference.out[0])) == at_home
    assert not (work / "dataset").exists()


def test_lone_weights_need_what_they_lack_and_give_the_same(
    trained: Workspace, work: Workspace, at_home: tuple[str, str]
) -> None:
    shutil.copy(trained / LAST, work / "50.pdparams")
    for name in ("zh_vocab.txt", "mean_std.npz", "manifest.test"):
        shutil.copy(trained / "dataset" / name, work / name)
    evaluation = work.run(
        "eval.py",
        *("--resume_model=50.pdparams", CPU, "--test_manifest=manifest.test"),
        *(*SIZES, *FEATURES, "--vocab_path=zh_vocab.txt", "--mean_std_path=mean_std.npz"),
    )
    assert evaluation.out[-1] == at_home[0]


def test_lone_weights_train_on_from_the_epoch_in_their_name(copied: Workspace) -> None:
    shutil.copy(copied / LAST, copied / "50.pdparams")
    ran = copied.train("--resume_model=50.pdparams", "--num_epoch=51", "--test_off=True")
    assert resumed(ran) == "50.pdparams, going on with epoch 51, batch 0, learning rate 1.8e-07"
    assert any("next to nothing is learned" in line for line in ran.err)
    assert any("no 50.json beside it" in line for line in ran.err)
    lines = [line for line in ran.out if line.startswith("Train ")]
    assert len(lines) == 3 and all("epoch: [51/51]" in line for line in lines)
    # The schedule is at its fiftieth step down.
    assert f"learning rate: {2e-3 * 0.83**50:.8f}" in lines[0]
    info = json.loads((copied / "models" / "param" / "51.json").read_text(encoding="utf-8"))
    assert info["progress"]["step"] == 51 * 6


@pytest.mark.parametrize(
    ("option", "was"),
    [
        ("--rnn_layer_size=32", "16"),
        ("--num_conv_layers=3", "2"),
        ("--rnn_type=lstm", "gru"),
        ("--feature_type=mfcc", "fbank"),
        ("--num_mel_bins=40", "16"),
    ],
)
def test_what_contradicts_the_checkpoint_is_named(copied: Workspace, option: str, was: str) -> None:
    ran = copied.run("eval.py", f"--resume_model={LAST}", CPU, option, code=2)
    assert ran.err == [f"error: {option}: {LAST} was trained with {was}; leave the option out"]


def test_what_agrees_may_be_given(copied: Workspace, at_home: tuple[str, str]) -> None:
    files = ("--vocab_path=dataset/zh_vocab.txt", "--mean_std_path=dataset/mean_std.npz")
    given = (*SIZES, *FEATURES, *files, "--beam_size=10", "--decoding_method=ctc_greedy")
    ran = copied.run("eval.py", f"--resume_model={LAST}", CPU, *given)
    assert ran.out[-1] == at_home[0]


def test_a_reached_epoch_says_so(copied: Workspace) -> None:
    before = copied.content()
    ran = copied.train(f"--resume_model={LAST}", "--num_epoch=2")
    assert ran.out[-1] == (
        f"nothing to do: {LAST} is of epoch 2 and --num_epoch is 2; a larger --num_epoch trains on"
    )
    assert copied.content() == before


def test_fine_tuning_merges_manifests_and_goes_on(copied: Workspace) -> None:
    """As the README tells it: old data and new, a larger --num_epoch, what is new said."""
    lines = (copied / "dataset" / "manifest.test").read_text(encoding="utf-8").splitlines()
    renamed = [line.replace('"text": "', '"text": "您') for line in lines]
    (copied / "dataset" / "manifest.new").write_text("\n".join(renamed) + "\n", encoding="utf-8")
    both = "dataset/manifest.train,dataset/manifest.new"
    copied.run("tools/build_vocab.py", f"--manifest_paths={both}")
    statistics = copied / "dataset" / "mean_std.npz"
    with np.load(statistics) as content:
        arrays = dict(content)
    np.savez(statistics, **(arrays | {"std": 2 * arrays["std"]}))
    ran = copied.train(
        f"--resume_model={LAST}",
        "--num_epoch=3",
        f"--train_manifest={both}",
        "--augment_conf_path=None",
    )
    assert f"train_manifest: {both}" in ran.out and "augment_conf_path: None" in ran.out
    assert any(line.endswith("训练数据数量：64") for line in ran.out)  # 48 and 16
    assert resumed(ran) == f"{LAST}, going on with epoch 3, batch 0, learning rate 0.00138"
    [changed] = [line for line in ran.out if line.startswith("changed since then: train_manifest")]
    assert "manifest.new" in changed
    [warned] = [line for line in ran.err if "zh_vocab.txt differs" in line]
    [noted] = [line for line in ran.err if "mean_std.npz differs" in line]
    assert "std of bin" in noted and "the model's own are used" in noted
    assert "1 new (您)" in warned and "the model's own is used" in warned
    trained = [line for line in ran.out if line.startswith("Train ")]
    assert len(trained) == 4 and all("epoch: [3/3], batch: [" in line for line in trained)
    assert "/8], learning rate" in trained[0]
    info = json.loads((copied / "models" / "param" / "3.json").read_text(encoding="utf-8"))
    place = {name: info["progress"][name] for name in ("epoch", "batch", "step")}
    assert place == {"epoch": 4, "batch": 0, "step": 20}


def test_pretrained_weights_start_a_new_run(copied: Workspace) -> None:
    shutil.move(copied / "models" / "param", copied / "old")
    ran = copied.train(
        "--pretrained_model=old/2.pdparams", "--num_epoch=1", "--learning_rate=0", "--test_off=True"
    )
    [said] = [line for line in ran.out if line.startswith("pretrained: ")]
    assert said == "pretrained: old/2.pdparams, all weights"
    assert all("epoch: [1/1]" in line for line in ran.out if line.startswith("Train "))
    old, new = (
        read_arrays(copied / name) for name in ("old/2.pdparams", "models/param/1.pdparams")
    )
    # At a learning rate of 0 only the running statistics of batch norm move.
    statistics = {name for name in old if name.endswith((".mean", ".variance"))}
    for name in old.keys() - statistics:
        assert np.array_equal(old[name], new[name]), name
    assert statistics and any(not np.array_equal(old[name], new[name]) for name in statistics)


def test_of_pretrained_weights_those_that_fit_are_taken(copied: Workspace) -> None:
    vocabulary = copied / "dataset" / "zh_vocab.txt"
    vocabulary.write_text(vocabulary.read_text(encoding="utf-8") + "您\t1\n", encoding="utf-8")
    ran = copied.train(
        f"--pretrained_model={LAST}", "--num_epoch=1", "--test_off=True", "--output_model_dir=new"
    )
    [said] = [line for line in ran.out if line.startswith("pretrained: ")]
    assert said == f"pretrained: {LAST}, all weights but output.weight, output.bias"
    tokens = json.loads((copied / "new" / "1.json").read_text(encoding="utf-8"))["vocabulary"]
    assert tokens[-1] == "您"


def test_weights_hold_each_tensor_once(trained: Workspace) -> None:
    arrays = read_arrays(trained / LAST)
    values = sum(array.size for array in arrays.values())
    size = Path(trained / LAST).stat().st_size
    assert size < 4 * values + 200 * len(arrays), "32-bit values and their names"
    recurrent = [array.tobytes() for name, array in arrays.items() if "weight_hh" in name]
    assert len(recurrent) == len(set(recurrent)) == 2
