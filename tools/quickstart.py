"""From nothing to a recogniser that was tested on voices it never heard: `make quickstart`.

Runs the commands that a user would, shows each, and sums up. Without `--data` a corpus is generated
first; with it, that folder's `annotation/` and recordings are used as they are.
"""

import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from data_utils.atomic import check_place
from data_utils.errors import InputError
from data_utils.settings import option
from data_utils.workers import available_cores
from model_utils.options import parse, run_command

HOME = Path(__file__).resolve().parent.parent
EPOCHS_GENERATED, EPOCHS_RECORDED = 10, 20
CLIPS = 3
"""Test recordings that are transcribed at the end."""


@dataclass(frozen=True)
class QuickstartSettings:
    """What the quickstart trains on, and where."""

    data: str | None = option(None, "folder with annotation/; None generates a corpus")
    output_dir: str = option("./quickstart", "folder for all that is made")
    num_epoch: int | None = option(
        None,
        f"epochs before the resumed one; None: {EPOCHS_GENERATED} for generated speech, "
        f"{EPOCHS_RECORDED} for recordings, whose speakers differ more",
        minimum=1,
    )
    seed: int = option(1, "of the corpus and the training", minimum=0)


def main() -> None:
    """Generate or take a corpus, prepare, train, evaluate, transcribe, resume, draw, sum up."""
    settings = parse("quickstart.py", [QuickstartSettings], description=__doc__)[QuickstartSettings]
    started = time.monotonic()

    # NumPy, which both import, doubles the time to --help.
    from data_utils.manifest import Manifest
    from model_utils.trainer import checkpoint

    corpus = _laid_out(settings.data) if settings.data else Path("corpus")
    folder = Path(settings.output_dir) / (corpus.name if settings.data else "generated")
    check_place(folder / "curves.png")
    folder.mkdir(parents=True, exist_ok=True)
    run = _Runner(folder)
    print(f"in {folder}:")

    if not settings.data:
        run("tools/generate_corpus.py", f"--output_dir={corpus}", f"--seed={settings.seed}")
    run(
        "tools/create_manifest.py",
        f"--annotation_path={corpus / 'annotation'}",
        f"--noise_path={corpus / 'audio' / 'noise'}",
    )
    run("tools/build_vocab.py")
    preset = HOME / "conf" / ("words" if settings.data else "quickstart")
    config = f"--config={preset.with_suffix('.json5')}"
    run("tools/compute_mean_std.py", config)
    training = [
        "train.py",
        config,
        f"--augment_conf_path={preset.with_name(f'{preset.name}_augmentation.json5')}",
        f"--seed={settings.seed}",
    ]
    if not (folder / "dataset" / "manifest.dev").exists():
        training += ["--dev_manifest=None", "--test_manifest=./dataset/manifest.test"]
    epochs = settings.num_epoch or (EPOCHS_RECORDED if settings.data else EPOCHS_GENERATED)
    run(*training, f"--num_epoch={epochs}")
    best = Path("models/param/best.pdparams")
    score = run("eval.py", f"--resume_model={best}", keep_last_line=True)
    test = Manifest.open(folder / "dataset" / "manifest.test")
    step = max(1, len(test) // CLIPS)
    clips = [str(test[i * step].audio) for i in range(min(CLIPS, len(test)))]
    run("infer.py", f"--resume_model={best}", "--audio_path", *clips)
    # In a folder of its own: where it is the best so far, it must not replace the one just scored.
    run(
        *training,
        f"--resume_model=models/param/{epochs}.pdparams",
        f"--num_epoch={epochs + 1}",
        "--output_model_dir=models/resumed",
    )
    run("tools/plot_curves.py", "--log_dir=log", "--output_path=curves.png")

    seconds = time.monotonic() - started
    print(f"\ntest {score}")
    print(f"took {seconds:.0f} s, {_cpu_seconds():.0f} CPU seconds on {available_cores()} cores")
    info = checkpoint.read_info(folder / best) or {}
    for what, where in (
        (f"model, of epoch {info.get('epoch')}", best),
        (f"resumed, epoch {epochs + 1}", f"models/resumed/{epochs + 1}.pdparams"),
        ("references and hypotheses", "results/eval.txt"),
        ("curves", "curves.png"),
        ("manifests, vocabulary, statistics", "dataset"),
    ):
        print(f"{what}: {folder / where}")
    print(f"curves in the browser: source .venv/bin/activate; visualdl --logdir={folder / 'log'}")


def _laid_out(data: str) -> Path:
    """The user's folder, in which there is `annotation/`."""
    folder = Path(data).resolve()
    if (folder / "annotation").is_dir():
        return folder
    if not folder.is_dir():
        raise InputError(f"{data}: no such folder; give the one that holds annotation/")
    if folder.name == "annotation":
        raise InputError(
            f"{data}: this is the annotation itself; give the folder above, {folder.parent}"
        )
    raise InputError(f"{data}: no annotation/ in it; give a folder laid out so")


class _Runner:
    """Runs commands of this project in one folder, showing each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, script: str, *arguments: str, keep_last_line: bool = False) -> str:
        shown = shlex.join([script, *arguments]).replace(f"{HOME}{os.sep}", "")
        print(f"\n$ python {shown}", flush=True)
        process = subprocess.Popen(
            [sys.executable, str(HOME / script), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE if keep_last_line else None,
            text=True,
        )
        last = ""
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
        if process.wait() != 0:
            raise InputError(f"{script} ended with exit code {process.returncode}, see above")
        return last


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    run_command(main)
