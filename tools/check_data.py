"""Look at a corpus before training: what cannot be trained on, what is odd, what flatters scores.

Every recording of the manifests is read once, by all cores. What is found is counted, and listed
in one HTML page; nothing is changed.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from data_utils.settings import CorpusSettings, FeatureSettings, option
from model_utils.options import Options, parse, run_command
from model_utils.settings import TRAINING, NetworkSettings


@dataclass(frozen=True)
class CheckSettings:
    """How it is looked at, and where the page goes."""

    output_path: str = option("./log/data_check.html", "the HTML page")
    examples: int = option(
        3, "findings of each kind that are shown; the page has 1,000 of each split", minimum=0
    )
    num_workers: int | None = option(
        None, "processes that read, 0 for none; None: one for each core", minimum=0
    )


def main() -> None:
    """Read everything, print what was found, write the page."""
    options = parse(
        "check_data.py",
        [CheckSettings, CorpusSettings, FeatureSettings],
        description=__doc__ or "",
        shares_config_with=TRAINING,
    )

    from tqdm import tqdm

    from data_utils.atomic import check_place
    from data_utils.manifest import Manifest
    from data_utils.preparation.checks import Standard, check_corpus
    from data_utils.text import Vocabulary
    from reports.data_check import BEGINNING, summary, write_page

    settings, files = options[CheckSettings], options[CorpusSettings]
    check_place(settings.output_path, kind=re.compile(re.escape(BEGINNING.encode())))
    standard = Standard(
        Vocabulary.load(files.vocab_path),
        options[FeatureSettings],
        NetworkSettings().time_reduction,
        files.unknown,
        files.min_duration,
        files.max_duration,
    )
    splits = {name: Manifest.open(paths) for name, paths in _manifests(options).items()}
    with tqdm(total=sum(map(len, splits.values())), unit=" utterances", disable=None) as bar:
        checks = check_corpus(
            splits, standard, num_workers=settings.num_workers, progress=bar.update
        )
    print(summary(checks, settings.examples))
    write_page(checks, Path(settings.output_path))
    print(f"written: {settings.output_path}")


def _manifests(options: Options) -> dict[str, tuple[str, ...]]:
    """The manifests of each split.

    A dev or test set that training does not score is looked at too, where it lies beside the
    training manifest: its speakers and sentences count all the same.
    """
    files = options[CorpusSettings]
    manifests = {"train": files.train_manifest}
    for split, named in (("dev", files.dev_manifest), ("test", files.test_manifest)):
        given = f"{split}_manifest" in options.given and named is not None
        path = named or f"{files.train_manifest[0].removesuffix('train')}{split}"
        if given or Path(path).is_file():
            manifests[split] = (path,)
    return manifests


if __name__ == "__main__":
    run_command(main)
