"""Draw the learning rate of every schedule over a run, for docs/training_guide."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class PlotSettings:
    """Where the picture goes."""

    output_path: str = option("./docs/images/schedules.png", "the picture")


def main() -> None:
    """Draw the picture and name it."""
    settings = parse("plot_schedules.py", [PlotSettings], description=__doc__)[PlotSettings]

    from reports.schedules import draw_schedules

    draw_schedules(Path(settings.output_path))
    print(f"written: {settings.output_path}")


if __name__ == "__main__":
    run_command(main)
