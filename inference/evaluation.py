"""Score a model on manifests: the logic of eval.py."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from data_utils.atomic import check_place, write_atomically
from data_utils.errors import InputError
from data_utils.loader import Loader
from data_utils.manifest import Manifest
from inference.predictor import Predictor
from inference.settings import EvaluationSettings
from model_utils.tasks.recognition import Recognition, recognise, scoring_order
from scoring.error_rate import ErrorCounts

KIND = re.compile(rb"[^\n]*\nref: ")
"""How a file of results begins."""


def evaluate(predictor: Predictor, settings: EvaluationSettings) -> ErrorCounts:
    """Recognise every utterance of the manifests, write what was heard, count the errors.

    The file at `result_path` gets four lines an utterance, in the order of the manifests: the
    recording, `ref:`, `hyp:`, and the counts. Recordings that cannot be read are named on stderr.

    Raises:
        InputError: a manifest cannot be used or has no text, none of its recordings with a text
            can be read, or the result cannot be written.
    """
    check_place(settings.result_path, kind=KIND)
    dataset = predictor.recogniser.dataset(Manifest.open(settings.test_manifest))
    workers = settings.num_workers
    if predictor.front_end is not None:
        dataset.power, workers = predictor.front_end.power, 0  # workers have no Paddle
    names = ",".join(settings.test_manifest)
    if not any(dataset.text(utterance) for utterance in dataset.manifest):
        raise InputError(f"{names}: no reference text in it, nothing to compare with")
    plan = scoring_order(dataset.manifest.durations, settings.batch_size)
    results: list[Recognition] = []
    with (
        Loader({"test": dataset}, workers) as loader,
        tqdm(total=len(dataset.manifest), unit="utterance", disable=None) as bar,
    ):
        for result in recognise(
            predictor.log_probs,
            loader.batches("test", plan),
            predictor.recogniser.vocabulary,
            settings.error_rate_type,
            report=lambda problem: tqdm.write(f"left out: {problem}", file=sys.stderr),
        ):
            results.append(result)
            bar.update()
    if not any(result.reference for result in results):
        raise InputError(f"{names}: none of its recordings that have a text can be read")
    results.sort(key=lambda result: result.utterance)
    _write(Path(settings.result_path), results, dataset.manifest, settings.error_rate_type)
    return sum((result.counts for result in results), ErrorCounts())


def _write(path: Path, results: Sequence[Recognition], manifest: Manifest, measure: str) -> None:
    with write_atomically(path) as (temporary,), temporary.open("w", encoding="utf-8") as stream:
        for result in results:
            stream.write(
                f"{manifest[result.utterance].audio}\n"
                f"ref: {result.reference}\n"
                f"hyp: {result.hypothesis}\n"
                f"{result.counts.format(measure)}\n"
            )
