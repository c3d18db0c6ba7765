"""Score a trained model: python eval.py --help lists the options, --task those of another task."""

from data_utils.separation.settings import StemSettings
from data_utils.settings import FeatureSettings
from inference.settings import (
    DECODER_OPTIONS,
    EvaluationSettings,
    ExportedSettings,
    FrontEndSettings,
    ModelSettings,
    NoisyEvaluationSettings,
    SongEvaluationSettings,
)
from model_utils.options import TaskOptions, parse_task, run_command
from model_utils.settings import TASKS, DeviceSettings, NetworkSettings, TaskSettings

EVALUATION = {
    "recognition": TaskOptions(
        (
            TaskSettings,
            ModelSettings,
            ExportedSettings,
            EvaluationSettings,
            FrontEndSettings,
            NetworkSettings,
            FeatureSettings,
            DeviceSettings,
        )
    ),
    "enhancement": TaskOptions((TaskSettings, NoisyEvaluationSettings, DeviceSettings)),
    "separation": TaskOptions((TaskSettings, SongEvaluationSettings, StemSettings, DeviceSettings)),
}


def main() -> None:
    """Read the options, score the model on what they name, print the figures."""
    options = parse_task(
        "eval.py",
        EVALUATION,
        description=__doc__ or "",
        reserved=DECODER_OPTIONS,
        shares_config_with={name: task.settings for name, task in TASKS.items()},
    )
    task = options[TaskSettings].task
    if task == "enhancement":
        from inference.noisy_evaluation import evaluate_enhancer

        evaluate_enhancer(options)
    elif task == "separation":
        from inference.song_evaluation import evaluate_separator

        evaluate_separator(options)
    else:
        from inference.evaluation import evaluate
        from inference.loading import load_predictor

        predictor = load_predictor(options)

        settings = options[EvaluationSettings]
        found = evaluate(predictor, settings)
        print(f"references and hypotheses: {settings.result_path}")
        for line in found.head_lines:
            print(line)
        print(found.counts.format(settings.error_rate_type))


if __name__ == "__main__":
    run_command(main)
