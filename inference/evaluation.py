"""Score a model on manifests: the logic of eval.py."""

import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from data_utils.atomic import check_place, write_atomically
from data_utils.classes import SHOWN, Classes, values_of
from data_utils.errors import InputError
from data_utils.loader import Loader
from data_utils.manifest import Manifest
from inference.predictor import Predictor
from inference.settings import EvaluationSettings
from model_utils.recognition import Recognition, class_hit, recognise, scoring_order
from scoring.accuracy import Hits
from scoring.error_rate import ErrorCounts

KIND = re.compile(rb"[^\n]*\nref: ")
"""How a file of results begins."""


@dataclass(frozen=True)
class Evaluation:
    """What came out."""

    counts: ErrorCounts
    head_field: str = ""
    """What the head is for."""
    hits: Mapping[str, Hits] = field(default_factory=dict)
    """By class, of how many utterances the head told it; empty where there is nothing to tell."""

    @property
    def head_lines(self) -> list[str]:
        """Shares of all utterances, and of those of each class unless there are many."""
        if not self.hits:
            return []
        own = [hits.format(f"  {name}") for name, hits in self.hits.items()]
        total = sum(self.hits.values(), Hits())
        return [total.format(self.head_field), *(own if len(own) <= SHOWN else ())]


def evaluate(predictor: Predictor, settings: EvaluationSettings) -> Evaluation:
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
            predictor.outputs,
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
    counts = sum((result.counts for result in results), ErrorCounts())
    head = predictor.recogniser.head
    if head is None:
        return Evaluation(counts)
    hits = _hits(results, dataset.manifest, head)
    if not hits:
        print(
            f"note: {names}: no utterance has a {head.field}, so it is not scored", file=sys.stderr
        )
    return Evaluation(counts, head.field, hits)


def _hits(results: Sequence[Recognition], manifest: Manifest, head: Classes) -> dict[str, Hits]:
    values = values_of(manifest, head.field)
    numbers = head.numbers(values)
    hits: defaultdict[str, Hits] = defaultdict(Hits)
    for result in results:
        if (value := values[result.utterance]) is not None:
            hits[value] += class_hit(int(numbers[result.utterance]), result)
    return dict(sorted(hits.items()))


def _write(path: Path, results: Sequence[Recognition], manifest: Manifest, measure: str) -> None:
    with write_atomically(path) as (temporary,), temporary.open("w", encoding="utf-8") as stream:
        for result in results:
            stream.write(
                f"{manifest[result.utterance].audio}\n"
                f"ref: {result.reference}\n"
                f"hyp: {result.hypothesis}\n"
                f"{result.counts.format(measure)}\n"
            )
