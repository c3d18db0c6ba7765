"""Make the vocabulary of the characters in the training manifest.

Prints for every split which share of its characters the vocabulary lacks.
"""

from data_utils.settings import VocabularySettings
from model_utils.options import parse, run_command


def main() -> int | None:
    """Read the options and build the vocabulary."""
    options = parse("build_vocab.py", [VocabularySettings], description=__doc__)
    # Imported behind the options, so that --help answers at once.
    from data_utils.preparation.vocabulary import build_vocabulary

    build_vocabulary(options[VocabularySettings])
    return None


if __name__ == "__main__":
    run_command(main)
