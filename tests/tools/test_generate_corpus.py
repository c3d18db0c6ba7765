"""The command as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "generate_corpus.py"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, encoding="utf-8"
    )


def test_speaks_a_users_sentences_says_what_it_made_and_refuses_to_mix_corpora(tmp_path):
    pytest.importorskip("espeakng_loader")
    text = tmp_path / "text.txt"
    text.write_text("今天天气很好。\n我们去公园吧\n你好！\n再见\n", encoding="utf-8")
    output = tmp_path / "dataset"
    arguments = [f"--output_dir={output}", f"--text={text}", "--num_train=3", "--num_dev=0"]
    arguments += ["--num_test=1", "--unseen_share=1"]

    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "train: 3 clips by 3 voices"
    assert lines[2] == "test: 1 clips by 1 voices, 1 of sentences not in train"
    assert not (output / "annotation" / "dev.txt").exists()
    assert len((output / "annotation" / "train.txt").read_text("utf-8").splitlines()) == 3
    assert len(list(output.glob("audio/train/*/*.wav"))) == 3

    refused = run(*arguments, "--seed=7")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ") and refused.stderr.count("\n") == 1
    assert "has seed 0, not 7" in refused.stderr


def test_help_loads_nothing_heavy():
    code = (
        "import sys, tools.generate_corpus; "
        "print([name for name in ('numpy', 'paddle', 'soundfile') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=TOOL.parents[1]
    )
    assert done.stdout.strip() == "[]", done.stderr
