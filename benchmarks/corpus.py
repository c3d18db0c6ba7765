"""A corpus that is prepared in a folder as a user does it."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import run_script
from data_utils.errors import InputError


def check_corpus(corpus: str | None) -> None:
    """Refuse a folder that is no corpus, before time is spent.

    Raises:
        InputError: there is no annotation/ in it.
    """
    if corpus is not None and not (Path(corpus) / "annotation").is_dir():
        raise InputError(f"--corpus={corpus}: no annotation/ in it; give the folder with it")


def make_manifests(
    folder: Path, corpus: str | None, generated: Sequence[str], *options: str
) -> None:
    """Write the manifests of a corpus into dataset/ of `folder`.

    Args:
        folder: that the commands are run in.
        corpus: folder with annotation/ in it; None: speech is generated.
        generated: options of tools/generate_corpus.py.
        options: of tools/create_manifest.py.
    """
    place = folder / "corpus" if corpus is None else Path(corpus).resolve()
    if corpus is None:
        run_script("tools/generate_corpus.py", f"--output_dir={place}", *generated, cwd=folder)
    annotation = f"--annotation_path={place / 'annotation'}"
    run_script("tools/create_manifest.py", annotation, "--noise_path=None", *options, cwd=folder)


def make_statistics(folder: Path, config: Path) -> None:
    """Write vocabulary, mean and standard deviation of what is in dataset/ of `folder`."""
    run_script("tools/build_vocab.py", cwd=folder)
    run_script("tools/compute_mean_std.py", f"--config={config}", cwd=folder)
