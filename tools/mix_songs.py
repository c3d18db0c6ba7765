"""Make songs to train a separator with: speech of one list over music or noise of another.

dataset/song_00001/{mixture,vocals,instrumental}.wav and so on
"""

from data_utils.separation.settings import MixedSongSettings
from model_utils.options import parse, run_command


def main() -> None:
    """Read the options and write the songs."""
    options = parse("mix_songs.py", [MixedSongSettings], description=__doc__)
    # Imported behind the options, so that --help answers at once.
    from tqdm import tqdm

    from data_utils.separation.mixing_songs import mix_songs

    settings = options[MixedSongSettings]
    with tqdm(total=settings.num_songs, unit=" songs", disable=None) as bar:
        folder, hours = mix_songs(settings, bar.update)
    print(f"written: {folder}: songs {settings.num_songs}, hours {hours:.2f}")


if __name__ == "__main__":
    run_command(main)
