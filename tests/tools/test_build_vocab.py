import subprocess
import sys
from pathlib import Path

import pytest

from data_utils.errors import InputError
from data_utils.manifest import Utterance, write_manifests
from data_utils.preparation.vocabulary import build_vocabulary
from data_utils.settings import VocabularySettings
from data_utils.text import Vocabulary

TOOL = Path(__file__).parents[2] / "tools" / "build_vocab.py"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def manifest(split: str, *texts: str) -> str:
    path = f"dataset/manifest.{split}"
    rows = [Utterance(f"{i}.wav", 1, text) for i, text in enumerate(texts)]
    write_manifests({Path(path): rows})
    return path


def test_characters_by_falling_count() -> None:
    manifest("train", "你好你", "ok go", "好你")
    vocabulary = build_vocabulary(VocabularySettings())
    assert Path("dataset/zh_vocab.txt").read_text("utf-8").splitlines() == [
        "<blank>\t-1",
        "<unk>\t0",
        "<space>\t1",
        "你\t3",
        "o\t2",
        "好\t2",
        "g\t1",
        "k\t1",
    ]
    assert Vocabulary.load("dataset/zh_vocab.txt") == vocabulary


def test_rare_characters_are_left_to_unk(capsys: pytest.CaptureFixture[str]) -> None:
    manifest("train", "aab", "acc")
    vocabulary = build_vocabulary(VocabularySettings(count_threshold=2))
    assert vocabulary.tokens == ("<blank>", "<unk>", "a", "c")
    assert "1 of 6 characters out of vocabulary (16.667%): b 1" in capsys.readouterr().out


def test_every_split_beside_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    manifest("train", "你好")
    manifest("dev", "你们")
    manifest("test", "好你")
    build_vocabulary(VocabularySettings())
    printed = capsys.readouterr().out.splitlines()
    assert "./dataset/manifest.train: 0 of 2 characters out of vocabulary (0.000%)" in printed
    assert "./dataset/manifest.dev: 1 of 2 characters out of vocabulary (50.000%): 们 1" in printed
    assert "./dataset/manifest.test: 0 of 2 characters out of vocabulary (0.000%)" in printed


def test_several_manifests_are_counted_together() -> None:
    paths = (manifest("train", "你"), manifest("more", "好"))
    assert build_vocabulary(VocabularySettings(manifest_paths=paths)).tokens[2:] == ("你", "好")


def test_texts_of_older_packages_are_normalised_and_it_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest("train", "你好，WORLD", "好")
    assert set(build_vocabulary(VocabularySettings()).tokens[2:]) == set("你好world")
    assert "manifest.train: 1 transcripts are not normalised" in capsys.readouterr().out


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match=r"create_manifest\.py"):
        build_vocabulary(VocabularySettings())
    manifest("train", "")
    with pytest.raises(InputError, match="no transcript in it"):
        build_vocabulary(VocabularySettings())
    assert not Path("dataset/zh_vocab.txt").exists()


def test_a_file_that_is_no_vocabulary_is_not_replaced() -> None:
    manifest("train", "你好")
    Path("text.txt").write_text("今天天气很好。\n", "utf-8")
    with pytest.raises(InputError, match=r"text.txt: .*another kind stands there"):
        build_vocabulary(VocabularySettings(vocab_path="text.txt"))
    assert Path("text.txt").read_text("utf-8") == "今天天气很好。\n"
    Path("text.txt").write_text("\ufeff<blank>\n<unk>\n", "utf-8")
    build_vocabulary(VocabularySettings(vocab_path="text.txt"))


def test_a_broken_split_beside_is_named_and_the_vocabulary_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest("train", "你好")
    Path("dataset/manifest.dev").write_text("{\n", encoding="utf-8")
    manifest("test", "你们")
    with pytest.raises(InputError, match=r"manifest.dev:1: not valid JSON.* is written all the"):
        build_vocabulary(VocabularySettings())
    assert Vocabulary.load("dataset/zh_vocab.txt").tokens[2:] == ("你", "好")
    assert "manifest.test: 1 of 2 characters out of vocabulary" in capsys.readouterr().out


def test_the_command_and_its_exit_code() -> None:
    run = [sys.executable, str(TOOL)]
    failed = subprocess.run(run, capture_output=True, text=True, check=False)
    assert failed.returncode == 2 and len(failed.stderr.splitlines()) == 1
    manifest("train", "你好")
    done = subprocess.run(
        [*run, "--manifest_paths=dataset/manifest.train", "--vocab_path=v.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "written: v.txt, 4 tokens" in done.stdout
