"""Draw the training loss of several runs in one picture, each named by its log folder."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class PlotSettings:
    """Which runs, and where the picture goes."""

    log_dirs: list[str] = option(("./log",), "log folders to compare, separated by spaces")
    output_path: str = option("./log/runs.png", "the picture")


def main() -> None:
    """Read the runs and draw them."""
    settings = parse("plot_runs.py", [PlotSettings], description=__doc__)[PlotSettings]

    from reports.runs import draw_losses, read_losses

    draw_losses(
        read_losses([Path(folder) for folder in settings.log_dirs]), Path(settings.output_path)
    )
    print(f"written: {settings.output_path}")


if __name__ == "__main__":
    run_command(main)
