"""Take recordings apart into vocals and accompaniment: python tools/separate.py FILE ..."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import InputError
from data_utils.separation.settings import StemSettings
from data_utils.settings import option
from model_utils.options import parse, run_command
from model_utils.settings import DeviceSettings


@dataclass(frozen=True)
class SeparateSettings:
    """Which recordings, with which model, and where the stems go."""

    audio_path: list[str] | None = option(None, "recordings of any format, or folders of them")
    resume_model: str = option("model", "checkpoint of a separator; of a folder the newest")
    output_dir: str = option("./separated", "folder that gets a folder for each recording")


def main() -> int:
    """Separate each recording; those that cannot be read are named."""
    options = parse(
        "separate.py",
        [SeparateSettings, StemSettings, DeviceSettings],
        description=__doc__ or "",
        positional="audio_path",
    )

    settings = options[SeparateSettings]
    if not settings.audio_path:
        raise InputError("no recording; give one or more, or a folder of them")

    from inference.files import Targets, process_files
    from inference.loading import load_separator

    predictor = load_separator(
        settings.resume_model,
        options[DeviceSettings],
        options[StemSettings],
    )
    names = predictor.masking.names

    targets = Targets(settings.audio_path, settings.output_dir)

    def separate(source: str, progress: Callable[[int], object]) -> list[Path]:
        stems = targets.of(source, *(f"{name}.wav" for name in names))
        predictor.separate_file(source, stems, progress)
        return stems

    return process_files(settings.audio_path, predictor.masking.rate, separate)


if __name__ == "__main__":
    run_command(main)
