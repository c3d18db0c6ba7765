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
    from model_utils.recogniser import resolve
    from model_utils.trainer import checkpoint

    saved = checkpoint.load(model.resume_model, optimizer=False)
    recogniser = resolve(options, saved, model.vocab_path, model.mean_std_path)
    folder = Path(settings.output_dir)
    export.write(saved, recogniser, folder, settings.precision)
    written = [folder / export.GRAPH, folder / export.DESCRIPTION]
    if settings.paddle_format:
        written += export.write_for_paddle(saved, recogniser, folder)
    for path in written:
        print(f"written: {path}, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    run_command(main)
