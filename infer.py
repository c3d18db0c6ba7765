"""Recordings to text with a trained model: python infer.py --help lists the options."""

import codecs
import dataclasses
import json
import sys

from data_utils.errors import InputError
from data_utils.settings import FeatureSettings
from inference.settings import (
    INFERENCE_OPTIONS,
    ExportedSettings,
    FrontEndSettings,
    ModelSettings,
    TranscriptionSettings,
)
from model_utils.options import parse, run_command
from model_utils.settings import TRAINING, DeviceSettings, NetworkSettings


def main() -> int:
    """Read the options and print a line for each recording; those not readable are named."""
    options = parse(
        "infer.py",
        [
            TranscriptionSettings,
            ModelSettings,
            ExportedSettings,
            FrontEndSettings,
            NetworkSettings,
            FeatureSettings,
            DeviceSettings,
        ],
        description="Text of recordings.",
        reserved=INFERENCE_OPTIONS,
        shares_config_with=TRAINING,
    )
    settings = options[TranscriptionSettings]
    if not settings.audio_path:
        raise InputError("--audio_path: give one or more recordings, or a folder of them")

    from inference.files import recordings_at
    from inference.loading import load_predictor

    paths = recordings_at(settings.audio_path)
    predictor = load_predictor(options)
    is_named = paths != settings.audio_path[:1]  # but for a single one, given as it is
    failures = 0
    for path in paths:
        try:
            result = predictor.transcribe(path)
        except InputError as error:
            failures += 1
            print(f"error: {error}", file=sys.stderr)
            if settings.json:
                _print_json({"audio": path, "error": str(error).removeprefix(f"{path}: ")})
            continue
        if settings.json:
            answer = dataclasses.asdict(result)
            if not result.classes:
                del answer["classes"]
            _print_json({"audio": path, **answer})
        else:
            name = f"{path}: " if is_named else ""
            classes = "".join(f", {field}: {value}" for field, value in result.classes.items())
            print(
                f"{name}消耗时间：{result.seconds * 1000:.0f}ms, 识别结果: {result.text}, "
                f"得分: {result.confidence * 100:.0f}{classes}",
                flush=True,
            )
    return 2 if failures else 0


def _print_json(answer: dict[str, object]) -> None:
    utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"  # else JSON's own escapes
    print(json.dumps(answer, ensure_ascii=not utf8), flush=True)


if __name__ == "__main__":
    run_command(main)
