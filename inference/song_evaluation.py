"""Score a separator on songs: the logic of `eval.py --task=separation`."""

import math
import sys

import numpy as np
from tqdm import tqdm

from data_utils.audio import AudioError
from data_utils.errors import InputError
from data_utils.separation.dataset import SongChunks
from data_utils.separation.settings import STEMS, StemSettings
from data_utils.separation.songs import read_songs
from inference.loading import load_separator
from inference.settings import SongEvaluationSettings
from model_utils.options import Options
from model_utils.settings import DeviceSettings
from scoring.separation import bss_eval
from scoring.speech_quality import si_sdr

MEASURES = ("SI-SDR", "gain", "SDR", "SIR", "SAR", "ISR")


def evaluate_separator(options: Options) -> None:
    """Take parts of each song apart, and print a table of medians in dB, as museval does.

    Raises:
        InputError: the checkpoint or the manifest cannot be used, or no song can.
    """
    settings = options[SongEvaluationSettings]
    predictor = load_separator(
        settings.resume_model,
        options[DeviceSettings],
        options[StemSettings],
    )
    songs = read_songs(settings.test_manifest, settings.test_dataset)
    chunks = SongChunks(songs, predictor.separator.songs)
    found: dict[str, list[list[float]]] = {name: [] for name in STEMS}
    for index in tqdm(range(len(chunks)), unit=" parts", disable=None):
        try:
            mixture, *references = chunks.waves(index)
        except AudioError as error:
            tqdm.write(f"left out: {chunks.where(index)}: {error}", file=sys.stderr)
            continue
        estimates = predictor.separate(mixture)
        scores = bss_eval(estimates, np.stack(references))
        for name, reference, estimate, score in zip(
            STEMS, references, estimates, scores, strict=True
        ):
            own = si_sdr(estimate, reference)
            gain = own - si_sdr(mixture, reference)
            found[name].append([own, gain, score.sdr, score.sir, score.sar, score.isr])
    if not found[STEMS[0]]:
        raise InputError(f"{settings.test_manifest}: none of its songs can be used")
    print(f"{len(found[STEMS[0]])} parts of {len(songs)} songs, medians in dB")
    print(f"{'':<15}" + "".join(f"{measure:>9}" for measure in MEASURES))
    for name, rows in found.items():
        medians = [_median([row[number] for row in rows]) for number in range(len(MEASURES))]
        print(f"{name:<15}" + "".join(f"{median:>9.2f}" for median in medians))


def _median(values: list[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.median(finite)) if finite else math.nan
