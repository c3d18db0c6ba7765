"""Recordings to text with a trained model: python infer.py --help lists the options."""

import codecs
import dataclasses
import json
import sys

from data_utils.errors import InputError
from data_utils.settings import FeatureSettings
from inference.settings import INFERENCE_OPTIONS, ModelSettings, TranscriptionSettings
from model_utils.options import parse, run_command
from model_utils.settings import TRAINING, DeviceSettings, NetworkSettings


def main() -> int:
    """Read the options and print a line for each recording; those not readable are named."""
    options = parse(
        "infer.py",
        [TranscriptionSettings, ModelSettings, NetworkSettings, FeatureSettings, DeviceSettings],
        description="Text of recordings.",
        reserved=INFERENCE_OPTIONS,
        shares_config_with=TRAINING,
    )
    settings = options[TranscriptionSettings]
    if not settings.audio_path:
        raise InputError("--audio_path: give one or more recordings")

    from inference.loading import load_predictor

    predictor = load_predictor(options)
    utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"  # else JSON's own escapes
    failures = 0
    for path in settings.audio_path:
        try:
            result = predictor.transcribe(path)
        except InputError as error:
            failures += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        if settings.json:
            answer = {"audio": path, **dataclasses.asdict(result)}
            print(json.dumps(answer, ensure_ascii=not utf8), flush=True)
        else:
            name = f"{path}: " if len(settings.audio_path) > 1 else ""
            print(
                f"{name}消耗时间：{result.seconds * 1000:.0f}ms, 识别结果: {result.text}, "
                f"得分: {result.confidence * 100:.0f}",
                flush=True,
            )
    return 2 if failures else 0


if __name__ == "__main__":
    run_command(main)
