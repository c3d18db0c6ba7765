"""Draw the curves of the runs below a log folder: loss, error rates, learning rate."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class CurveSettings:
    """Which runs, and where the picture goes."""

    log_dir: str = option("./log", "folder of the runs, or of one run")
    output_path: str = option("./log/curves.png", "the picture")


def main() -> None:
    """Read the runs and draw them."""
    settings = parse("plot_curves.py", [CurveSettings], description=__doc__)[CurveSettings]

    from reports.curves import draw_curves, read_curves

    draw_curves(read_curves(Path(settings.log_dir)), Path(settings.output_path))
    print(f"written: {settings.output_path}")


if __name__ == "__main__":
    run_command(main)
