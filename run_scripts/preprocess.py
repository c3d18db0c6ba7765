"""Make the manifest of the songs in a folder, one subfolder each, for run_scripts/run_spleeter.py.

    dataset/<song>/mixture.wav, vocal.wav (or vocals.wav), instrumental.wav (or accompaniment.wav)

in any format that libsndfile reads. Songs that cannot be used are named, with the reason.
"""

from data_utils.separation.settings import SongFiles
from model_utils.options import parse, run_command


def main() -> int | None:
    """Read the options and write the manifest."""
    options = parse("preprocess.py", [SongFiles], description=__doc__)
    # Imported behind the options, so that --help answers at once.
    from data_utils.separation.songs import prepare_songs

    prepare_songs(options[SongFiles])
    return None


if __name__ == "__main__":
    run_command(main)
