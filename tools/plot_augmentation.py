"""Draw what each augmentation effect does to a generated voice, for docs/augmentation."""

from dataclasses import dataclass

from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class PlotSettings:
    """Where the pictures go."""

    output_dir: str = option("./docs/images", "folder that receives augmentation_<effect>.png")


def main() -> None:
    """Draw the pictures and name them."""
    settings = parse("plot_augmentation.py", [PlotSettings], description=__doc__ or "")[
        PlotSettings
    ]
    # Imported behind the options, so that --help answers at once.
    from reports.augmentation import plot_effects

    for path in plot_effects(settings.output_dir):
        print(path)


if __name__ == "__main__":
    run_command(main)
