"""Export a recogniser: a folder with an ONNX graph and a JSON, which need no Paddle to be used."""

from pathlib import Path

from data_utils.settings import FeatureSettings
from inference.settings import ExportSettings, ModelSettings
from model_utils.options import parse, run_command
from model_utils.settings import TRAINING, NetworkSettings


def main() -> None:
    """Read the checkpoint, write the export, name its files."""
    options = parse(
        "export_model.py",
        [ModelSettings, ExportSettings, NetworkSettings, FeatureSettings],
        description=__doc__ or "",
        shares_config_with=TRAINING,
    )
    model, settings = options[ModelSettings], options[ExportSettings]

    from inference import export
    from inference.loading import recogniser_of
    from model_utils.trainer import checkpoint

    saved = checkpoint.load(model.resume_model, optimizer=False)
    written = export.write(
        saved,
        recogniser_of(options, saved),
        Path(settings.output_dir),
        settings.precision,
        settings.paddle_format,
    )
    for path in written:
        print(f"written: {path}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    run_command(main)
