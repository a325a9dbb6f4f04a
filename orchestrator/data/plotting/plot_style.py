"""The looks a plot can have, and the door for those of one's own."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from trainables.errors import InputError
from trainables.own_code import OwnRow, absolute_callable, described, digest_of, installed, is_own, place_behind

GROUP = "anomaly_orchestrator.styles"
"""The entry points by which an installed package offers plot styles."""


@dataclass(frozen=True)
class PlotStyle(OwnRow):
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
    decorate: Callable[[Any, Any], object] | None = None
    """(matplotlib's Axes, the values (n,)) -> anything: what else is drawn, before the layout is made."""

    @property
    def identity(self) -> str:
        """What its plots depend on beside matplotlib: its name, or the content of its own file."""
        return self.name if self.own is None else f"{self.name}-{digest_of(self.own)[:16]}"

    @property
    def folder(self) -> str:
        """How a store's folder is called after it."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.identity)


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


def style_row(name: str) -> PlotStyle:
    """The style of the table, of an installed package, or of one's own; InputError where there is none.

    The code of one's own is run.
    """
    if name in STYLES:
        return STYLES[name]
    return PlotStyle.load(place_behind(style_name(name), GROUP), name)


def style_code(name: str) -> str:
    """What a style's code is known by beside the package's version; empty: by nothing more. Runs no code."""
    place = "" if name in STYLES else place_behind(name, GROUP)
    return described(place) if place else ""


def style_name(name: str) -> str:
    """A style's name as an experiment keeps it; InputError where there is none. Runs no code of one's own."""
    if is_own(name):
        return absolute_callable(name, elsewhere=True)
    if name in STYLES or name in installed(GROUP):
        return name
    known = sorted([*STYLES, *installed(GROUP)])
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(
        f"Unknown plot style {name!r}.{hint} Known styles: {', '.join(known)}. One of your own: path/to/file.py:STYLE."
    )
