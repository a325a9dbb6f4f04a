"""The looks a plot can have."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PlotStyle:
    """How a series is drawn."""

    name: str
    summary: str
    figsize: tuple[float, float] = (8.0, 6.0)
    """Width and height in inches."""
    dpi: int = 100
    line: tuple[tuple[str, Any], ...] = ()
    """Keywords of `Axes.plot`."""
    labels: tuple[str, str] | None = None
    """The labels of x and y."""
    label_size: float = 12.0
    """The labels' font size, in points."""
    grid_alpha: float | None = None
    hidden_spines: tuple[str, ...] = ()
    tight: bool = False
    """`tight_layout`, then `bbox_inches="tight"`: the picture's size then depends on the values."""


STYLES: dict[str, PlotStyle] = {
    "seed": PlotStyle(
        name="seed",
        summary="labelled axes, a pale grid, no top and right spines, cropped tight: what the published models saw",
        line=(("linewidth", 1.5), ("color", "#1f77b4")),
        labels=("Time", "Value"),
        grid_alpha=0.3,
        hidden_spines=("top", "right"),
        tight=True,
    ),
    "plain": PlotStyle(name="plain", summary="matplotlib's defaults at 8 × 6 inches and 100 dots an inch"),
}
