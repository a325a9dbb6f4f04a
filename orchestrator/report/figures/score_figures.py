"""Where the anomaly scores of the test part fall, and where each threshold strategy draws the line."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import count, label, printable
from orchestrator.report.figures.panel_layout import log_if_wide, spread
from orchestrator.report.figures.svg import BLUE, FAINT, INK, ORANGE, chart, legend, panel
from orchestrator.report.numbers.predictions import VariantScores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.thresholds import BOUND, fitted, threshold_metric
from orchestrator.scoring.thresholds import best_possible

BINS = 36
_STRIP = 0.26
"""Inches between the axes and the legend, for the ticks and their numbers."""


def score_chart(data: RunData, variant: str, kept: VariantScores, key: str) -> Chart | None:
    """The test scores of the first seed, normals and anomalies apart, with every strategy's threshold."""
    scores = kept.scores[0]
    if np.ptp(scores) == 0:
        return None
    record = data.completed[variant][0]
    used = record.threshold
    line = used.value if used is not None else math.nan
    lines = fitted(data, record, kept.validation[0])
    figure, axes = panel(taller=_STRIP)
    _histogram(axes, kept)
    if math.isfinite(line):
        axes.axvline(line, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), label="threshold")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("anomaly score")
    axes.set_ylabel("% of its pictures")
    legend(axes)
    figure.subplots_adjust(top=figure.subplotpars.top - _STRIP / figure.get_figheight())
    if len(np.unique(kept.labels)) == 2:
        lines = {**lines, BOUND: best_possible(scores, kept.labels, threshold_metric(data))[1]}
    strategies = _ticks(figure, axes, lines, used.strategy if used is not None else "")
    normal, anomalous = int((kept.labels == 0).sum()), int((kept.labels == 1).sum())
    above = [int((scores[kept.labels == value] > line).sum()) for value in (0, 1)]
    said = (
        f"Above the threshold {line:.4g}: {count(above[1])} of {count(anomalous)} anomalies and {count(above[0])} of "
        f"{count(normal)} normal pictures."
        if math.isfinite(line)
        else "No threshold was kept."
    )
    bound = f", but the {BOUND}, which has the best {label(threshold_metric(data))} on the test part itself"
    made = f"All are fitted on validation{bound if BOUND in lines else ''}."
    numbered = f" Ticks: {strategies}. {made}" if strategies else ""
    return chart(
        figure,
        key,
        ("scores", variant),
        f"{printable(variant)}: test scores",
        f"Anomaly scores of the test part, seed {kept.seeds[0]}; bars are shares of their own class. {said}{numbered}",
        f"Histogram of the anomaly scores of {printable(variant)}. {said}",
    )


def _histogram(axes: Axes, kept: VariantScores) -> None:
    """Shares of each class by score."""
    scores = kept.scores[0]
    log_if_wide(axes, "x", scores.tolist())
    space = np.geomspace if axes.get_xscale() == "log" else np.linspace
    edges: NDArray[np.float64] = space(scores.min(), scores.max(), BINS + 1)
    for value, name, colour in ((0, "normal", BLUE), (1, "anomaly", ORANGE)):
        ours = scores[kept.labels == value]
        if len(ours):
            # Rounding may leave the extreme scores just outside of the edges.
            counts, _ = np.histogram(np.clip(ours, edges[0], edges[-1]), edges)
            axes.stairs(100 * counts / len(ours), edges, fill=True, color=colour, alpha=0.28)
            axes.stairs(100 * counts / len(ours), edges, color=colour, label=name, linewidth=1.1)


def _ticks(figure: Figure, axes: Axes, lines: Mapping[str, float], used: str) -> str:
    """Numbered ticks above the axes, one a threshold, and what the numbers mean; the one in use is larger and darker.

    Thresholds off the axis stand at its end.
    """
    known = {name: value for name, value in lines.items() if math.isfinite(value)}
    values = sorted(set(known.values()))
    low, high = axes.get_xlim()
    inside = np.clip(values, low, high)
    to_shares = axes.transData + axes.transAxes.inverted()
    across = [float(to_shares.transform((value, 0.0))[0]) for value in inside]
    inch = 1 / (figure.get_figheight() * axes.get_position().height)
    named = []
    numbers = spread(across, 0.042 if len(values) < 10 else 0.062, 0.0, 1.0)
    for place, (value, at, number) in enumerate(zip(values, across, numbers, strict=True), start=1):
        names = [name for name, one in known.items() if one == value]
        chosen, beyond = used in names, not low <= value <= high
        colour = INK if chosen else FAINT
        heights = [1.0 - 0.05 * inch, 1.0 + 0.05 * inch, 1.0 + 0.12 * inch]
        axes.plot(
            [at, at, number], heights, color=colour, linewidth=1.1 if chosen else 0.7, transform=axes.transAxes,
            clip_on=False,
        )  # fmt: skip
        axes.text(
            number, 1.0 + 0.14 * inch, str(place), transform=axes.transAxes, ha="center", va="bottom",
            fontsize=8.5 if chosen else 7, color=INK,
        )  # fmt: skip
        said = " = ".join(printable(name) for name in names)
        named.append(f"{place} {said}{' (in use)' if chosen else ''}{' (off the axis)' if beyond else ''}")
    return "; ".join(named)
