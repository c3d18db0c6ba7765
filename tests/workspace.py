"""A folder as a user has it, and the commands typed in it."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_utils.runtime import known_wrong

HOME = Path(__file__).resolve().parents[1]
"""Where the commands are."""

SLOW = f"warning: the plain engine is used, several times slower: {known_wrong()}"
"""With Paddle 2 every command says so; tests of what else it says need not know."""

SMALL = """{
    // Learns nothing much, and that fast: for tests of the way, not of the goal.
    feature_type: "fbank", num_mel_bins: 16,
    conv_channels: 4, num_rnn_layers: 1, rnn_layer_size: 16, dropout: 0.2,
    batch_size: 8, learning_rate: 2e-3, grad_clip: 5,
    log_interval: 2, save_interval: 2,
    use_gpu: false, num_threads: 1, num_workers: 0,
}
"""

# What tests set for their own Paddle; a user has none of it.
_OURS = ("OMP_NUM_THREADS", "FLAGS_use_mkldnn", "GLOG_minloglevel", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Ran:
    """What a command answered."""

    code: int
    out: list[str]
    err: list[str]


class Workspace:
    """A folder with `dataset/` and `conf/` in it, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conf").mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / "conf" / "augmentation.json", folder / "conf")
        (folder / "conf" / "small.json5").write_text(SMALL, encoding="utf-8")

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, script: str, *arguments: str | Path, code: int | None = 0) -> Ran:
        """Type `python SCRIPT ARGUMENTS`; fails where the exit code is not `code` (None: any)."""
        done = subprocess.run(
            [sys.executable, str(HOME / script), *map(str, arguments)],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name not in _OURS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        said = f"{script} {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert code in (None, done.returncode), said
        complaints = [line for line in done.stderr.splitlines() if line != SLOW]
        return Ran(done.returncode, done.stdout.splitlines(), complaints)

    def annotate(self, **splits: Mapping[str | Path, str]) -> None:
        """Write `dataset/annotation/SPLIT.txt` of paths and transcripts."""
        folder = self.folder / "dataset" / "annotation"
        folder.mkdir(parents=True, exist_ok=True)
        for split, lines in splits.items():
            text = "".join(f"{path}\t{transcript}\n" for path, transcript in lines.items())
            (folder / f"{split}.txt").write_text(text, encoding="utf-8")

    def prepare(self, *features: str) -> None:
        """The three commands before training; `features` are options of the third."""
        self.run("tools/create_manifest.py")
        self.run("tools/build_vocab.py")
        self.run("tools/compute_mean_std.py", *(features or ("--config=conf/small.json5",)))

    def train(self, *options: str, code: int = 0) -> Ran:
        """Train the small network."""
        return self.run("train.py", "--config=conf/small.json5", *options, code=code)

    def copy(self, folder: Path) -> "Workspace":
        """All of it in another folder; links stay links."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workspace(folder)

    def content(self) -> dict[str, str]:
        """The digest of every file, by its path."""
        return {
            path.relative_to(self.folder).as_posix(): digest(path)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def annotation_lines(path: Path, base: Path, count: int | None = None) -> dict[str | Path, str]:
    """The first lines of an annotation file, its paths below `base` made absolute."""
    lines = path.read_text(encoding="utf-8").splitlines()[:count]
    rows: Sequence[list[str]] = [line.split("\t", 1) for line in lines]
    return {base / audio: rest for audio, rest in rows}
