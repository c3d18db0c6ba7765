"""Draw what a mask is, for docs/enhancement."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class PlotSettings:
    """Where the picture goes."""

    output_path: str = option("./docs/images/enhancement_masks.png", "the picture")


def main() -> None:
    """Draw the picture."""
    settings = parse("plot_masks.py", [PlotSettings], description=__doc__ or "")[PlotSettings]

    from reports.masks import draw_masks

    draw_masks(Path(settings.output_path))
    print(f"written: {settings.output_path}")


if __name__ == "__main__":
    run_command(main)
