"""Take the noise out of recordings: python tools/enhance.py FILE|FOLDER ..."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from data_utils.errors import InputError
from data_utils.settings import option
from model_utils.options import parse, run_command
from model_utils.settings import DeviceSettings


@dataclass(frozen=True)
class EnhanceSettings:
    """Which recordings, with which model, and where the cleaner ones go."""

    audio_path: list[str] | None = option(None, "recordings of any format, or folders of them")
    resume_model: str = option(
        "./models/enhancement/best", "checkpoint of an enhancer; of a folder the newest"
    )
    observation: float = option(
        0.0, "share of the unprocessed signal that is kept", minimum=0, maximum=1
    )
    output_dir: str = option("./enhanced", "folder of what comes out, under the names that went in")


def main() -> int:
    """Enhance each recording; those that cannot be read are named."""
    options = parse(
        "enhance.py",
        [EnhanceSettings, DeviceSettings],
        description=__doc__ or "",
        positional="audio_path",
    )
    settings = options[EnhanceSettings]
    if not settings.audio_path:
        raise InputError("no recording; give one or more, or a folder of them")

    from inference.files import Targets, process_files
    from inference.loading import load_enhancer

    predictor = load_enhancer(settings.resume_model, options[DeviceSettings], settings.observation)

    targets = Targets(settings.audio_path, settings.output_dir)

    def enhance(source: str, progress: Callable[[int], object]) -> list[Path]:
        [target] = targets.of(source, ".wav")
        predictor.enhance_file(source, target, progress)
        return [target]

    return process_files(settings.audio_path, predictor.masking.rate, enhance)


if __name__ == "__main__":
    run_command(main)
