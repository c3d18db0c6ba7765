"""The picture of a learning-rate range test."""

from pathlib import Path

from model_utils.trainer.range_test import RangeTest
from reports.picture import plain_numbers, write_picture


def draw_range_test(found: RangeTest, path: Path) -> None:
    """Draw the loss over the rate, each batch and smoothed, with the suggestion, as a PNG.

    Raises:
        InputError: the loss never fell, or the picture cannot be written there.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(found.rates, found.losses, ".", color="tab:gray", alpha=0.5, label="batch")
    axes.plot(found.rates, found.smoothed, color="tab:blue", label="smoothed")
    lowest = found.rates[found.lowest]
    axes.plot(
        lowest, found.smoothed[found.lowest], "v", color="black", label=f"lowest: {lowest:.1e}"
    )
    axes.axvline(
        found.suggestion, color="tab:red", linestyle="--", label=f"suggestion: {found.suggestion:g}"
    )
    # A loss that has run away would leave the rest flat; CTC losses begin far above the rest too.
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="loss")
    plain_numbers(axes)
    axes.grid(alpha=0.3)
    axes.legend()
    write_picture(figure, path)
