"""Score an enhancer on speech mixed with noise: the logic of `eval.py --task=enhancement`."""

import sys

from tqdm import tqdm

from data_utils.audio import AudioError
from data_utils.enhancement.dataset import NoisyPairs
from data_utils.enhancement.lists import named_list
from data_utils.enhancement.settings import check_ratios
from data_utils.errors import InputError
from inference.loading import load_enhancer
from inference.settings import NoisyEvaluationSettings
from model_utils.options import Options
from model_utils.settings import DeviceSettings
from scoring.speech_quality import Quality, has_pesq

HEADER = f"{'SNR':>6}{'SI-SDR':>9}{'gain':>8}{'STOI':>8}{'gain':>8}{'PESQ':>8}{'gain':>8}"


def evaluate_enhancer(options: Options) -> None:
    """Enhance each recording at each ratio, and print a table of what that brought.

    Raises:
        InputError: the checkpoint or a list cannot be used, or no recording can.
    """
    settings = options[NoisyEvaluationSettings]
    check_ratios("test_snrs", settings.test_snrs)
    predictor = load_enhancer(settings.resume_model, options[DeviceSettings], settings.observation)
    rate = predictor.masking.rate
    clean, noise = (named_list(path) for path in (settings.test_clean, settings.test_noise))
    pairs = NoisyPairs(clean, noise, settings.test_snrs, rate)
    before = {snr: Quality() for snr in settings.test_snrs}
    after = dict(before)
    done = 0
    for index in tqdm(range(len(pairs)), unit=" mixtures", disable=None):
        try:
            pair = pairs.pair(index)
        except AudioError as error:
            tqdm.write(f"left out: {pairs.where(index)}: {error}", file=sys.stderr)
            continue
        enhanced = predictor.enhance(pair.noisy)
        before[pair.snr_db] += Quality.of(pair.noisy, pair.clean, rate)
        after[pair.snr_db] += Quality.of(enhanced, pair.clean, rate)
        done += 1
    if not done:
        raise InputError(f"{settings.test_clean}: none of its recordings can be used")
    print(f"{done} mixtures" + ("" if has_pesq() else "; no PESQ: pip install pesq"))
    print(HEADER)
    for snr in settings.test_snrs:
        was, now = before[snr], after[snr]
        print(
            f"{snr:>6g}{now.si_sdr:>9.2f}{now.si_sdr - was.si_sdr:>8.2f}"
            f"{now.stoi:>8.3f}{now.stoi - was.stoi:>8.3f}"
            f"{now.pesq:>8.2f}{now.pesq - was.pesq:>8.2f}"
        )
