"""Real sentences in their corpora's own layouts: prepared as a user would, through every command.

The test writes the annotation files, as everybody has to for a new corpus; the recordings stay
where they are.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from workspace import Ran, Workspace

pytestmark = pytest.mark.real

NETWORK = """{
    feature_type: "fbank", conv_channels: 8, num_rnn_layers: 1, rnn_layer_size: 64,
    batch_size: 8, shuffle_method: "batch_shuffle", optimizer: "adamw", learning_rate: 2e-3,
    grad_clip: 5, log_interval: 1, use_gpu: false,
}
"""

Lines = dict[str | Path, str]


def aishell(root: Path, split: str) -> Lines:
    """`wav/SPLIT/SPEAKER/ID.wav`; one file with `ID text` lines for all."""
    [transcript] = (root / "transcript").iterdir()
    texts = dict(
        line.split(maxsplit=1) for line in transcript.read_text(encoding="utf-8").splitlines()
    )
    wavs = sorted((root / "wav" / split).glob("*/*.wav"))
    return {wav: f"{texts[wav.stem]}\t{wav.parent.name}" for wav in wavs}


def thchs30(root: Path, split: str) -> Lines:
    """`SPLIT/A2_0.wav` beside `A2_0.wav.trn`, which names a file of words, syllables, phones."""
    lines: Lines = {}
    for pointer in sorted((root / split).glob("*.wav.trn")):
        target = pointer.parent / pointer.read_text(encoding="utf-8").strip()
        words, _, _ = target.read_text(encoding="utf-8").splitlines()[:3]
        wav = pointer.with_suffix("")
        lines[wav] = f"{words}\t{wav.name.partition('_')[0]}"
    return lines


def others(root: Path) -> Lines:
    """Demo clips, each with a text as its corpus ships it."""
    lines: Lines = {}
    for path in sorted(root.glob("*/*.txt")):
        text = path.read_text(encoding="utf-8").splitlines()[0]
        if path.parent.name == "aishell3":  # characters and pinyin take turns
            text = "".join(text.split()[::2])
        if path.parent.name == "bznsyp":  # prosody marks
            text = re.sub(r"#\d", "", text)
        lines[path.with_suffix(".ogg")] = text
    return lines


@dataclass(frozen=True)
class Journey:
    """What each command said."""

    work: Workspace
    annotated: dict[str, Lines]
    preparation: list[Ran]
    training: Ran
    evaluation: Ran
    inference: Ran

    def manifest(self, split: str) -> list[dict[str, str]]:
        path = self.work / "dataset" / f"manifest.{split}"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    root = Path(os.environ["SPEECH_DATA"]).resolve() / "zh_aishell_sample"
    work = Workspace(tmp_path_factory.mktemp("sentences") / "work")
    (work / "conf" / "network.json5").write_text(NETWORK, encoding="utf-8")
    annotated = {
        split: aishell(root / "data_aishell", split) | thchs30(root / "data_thchs30", split)
        for split in ("train", "dev", "test")
    }
    annotated["train"] |= others(root / "other")
    annotated["bad"] = others(root / "bad_examples")
    work.annotate(**annotated)
    preparation = [
        work.run("tools/create_manifest.py"),
        work.run("tools/build_vocab.py"),
        work.run("tools/compute_mean_std.py", "--config=conf/network.json5"),
    ]
    training = work.run(
        "train.py",
        "--config=conf/network.json5",
        "--num_epoch=2",
        "--dev_manifest=dataset/manifest.dev",
    )
    model = ("--resume_model=models/param/2.pdparams", "--use_gpu=False")
    evaluation = work.run("eval.py", *model)
    clips = [next(iter(annotated[split])) for split in ("train", "test", "bad")]
    inference = work.run("infer.py", *model, "--json", "--audio_path", *clips)
    return Journey(work, annotated, preparation, training, evaluation, inference)


def test_every_sentence_is_used(journey: Journey) -> None:
    assert not (journey.work / "dataset" / "manifest.skipped.txt").exists()
    counts = {split: len(journey.manifest(split)) for split in journey.annotated}
    assert counts == {split: len(lines) for split, lines in journey.annotated.items()}
    # As the corpora's READMEs count: 23 + 6, 5 + 3, 10 + 4.
    assert counts["dev"] == 8 and counts["test"] == 14 and counts["train"] > 29
    assert counts["bad"] == 11


def test_transcripts_are_what_is_heard(journey: Journey) -> None:
    texts = {Path(row["audio_filepath"]).name: row["text"] for row in journey.manifest("train")}
    assert texts["A2_0.wav"].startswith("绿是阳春烟景大块文章的底色四月的林峦")
    assert texts["SSB03410428.ogg"] == "我以后应该也会常找你"
    assert texts["T0055G0034S0301.ogg"] == "ipad new"
    assert texts["000556.ogg"] == "而今年应景儿的降雪刚好与大雪擦肩而过"
    assert not any(set(text) & set("#，。“”0123456789") for text in texts.values())


def test_bad_examples_are_never_trained_or_scored_on(journey: Journey) -> None:
    bad = {str(path) for path in journey.annotated["bad"]}
    for split in ("train", "dev", "test"):
        assert not bad & {row["audio_filepath"] for row in journey.manifest(split)}
    count = len(journey.manifest("train"))
    assert any(line.endswith(f"训练数据数量：{count}") for line in journey.training.out)
    assert not any("bad_examples" in line for line in journey.training.out + journey.training.err)


def test_two_epochs_bring_the_loss_down(journey: Journey) -> None:
    losses: dict[str, list[float]] = {"1": [], "2": []}
    for line in journey.training.out:
        if found := re.search(r"epoch: \[(\d)/2\].* train loss: ([\d.]+)", line):
            losses[found[1]].append(float(found[2]))
    batches = -(-len(journey.manifest("train")) // 8)
    assert len(losses["1"]) == len(losses["2"]) == batches
    # Every epoch is all of the training data, so their means may be compared.
    assert sum(losses["2"]) < 0.7 * sum(losses["1"]), losses


def test_each_epoch_is_scored_on_dev_and_test(journey: Journey) -> None:
    for name in ("Dev", "Test"):
        assert sum(line.startswith(f"{name} [") for line in journey.training.out) == 2
    [best] = [line for line in journey.training.out if line.startswith("best: ")]
    assert "dev cer" in best


def test_evaluation_counts_every_character(journey: Journey) -> None:
    characters = sum(len(row["text"]) for row in journey.manifest("test"))
    assert f" / {characters}: " in journey.evaluation.out[-1]
    scored = [line for line in journey.training.out if line.startswith("Test [")][-1]
    assert scored.endswith(journey.evaluation.out[-1])


def test_inference_answers_for_each_recording(journey: Journey) -> None:
    answers = [json.loads(line) for line in journey.inference.out]
    assert [set(answer) for answer in answers] == [{"audio", "text", "confidence", "seconds"}] * 3
    assert all(0 <= answer["confidence"] <= 1 for answer in answers)
    assert journey.inference.err == []


def test_the_table_says_how_the_data_were_divided(journey: Journey) -> None:
    said = "\n".join(journey.preparation[0].out)
    assert "splits as given: bad, dev, test, train" in said
    measured = journey.preparation[2].out[-1]
    assert "mean and std of 80 bins (fbank)" in measured and "skipped" not in measured
