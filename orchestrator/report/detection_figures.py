"""The figures of detection: where scores fall, and what any threshold would give."""

import math

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from orchestrator.report.blocks import Chart
from orchestrator.report.figures import log_if_wide
from orchestrator.report.formatting import count, printable, shorten
from orchestrator.report.predictions import VariantScores, thresholds
from orchestrator.report.run_data import RunData
from orchestrator.report.svg import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, legend, panel, to_svg
from orchestrator.scoring.detection import precision_recall_points, roc_curve_points

BINS = 36
MOST_CURVES = 8
MOST_WITH_SEEDS = 4
GRID = np.linspace(0.0, 1.0, 201)
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
_DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
"""With the colours: twelve lines that differ without colour, too."""


def score_chart(data: RunData, variant: str, kept: VariantScores, key: str) -> Chart | None:
    """The test scores of the first seed, normals and anomalies apart, with the chosen threshold."""
    scores = kept.scores[0]
    if np.ptp(scores) == 0:
        return None
    line = float(thresholds(data.completed[variant])[0])
    figure, axes = panel()
    log_if_wide(axes, "x", scores.tolist())
    if axes.get_xscale() == "log":
        edges = np.geomspace(scores.min(), scores.max(), BINS + 1)
    else:
        edges = np.linspace(scores.min(), scores.max(), BINS + 1)
    for value, name, colour in ((0, "normal", BLUE), (1, "anomaly", ORANGE)):
        ours = scores[kept.labels == value]
        if len(ours):
            # Rounding may leave the extreme scores just outside of the edges.
            counts, _ = np.histogram(np.clip(ours, edges[0], edges[-1]), edges)
            axes.stairs(100 * counts / len(ours), edges, fill=True, color=colour, alpha=0.28)
            axes.stairs(100 * counts / len(ours), edges, color=colour, label=name, linewidth=1.1)
    if math.isfinite(line):
        axes.axvline(line, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), label="threshold")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("anomaly score")
    axes.set_ylabel("% of its pictures")
    legend(axes)
    normal, anomalous = int((kept.labels == 0).sum()), int((kept.labels == 1).sum())
    above = [int((scores[kept.labels == value] > line).sum()) for value in (0, 1)]
    said = (
        f"Above the threshold {line:.4g}: {count(above[1])} of {count(anomalous)} anomalies and {count(above[0])} of "
        f"{count(normal)} normal pictures."
        if math.isfinite(line)
        else "No threshold was kept."
    )
    return Chart(
        f"{printable(variant)}: test scores",
        f"Anomaly scores of the test part, seed {kept.seeds[0]}; bars are shares of their own class. {said}",
        f"Histogram of the anomaly scores of {printable(variant)}. {said}",
        to_svg(figure, key),
    )


def curve_charts(data: RunData, scores: dict[str, VariantScores]) -> list[Chart]:
    """ROC and precision-recall curves of all variants; none where the test part has one class only."""
    drawable = {name: kept for name, kept in scores.items() if len(np.unique(kept.labels)) == 2}
    if not drawable:
        return []
    shown = _chosen(data, drawable)
    cut = f" The first {len(shown)} of {len(drawable)} variants are drawn." if len(shown) < len(drawable) else ""
    seeds = "one seed"
    if any(len(kept.seeds) > 1 for kept in shown.values()):
        seeds = "bold: mean over seeds; thin: each seed" if _several(shown) else "mean over seeds"
    names = ", ".join(printable(name) for name in shown)
    roc, precision = _roc(data, shown), _precision_recall(data, shown)
    return [
        Chart(
            "ROC curves",
            f"Test part; {seeds}. Dots: the chosen thresholds, mean over seeds. Grey diagonal: guessing."
            f"{cut}{data.caveat}",
            f"ROC curves of {names}.",
            roc,
        ),
        Chart(
            "Precision and recall",
            f"Test part; {seeds}. Grey horizontal line: guessing, the share of anomalies among the test pictures.{cut}"
            f"{data.caveat}",
            f"Precision-recall curves of {names}.",
            precision,
        ),
    ]


def _several(scores: dict[str, VariantScores]) -> bool:
    """Whether each seed is drawn: where there are some, and not so many lines that none is seen."""
    return len(scores) <= MOST_WITH_SEEDS and any(len(kept.seeds) > 1 for kept in scores.values())


def _chosen(data: RunData, scores: dict[str, VariantScores]) -> dict[str, VariantScores]:
    """The first few by rank, with the baseline in any case."""
    names = list(scores)[:MOST_CURVES]
    if data.baseline in scores and data.baseline not in names:
        names[-1] = data.baseline
    return {name: scores[name] for name in names}


def _roc(data: RunData, scores: dict[str, VariantScores]) -> str:
    figure, axes = panel(taller=0.5)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7)
    for name, (colour, dash), kept in _styled(data, scores):
        curves = []
        for one in kept.scores:
            false_rate, true_rate = roc_curve_points(one, kept.labels)
            curves.append(np.interp(GRID, false_rate, true_rate))
            if _several(scores):
                axes.plot(false_rate, true_rate, color=colour, linewidth=0.5, alpha=0.45)
        mean = np.mean(curves, axis=0)
        # An interpolated mean would cut the corner at 0.
        axes.plot([0.0, *GRID], [0.0, *mean], color=colour, linestyle=dash, label=shorten(printable(name), 16))
        dot = _operating_point(thresholds(data.completed[name]), kept)
        if dot is not None:
            axes.plot(*dot, "o", color=colour, markersize=4.5, markeredgecolor=INK, markeredgewidth=0.5)
    _unit(axes, "false positive rate", "true positive rate")
    legend(axes)
    return to_svg(figure, "roc")


def _precision_recall(data: RunData, scores: dict[str, VariantScores]) -> str:
    figure, axes = panel(taller=0.5)
    for name, (colour, dash), kept in _styled(data, scores):
        curves = []
        for one in kept.scores:
            recall, precision = _by_recall(*precision_recall_points(one, kept.labels))
            # A step, not a line: between two points precision can't be had by mixing (Davis and Goadrich 2006).
            curves.append(precision[np.minimum(np.searchsorted(recall, GRID), len(recall) - 1)])
            if _several(scores):
                axes.step(recall, precision, where="pre", color=colour, linewidth=0.5, alpha=0.45)
        mean = np.mean(curves, axis=0)
        axes.plot(GRID, mean, color=colour, linestyle=dash, label=shorten(printable(name), 16))
    share = float(next(iter(scores.values())).labels.mean())
    axes.axhline(share, color=FAINT, linewidth=0.7)
    _unit(axes, "recall", "precision")
    legend(axes)
    return to_svg(figure, "pr")


def _styled(data: RunData, scores: dict[str, VariantScores]) -> list[tuple[str, tuple[str, object], VariantScores]]:
    """Each variant with its colour and dash; the baseline is grey."""
    others = [name for name in scores if name != data.baseline]
    styles = {name: (_COLOURS[place % 4], _DASHES[place // 4 % 3]) for place, name in enumerate(others)}
    return [(name, styles.get(name, (FAINT, "-")), kept) for name, kept in scores.items()]


def _by_recall(
    recall: NDArray[np.float64], precision: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best precision of each recall that occurs."""
    order = np.lexsort((-precision, recall))
    distinct, first = np.unique(recall[order], return_index=True)
    return distinct, precision[order][first]


def _operating_point(lines: NDArray[np.float64], kept: VariantScores) -> tuple[float, float] | None:
    """(false, true) positive rate at each cell's own threshold, averaged over seeds."""
    if not np.isfinite(lines).all():
        return None
    above = kept.scores > lines[:, None]
    return float(above[:, kept.labels == 0].mean()), float(above[:, kept.labels == 1].mean())


def _unit(axes: Axes, x: str, y: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
