"""What is taken for what, as a shaded matrix."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import count, plural, printable, shorten
from orchestrator.report.figures.svg import BLUE, FAINT, SIZE, chart

MOST_COUNTED = 12
"""Classes up to which the counts are written into the cells."""
_SHADES = 16
_DEEPEST = 0.75


def confusion_chart(variant: str, names: Sequence[str], counts: NDArray[np.int64], seeds: int, key: str) -> Chart:
    """`counts` (C, C): rows are true classes, columns predicted ones, summed over seeds. Call within `drawing`."""
    many = len(names) > MOST_COUNTED
    side, margin = (4.2, 1.1) if many else (SIZE[0], 1.05)
    figure = Figure(figsize=(side, side), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(left=margin / side, right=1 - 0.08 / side, bottom=margin / side, top=1 - 0.08 / side)
    axes.set_facecolor("none")
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    _shade(axes, shares)
    size = 4.5 if len(names) > 20 else 6 if many else 7
    labels = [shorten(printable(name), 18) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), labels, fontsize=size)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
    for line in np.arange(0.5, len(names) - 1) if not many else ():
        axes.axhline(line, color=FAINT, linewidth=0.25, alpha=0.5)
        axes.axvline(line, color=FAINT, linewidth=0.25, alpha=0.5)
    for row, column in np.argwhere(counts > 0).tolist() if not many else ():
        axes.text(column, row, count(int(counts[row, column])), ha="center", va="center", fontsize=6.5)
    right, whole = int(np.trace(counts)), int(counts.sum())
    return chart(
        figure, key, ("confusion", variant), f"{printable(variant)}: what is taken for what",
        f"True classes in rows, predicted ones in columns; counts on the test part summed over "
        f"{plural(seeds, 'seed')}, shaded by their share of the row. "
        f"{count(right)} of {count(whole)} lie on the diagonal.",
        f"Confusion matrix of {printable(variant)}, summed over {plural(seeds, 'seed')}: {count(right)} of "
        f"{count(whole)} on the diagonal. The counts stand in the table below.",
    )  # fmt: skip


def _shade(axes: Axes, shares: NDArray[np.float64]) -> None:
    """Cells of one shade as one path, so that a large matrix stays small as SVG."""
    steps = np.ceil(shares * _SHADES).astype(int)
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5)])
    for step in np.unique(steps[steps > 0]).tolist():
        places = np.argwhere(steps == step)[:, ::-1]
        corners = (places[:, None, :] + square[None]).reshape(-1, 2)
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(places)
        axes.add_patch(
            PathPatch(Path(corners, codes), facecolor=BLUE, edgecolor="none", alpha=_DEEPEST * step / _SHADES)
        )
