"""Score a trained model on a manifest: python eval.py --help lists the options."""

from data_utils.settings import FeatureSettings
from inference.settings import DECODER_OPTIONS, EvaluationSettings, ModelSettings
from model_utils.options import parse, run_command
from model_utils.settings import TRAINING, DeviceSettings, NetworkSettings


def main() -> None:
    """Read the options, recognise the manifest, print the error rate."""
    options = parse(
        "eval.py",
        [ModelSettings, EvaluationSettings, NetworkSettings, FeatureSettings, DeviceSettings],
        description="Error rate of a model on a manifest.",
        reserved=DECODER_OPTIONS,
        shares_config_with=TRAINING,
    )

    from inference.loading import load_predictor

    predictor = load_predictor(options)

    # Imports Paddle, which loading the predictor has set up.
    from inference.evaluation import evaluate

    settings = options[EvaluationSettings]
    counts = evaluate(predictor, settings)
    print(f"references and hypotheses: {settings.result_path}")
    print(counts.format(settings.error_rate_type))


if __name__ == "__main__":
    run_command(main)
