import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_utils.errors import InputError
from data_utils.manifest import Utterance, write_manifests
from data_utils.preparation import checks
from data_utils.text import Vocabulary
from tools import check_data


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The command, in a folder with a corpus of train and dev."""
    monkeypatch.chdir(tmp_path)
    Path("dataset").mkdir()
    rng = np.random.default_rng(0)
    for split, texts in {"train": "一二三", "dev": "四五"}.items():
        utterances = []
        for text in texts:
            path = f"dataset/{text}.wav"
            soundfile.write(path, rng.normal(0, 0.1, 16000), 16000)
            utterances.append(Utterance(path, 1.0, text))
        write_manifests({Path(f"dataset/manifest.{split}"): utterances})
    Vocabulary.build(dict.fromkeys("一二三四", 1)).save("dataset/zh_vocab.txt")

    def command(*argv: str) -> None:
        monkeypatch.setattr(sys, "argv", ["check_data.py", "--num_workers=0", *argv])
        check_data.main()

    return command


def test_it_finds_shows_and_writes(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dataset/二.wav").unlink()
    run()
    lines = capsys.readouterr().out.splitlines()
    # Nothing scores the dev set by default, and it is looked at all the same.
    assert [line.split()[:2] for line in lines[1:3]] == [["train", "3"], ["dev", "2"]]
    assert "    ./dataset/manifest.train:2: dataset/二.wav: file not found" in lines
    assert "    ./dataset/manifest.dev:2: dataset/五.wav: 五 1" in lines
    assert lines[-1] == "written: ./log/data_check.html"
    page = Path("log/data_check.html").read_text(encoding="utf-8")
    assert "dataset/二.wav" in page and "U+4E94" in page


def test_the_help_says_how_much_the_page_has() -> None:
    [examples] = [f for f in fields(check_data.CheckSettings) if f.name == "examples"]
    assert f"the page has {checks.KEPT_FINDINGS:,} of each" in examples.metadata["help"]


def test_it_takes_the_file_of_train(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.json5").write_text(
        '{dev_manifest: "./dataset/manifest.dev", test_manifest: null, max_duration: 0.5, '
        'feature_type: "fbank", rnn_layer_size: 128, num_epoch: 3}'
    )
    run("--config=train.json5", "--output_path=here.html", "--examples=0")
    out = capsys.readouterr().out
    assert "outside the durations      3    0" in out and "lasts" not in out
    assert Path("here.html").is_file()


def test_what_is_named_has_to_be_there(run: Callable[..., None]) -> None:
    with pytest.raises(InputError, match=r"manifest\.test: file not found"):
        run("--test_manifest=dataset/manifest.test")
    with pytest.raises(InputError, match=r"no_vocab\.txt: file not found"):
        run("--vocab_path=no_vocab.txt")
    assert not Path("log").exists()


def test_only_a_page_is_replaced(run: Callable[..., None]) -> None:
    Path("notes.html").write_text("<p>mine</p>")
    with pytest.raises(InputError, match="another kind"):
        run("--output_path=notes.html")
    run("--output_path=new.html")
    run("--output_path=new.html")
    assert Path("notes.html").read_text() == "<p>mine</p>"
