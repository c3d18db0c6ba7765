"""The command itself; what it does is tested with the songs."""

import subprocess
import sys
from pathlib import Path

from songs import write_song

from data_utils.separation.songs import read_songs

SCRIPT = Path(__file__).parents[2] / "run_scripts" / "preprocess.py"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_both_options_reach_what_they_name(tmp_path: Path) -> None:
    write_song(tmp_path / "my songs/a", 1.0)
    done = run(tmp_path, "--train_dataset", "my songs", "--train_manifest=lists/songs.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "songs 1, hours 0.00, skipped 0\nwritten: lists/songs.csv\n"
    (song,) = read_songs(tmp_path / "lists/songs.csv", tmp_path / "my songs")
    assert Path(song.mix) == tmp_path / "my songs/a/mixture.wav"


def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "dataset: cannot be read" in done.stderr


def test_help_answers_without_numpy() -> None:
    code = f"import runpy, sys; sys.modules['numpy'] = None; sys.argv = ['x', '--help']; \
runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--train_manifest" in done.stdout and "--train_dataset" in done.stdout
