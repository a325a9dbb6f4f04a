"""What any threshold would give: ROC and precision-recall curves with their bands."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import count, number, printable, shorten, words
from orchestrator.report.figures.svg import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, chart, legend, panel
from orchestrator.report.numbers.predictions import VariantScores, thresholds
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.curve_bands import DRAWS, RATES, Band, curve_bands

MOST_CURVES = 8
MOST_BANDS = 3
_COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
_DASHES = ("-", (0, (2.4, 1.2)), (0, (0.9, 0.9)))
"""With the colours: twelve lines that differ without colour, too."""


@dataclass(frozen=True)
class Curves:
    """One variant's two curves."""

    roc: Band
    precision: Band


def read_curves(scores: Mapping[str, VariantScores]) -> dict[str, Curves]:
    """By variant; none for one whose test part has one class only. Variants with the same pictures have equal draws."""
    left = {name: kept for name, kept in scores.items() if len(np.unique(kept.labels)) == 2}
    found: dict[str, Curves] = {}
    while left:
        first = next(iter(left.values()))
        ours = {name: kept for name, kept in left.items() if kept.same_pictures(first)}
        bands = curve_bands([kept.scores for kept in ours.values()], first.labels, first.groups)
        found |= {name: Curves(*pair) for name, pair in zip(ours, bands, strict=True)}
        left = {name: kept for name, kept in left.items() if name not in ours}
    return {name: found[name] for name in scores if name in found}


def curve_frame(curves: Mapping[str, Curves]) -> pd.DataFrame:
    """A row a variant, curve and rate: the mean over seeds and the edges of the 95 % band.

    `rate` is the false-positive rate or the recall, `value` the true-positive rate or the precision.
    """
    parts = [
        pd.DataFrame(
            {"variant": name, "curve": kind, "rate": rates, "value": band.mean, "low": band.low, "high": band.high}
        )
        for name, one in curves.items()
        for kind, band, rates in (("roc", one.roc, RATES), ("precision_recall", one.precision, RATES[1:]))
    ]
    columns = ["variant", "curve", "rate", "value", "low", "high"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def curve_charts(data: RunData, scores: Mapping[str, VariantScores], curves: Mapping[str, Curves]) -> list[Chart]:
    """ROC and precision-recall curves of the first variants; none where the test part has one class only.

    `scores`: best first; `curves`: what `read_curves` gives for them.
    """
    if not curves:
        return []
    shown = _shown(data, list(curves))
    banded = _banded(data, shown)
    cut = f" The first {len(shown)} of {len(curves)} variants are drawn." if len(shown) < len(curves) else ""
    alone = all(len(scores[name].seeds) == 1 for name in shown)
    of = "" if len(banded) == len(shown) else f" of {words([printable(name) for name in banded])}"
    each = "" if alone else ", each of a training with one of the seeds"
    made = (
        f"Test part; {'one seed' if alone else 'mean over seeds'}. Band{of}: 95 % at each rate, over {count(DRAWS)} "
        f"bootstrap draws of {'source ' if data.grouped else ''}pictures{each}."
    )
    roc, precision = (
        "; ".join(f"{printable(name)} {number(_mean(data, name, metric))}" for name in shown)
        for metric in ("roc_auc", "average_precision")
    )
    return [
        chart(
            _roc(data, scores, curves, shown, banded),
            "roc",
            ("roc",),
            "ROC curves",
            f"{made} Dots: the chosen thresholds, mean over seeds. Grey diagonal: guessing.{cut}{data.caveat}",
            f"ROC curves. The areas below them: {roc}.",
        ),
        chart(
            _precision_recall(data, scores, curves, shown, banded),
            "pr",
            ("precision_recall",),
            "Precision and recall",
            f"{made} Grey horizontal line: guessing, the share of anomalies among the test pictures.{cut}{data.caveat}",
            f"Precision-recall curves. Average precision: {precision}.",
        ),
    ]


def _mean(data: RunData, variant: str, metric: str) -> float | None:
    values = [record.metrics[metric] for record in data.completed[variant] if metric in record.metrics]
    return float(np.mean(values)) if values else None


def _shown(data: RunData, names: list[str]) -> list[str]:
    """The first few by rank, with the baseline in any case."""
    shown = names[:MOST_CURVES]
    if data.baseline in names and data.baseline not in shown:
        shown[-1] = data.baseline
    return shown


def _banded(data: RunData, shown: list[str]) -> list[str]:
    """All of a few; else the best and the baseline, since more bands than that hide each other."""
    if len(shown) <= MOST_BANDS:
        return shown
    return [shown[0], *(name for name in shown[1:] if name == data.baseline)]


def _roc(
    data: RunData,
    scores: Mapping[str, VariantScores],
    curves: Mapping[str, Curves],
    shown: list[str],
    banded: list[str],
) -> Figure:
    figure, axes = panel(taller=0.5)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.7)
    for name, (colour, dash) in _styles(data, shown).items():
        band = curves[name].roc
        if name in banded:
            axes.fill_between(RATES, band.low, band.high, color=colour, alpha=0.16, linewidth=0)
        # From 0: at a false-positive rate of 0 the curve rises.
        axes.plot([0.0, *RATES], [0.0, *band.mean], color=colour, linestyle=dash, label=_named(name))
        dot = _operating_point(thresholds(data.completed[name]), scores[name])
        if dot is not None:
            axes.plot(*dot, "o", color=colour, markersize=4.5, markeredgecolor=INK, markeredgewidth=0.5)
    _unit(axes, "false positive rate", "true positive rate")
    legend(axes)
    return figure


def _precision_recall(
    data: RunData,
    scores: Mapping[str, VariantScores],
    curves: Mapping[str, Curves],
    shown: list[str],
    banded: list[str],
) -> Figure:
    figure, axes = panel(taller=0.5)
    for name, (colour, dash) in _styles(data, shown).items():
        band = curves[name].precision
        if name in banded:
            axes.fill_between(RATES[1:], band.low, band.high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(RATES[1:], band.mean, color=colour, linestyle=dash, label=_named(name))
    axes.axhline(float(scores[shown[0]].labels.mean()), color=FAINT, linewidth=0.7)
    _unit(axes, "recall", "precision")
    legend(axes)
    return figure


def _named(name: str) -> str:
    return shorten(printable(name), 16)


def _styles(data: RunData, shown: list[str]) -> dict[str, tuple[str, object]]:
    """Each variant's colour and dash; the baseline is grey."""
    others = [name for name in shown if name != data.baseline]
    styles = {name: (_COLOURS[place % 4], _DASHES[place // 4 % 3]) for place, name in enumerate(others)}
    return {name: styles.get(name, (FAINT, "-")) for name in shown}


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
