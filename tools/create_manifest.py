"""Make manifests of the recordings that the files in dataset/annotation/ list.

Files named train, dev and test keep their split; without them all are divided by speaker, or by a
hash of the file name. Recordings that cannot be used are listed in dataset/manifest.skipped.txt.
"""

from data_utils.settings import ManifestSettings
from model_utils.options import parse, run_command


def main() -> int | None:
    """Read the options and create the manifests."""
    options = parse("create_manifest.py", [ManifestSettings], description=__doc__)
    # Imported behind the options, so that --help answers at once.
    from data_utils.preparation.manifests import create_manifests

    create_manifests(options[ManifestSettings])
    return None


if __name__ == "__main__":
    run_command(main)
