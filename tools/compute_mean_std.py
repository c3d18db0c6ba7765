"""Mean and standard deviation of the features of a manifest, for train.py.

Every frame of every utterance counts, or those of --num_samples utterances. What cannot be read is
listed and left out.
"""

import sys

from data_utils.settings import FeatureSettings, MeanStdSettings
from model_utils.options import parse, run_command
from model_utils.settings import TRAINING


def main() -> None:
    """Measure, and write the .npz file with the feature settings in it."""
    options = parse(
        "compute_mean_std.py",
        [MeanStdSettings, FeatureSettings],
        description=__doc__ or "",
        shares_config_with=TRAINING,
    )

    from tqdm import tqdm

    from data_utils.atomic import check_place
    from data_utils.manifest import Manifest
    from data_utils.normalizer import KIND, Normalizer
    from data_utils.preparation.statistics import draw, measure

    settings, features = options[MeanStdSettings], options[FeatureSettings]
    check_place(settings.output_path, kind=KIND)
    manifest = draw(Manifest.open(settings.manifest_path), settings.num_samples)
    with tqdm(total=len(manifest), unit=" utterances", disable=None) as bar:
        measured = measure(
            manifest, features, num_workers=settings.num_workers, progress=bar.update
        )
    for line in measured.skipped:
        print(f"skipped: {line}", file=sys.stderr)
    statistics = measured.statistics
    Normalizer(statistics.mean, statistics.std, features).save(settings.output_path)
    print(
        f"{settings.output_path}: mean and std of {len(statistics.mean)} bins "
        f"({features.feature_type}), {statistics.count} frames of {measured.utterances} utterances"
        + (f", {len(measured.skipped)} skipped" if measured.skipped else "")
    )


if __name__ == "__main__":
    run_command(main)
