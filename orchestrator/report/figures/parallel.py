"""Parallel coordinates: each line is one trial, from hyperparameter to hyperparameter to the objective."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import (
    label,
    number,
    on_validation,
    plural,
    printable,
    setting,
    shorten,
    words,
)
from orchestrator.report.figures.panel_layout import evenly, spread
from orchestrator.report.figures.svg import BLUE, CARD, FAINT, ORANGE, chart, panel
from orchestrator.report.numbers.hyperparameters import LOG_RATIO, Effect
from orchestrator.report.numbers.run_data import RunData

FEWEST_LINES = 5
MOST_LINES = 100
MOST_AXES = 5
MOST_CATEGORIES = 6
_TOP_SHARE = 0.2
"""Of the lines: the best trials, all of them drawn; the others are evenly spread over the rest."""


@dataclass(frozen=True)
class _Scale:
    """One upright axis: where each trial stands on it, and what is written beside it."""

    name: str
    places: dict[int, float]
    """By the trial's number: 0, the foot, to 1."""
    marks: list[tuple[float, str]]


def parallel_chart(data: RunData, variant: str, found: Sequence[Effect], key: str) -> Chart | None:
    """The completed trials of one variant; None with fewer than five of them or fewer than two hyperparameters.

    `found`: its hyperparameters that took more than one value, the one to be drawn first at the front.
    """
    objective = {
        one.trial: one.metrics[data.search_metric]
        for one in data.search[variant]
        if one.status == "completed" and np.isfinite(one.metrics.get(data.search_metric, np.nan))
    }
    if len(found) < 2 or len(objective) < FEWEST_LINES:
        return None
    sign = -1 if data.search_mode == "max" else 1
    ranked = sorted(objective, key=lambda trial: (sign * objective[trial], trial))
    lines = _drawn(ranked)
    chosen = found[:MOST_AXES]
    scales = [*(_of_effect(one) for one in chosen), _of_objective(data, objective)]
    figure, axes = panel(taller=0.5)
    figure.subplots_adjust(left=0.07, right=0.90, top=0.83, bottom=0.07)
    for rank in reversed(range(len(lines))):
        y = [scale.places.get(lines[rank], np.nan) for scale in scales]
        first = rank == 0
        # The fainter, the worse: one colour, so that it needs no colours to be told apart.
        alpha = 1.0 if first else 0.12 + 0.68 * (1 - rank / len(lines)) ** 3
        width = 1.8 if first else 0.8
        axes.plot(range(len(y)), y, color=ORANGE if first else BLUE, alpha=alpha, linewidth=width)
    for place, scale in enumerate(scales):
        _upright(axes, place, scale, len(scales))
    axes.set_xlim(-0.05, len(scales) - 0.95)
    axes.set_ylim(-0.03, 1.03)
    axes.set_axis_off()
    top = objective[ranked[0]]
    names = words([printable(one.parameter) for one in chosen], MOST_AXES)
    more = f" {plural(len(found) - len(chosen), 'other')} not drawn." if len(found) > len(chosen) else ""
    sampled = (
        f" {len(lines)} of {len(ranked)} completed trials are drawn: the best {_tops(MOST_LINES)}, and the others "
        "evenly by rank."
        if len(lines) < len(ranked)
        else f" {plural(len(ranked), 'completed trial')}."
    )
    gaps = (
        " A line breaks where a trial has no such hyperparameter."
        if any(trial not in scale.places for scale in scales for trial in lines)
        else ""
    )
    return chart(
        figure,
        key,
        ("parallel", variant),
        f"{printable(variant)}: what good trials have in common",
        f"From left: {names}, and {on_validation(data.search_metric)}, better upwards. Each line is a trial, fainter "
        f"the worse it is; orange is the best, {number(top)}.{sampled}{more}{gaps}",
        f"Parallel coordinates of {printable(variant)}. The best trial, {label(data.search_metric)} {number(top)}, has "
        + words([f"{printable(one.parameter)} {printable(setting(one.best))}" for one in chosen], MOST_AXES)
        + ".",
    )


def _tops(lines: int) -> int:
    return round(_TOP_SHARE * lines)


def _drawn(ranked: Sequence[int]) -> list[int]:
    """At most `MOST_LINES` trials: the best of them, and an even sample of the others; best first."""
    if len(ranked) <= MOST_LINES:
        return list(ranked)
    best, rest = ranked[: _tops(MOST_LINES)], ranked[_tops(MOST_LINES) :]
    return [*best, *(rest[row] for row in evenly(len(rest), MOST_LINES - len(best)))]


def _of_effect(effect: Effect) -> _Scale:
    name = printable(effect.parameter)
    if effect.numeric:
        values = np.array(effect.values, dtype=np.float64)
        places, marks = _numeric(values, effect.logarithmic)
        return _Scale(name, dict(zip(effect.trials, places.tolist(), strict=True)), marks)
    said = [printable(setting(value)) for value in effect.values]
    categories = sorted(set(said))
    step = 1 / (len(categories) - 1) if len(categories) > 1 else 0.0
    heights = {one: place * step for place, one in enumerate(categories)}
    shown = [categories[row] for row in evenly(len(categories), MOST_CATEGORIES)]
    return _Scale(
        name,
        {trial: heights[one] for trial, one in zip(effect.trials, said, strict=True)},
        [(heights[one], shorten(one, 10)) for one in shown],
    )


def _of_objective(data: RunData, objective: dict[int, float]) -> _Scale:
    """The objective, so that better is higher."""
    values = np.array(list(objective.values()))
    wide = data.search_mode == "min" and values.min() > 0 and values.max() / values.min() >= LOG_RATIO
    places, marks = _numeric(values, bool(wide))
    if data.search_mode == "min":
        places, marks = 1 - places, [(1 - place, text) for place, text in marks]
    return _Scale(label(data.search_metric), dict(zip(objective, places.tolist(), strict=True)), marks)


def _numeric(values: NDArray[np.float64], logarithmic: bool) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """Places from 0 to 1, and the ends of the scale."""
    scaled = np.log(values) if logarithmic else values
    low, span = scaled.min(), np.ptp(scaled)
    places = (scaled - low) / span if span > 0 else np.full_like(scaled, 0.5)
    ends = [(0.0, values.min()), (1.0, values.max())] if span > 0 else [(0.5, values.min())]
    return places, [(place, _short(float(value))) for place, value in ends]


def _short(value: float) -> str:
    """Three digits at most."""
    text = f"{value:.3g}"
    mantissa, _, exponent = text.partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else text).replace("-", "−")


def _upright(axes: Axes, place: int, scale: _Scale, count: int) -> None:
    """One axis with its name above, in turns higher and lower so that neighbours do not touch."""
    axes.plot([place, place], [0, 1], color=FAINT, linewidth=0.8, zorder=2.5)
    last = place == count - 1
    heights = spread([height for height, _ in scale.marks], 0.07, 0.0, 1.0)
    for height, (_, text) in zip(heights, scale.marks, strict=True):
        axes.annotate(
            text, (place, height), xytext=(2.5, 0), textcoords="offset points", va="center", fontsize=6.5, zorder=3,
            bbox={"facecolor": CARD, "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip
    up = 6 if place % 2 else 15
    side = "left" if place == 0 else "right" if last else "center"
    axes.annotate(
        shorten(scale.name, 18), (place, 1), xytext=(0, up), textcoords="offset points", ha=side, fontsize=7.5,
        annotation_clip=False,
    )  # fmt: skip
