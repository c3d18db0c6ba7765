"""Speak a corpus to try everything with: no download, no recordings.

espeak-ng (GPL-3.0, the optional extra `quickstart`) says the sentences in many voices; voices of
dev and test are never heard in training.
"""

from data_utils.settings import GenerationSettings
from model_utils.options import parse, run_command


def main() -> None:
    """Generate the corpus and say what is in it."""
    settings = parse("generate_corpus.py", [GenerationSettings], description=__doc__)[
        GenerationSettings
    ]
    from data_utils.synthesis import SPLITS, generate_corpus

    clips = generate_corpus(settings)
    trained = {clip.text for clip in clips if clip.split == "train"}
    for split in SPLITS:
        part = [clip for clip in clips if clip.split == split]
        voices = len({clip.voice for clip in part})
        line = f"{split}: {len(part)} clips by {voices} voices"
        if split != "train":
            unseen = sum(clip.text not in trained for clip in part)
            line += f", {unseen} of sentences not in train"
        print(line)
    print(f"annotation in {settings.output_dir}/annotation, audio in {settings.output_dir}/audio")


if __name__ == "__main__":
    run_command(main)
