"""Every kind of network through the three commands, in this process: all that they share is one."""

import json
import re
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tones import Corpus
from workspace import HOME

OPTIONS = """{
    feature_type: "fbank", hop_ms: 20, num_mel_bins: 8, conv_channels: 4,
    num_rnn_layers: 2, rnn_layer_size: 8, lookahead: 2, learning_rate: 5e-3,
    num_epoch: 6, batch_size: 4, log_interval: 1, augment_conf_path: null,
    train_manifest: "manifest.train", dev_manifest: "manifest.train", test_manifest: null,
    vocab_path: "zh_vocab.txt", mean_std_path: "mean_std.npz",
    use_gpu: false, num_threads: 1, num_workers: 0,
}"""

Run = Callable[..., list[str]]


@pytest.fixture
def run(
    make_corpus: Callable[..., Corpus],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs `python SCRIPT ARGUMENTS` beside a corpus of tones; returns what it printed."""
    corpus = make_corpus(["一二", "二一", "三四", "四三", "一三", "三一", "二四", "四二"])
    (corpus.folder / "small.json5").write_text(OPTIONS, encoding="utf-8")
    monkeypatch.chdir(corpus.folder)

    def run(script: str, *arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", [script, *arguments])
        assert not runpy.run_path(str(HOME / script))["main"]()
        return capsys.readouterr().out.splitlines()

    return run


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rnn_type", "lstm"),
        ("rnn_type", "rnn"),
        ("rnn_direction", "forward"),
        ("rnn_norm", "batch"),
    ],
)
def test_it_is_trained_scored_and_used(option: str, value: str, run: Run) -> None:
    printed = run("train.py", "-C", "small.json5", f"--{option}={value}")
    assert f"{option}: {value}" in printed
    losses = [float(found[1]) for line in printed if (found := re.search(r"loss: (.*),", line))]
    assert len(losses) == 2 * 6 and sum(losses[-2:]) < 0.9 * sum(losses[:2])
    model = "models/param/6.pdparams"
    assert json.loads(Path(model).with_suffix(".json").read_text())["network"][option] == value

    cpu = (f"--resume_model={model}", "--use_gpu=False", "--num_threads=1")
    scored = run("eval.py", *cpu, "--test_manifest=manifest.train", "--num_workers=0")
    # The same as training found, by the network that the JSON describes.
    dev = [line for line in printed if line.startswith("Dev [")]
    assert scored[-1].removeprefix("cer: ") == dev[-1].partition("cer: ")[2]
    audio, _, heard, _ = Path("results/eval.txt").read_text(encoding="utf-8").splitlines()[:4]
    [line] = run("infer.py", *cpu, "--json", "--audio_path", audio)
    assert f"hyp: {json.loads(line)['text']}" == heard


def test_a_dev_set_has_its_curve_and_decides(run: Run) -> None:
    one = ("-C", "small.json5", "--num_epoch=1")
    printed = run("train.py", *one, "--test_manifest=manifest.train")
    kinds = [line.split(" [")[0] for line in printed if re.match(r"(Dev|Test) \[", line)]
    assert kinds == ["Dev", "Test"]
    assert any(line.startswith("best: epoch 1, dev cer ") for line in printed)
    [metrics] = Path("log").glob("*/metrics.jsonl")
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    tags = [row["tag"] for row in rows if row["tag"].endswith("cer")]
    assert tags == ["Dev cer", "Test cer"]


def test_words_are_counted_where_they_are_asked_for(run: Run) -> None:
    run("train.py", "-C", "small.json5")
    printed = run(
        "eval.py",
        *("--resume_model=models/param/6.pdparams", "--use_gpu=False", "--num_threads=1"),
        *("--test_manifest=manifest.train", "--num_workers=0", "--error_rate_type=wer"),
    )
    lines = Path("results/eval.txt").read_text(encoding="utf-8").splitlines()
    pairs = [
        (reference.removeprefix("ref: "), hypothesis.removeprefix("hyp: "))
        for reference, hypothesis in zip(lines[1::4], lines[2::4], strict=True)
    ]
    # Nothing has spaces, so each of the eight is one word: it is right, another, or missing.
    wrong = sum(reference != hypothesis for reference, hypothesis in pairs)
    missing = sum(not hypothesis for _, hypothesis in pairs)
    counts = f"errors {wrong} / 8: sub {wrong - missing}, del {missing}, ins 0"
    assert printed[-1] == f"wer: {wrong / 8:.5f} ({counts})"
    assert all(line.startswith("wer: ") for line in lines[3::4])
