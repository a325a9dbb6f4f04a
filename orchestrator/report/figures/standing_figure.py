"""The variants below each other: means with their intervals, and what they are measured against."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import interval, label, number, printable, sentence, shorten
from orchestrator.report.figures.svg import BLUE, CARD, FAINT, GRID, INK, ORANGE, chart
from orchestrator.report.numbers.chance import chance_of
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.comparisons import Comparison

MOST_ROWS = 16
_WIDTH = 4.0
"""Inches: wide on a desk, and at a phone's width its text is still 9 pixels high."""
_ROW, _BELOW, _ABOVE = 0.27, 0.46, 0.26
"""Inches from one row to the next, and of what stands below and above the rows."""
_FINEST = 0.001
"""The least that an axis spans on either side: figures are printed to so much."""
_NAME, _NUMBER = 1.32, 0.46
"""Inches that names at the left and numbers at the right take."""


def standing_chart(data: RunData, rows: Sequence[Standing], baseline: str | None) -> Chart | None:
    """The ranking by its metric, best first, with the baseline and chance marked; None where nothing is known."""
    known = [row for row in rows if data.metric in row.estimates]
    if not known:
        return None
    shown = known[:MOST_ROWS]
    base = next((row for row in known if row.variant == baseline), None)
    if base is not None and base not in shown:
        shown = [*shown[:-1], base]
    figure, axes = rows_panel([row.variant for row in shown])
    spans = []
    for place, row in enumerate(shown):
        found = row.estimates[data.metric]
        low, high = (found.low, found.high) if math.isfinite(found.low) else (found.mean, found.mean)
        spans += [low, high]
        draw_row(axes, place, (found.mean, low, high), row.variant == baseline, row.comparisons.get(data.metric))
        axes.annotate(
            number(found.mean), (1.0, place), xycoords=("axes fraction", "data"), xytext=(6, 0),
            textcoords="offset points", va="center", fontsize=8, fontweight="bold" if place == 0 else "normal",
        )  # fmt: skip
    if base is not None:
        axes.axvline(base.estimates[data.metric].mean, color=FAINT, linewidth=0.9, linestyle=(0, (4, 2)), zorder=0.8)
        _above(axes, base.estimates[data.metric].mean, "baseline")
    chance = chance_of(data)
    # Where all are far from it, chance would squeeze the intervals to points.
    room = max(spans) - min(spans) or abs(spans[0]) or 1.0
    near = chance is not None and min(spans) - 1.5 * room <= chance <= max(spans) + 1.5 * room
    if chance is not None and near:
        axes.axvline(chance, color=ORANGE, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0.8)
        far = base is None or abs(base.estimates[data.metric].mean - chance) > 0.2 * room
        _above(axes, chance, "chance" if far else "")
    keep_apart(axes, [*spans, *([chance] if chance is not None and near else [])])
    axes.set_xlabel(f"{label(data.metric)} on the test part ({'higher' if data.mode == 'max' else 'lower'} is better)")
    metric = sentence(label(data.metric))
    over = "splits" if data.over_splits else "seeds"
    left_out = len(known) - len(shown)
    last = ", those beyond the limits last" if any(row.beyond for row in shown) else ""
    said = [
        f"{metric} on the test part, best first{last}: mean over {over} and its 95 % interval.",
        "Dashed: the baseline, grey." if base is not None else "",
        f"Dotted: chance, {number(chance)}." if near else f"Chance is {number(chance)}." if chance is not None else "",
        f"{MARKS}" if base is not None and len(known) > 1 else "",
        f"{left_out} more stand in the table." if left_out else "",
    ]
    listed = "; ".join(_said(data, row) for row in shown)
    return chart(
        figure, "standing", ("variants",), f"All variants by {label(data.metric)}",
        " ".join(one for one in said if one) + data.caveat,
        f"{metric} of each variant, best first{last}: {listed}.",
    )  # fmt: skip


def keep_apart(axes: Axes, values: Sequence[float]) -> None:
    """A sensible axis where all values are the same but for rounding."""
    low, high = min(values), max(values)
    if high - low < _FINEST:
        axes.set_xlim(low - _FINEST, high + _FINEST)


MARKS = "Filled: the verdict is that it is better than the baseline (orange: worse); hollow: no difference is shown."
"""What the dots of `draw_row` mean."""


def rows_panel(names: Sequence[str], number_room: float = _NUMBER) -> tuple[Figure, Axes]:
    """An empty panel with a row for each name, the first at the top; call within `drawing`."""
    height = _ABOVE + _ROW * len(names) + _BELOW
    figure = Figure(figsize=(_WIDTH, height), facecolor="none")
    axes = figure.subplots()
    figure.subplots_adjust(
        left=_NAME / _WIDTH, right=1 - number_room / _WIDTH, bottom=_BELOW / height, top=1 - _ABOVE / height
    )
    axes.set_facecolor("none")
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [shorten(printable(name), 20) for name in names], fontsize=8)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.06)
    for place in range(len(names)):
        axes.axhline(place, color=GRID, linewidth=0.5, zorder=0.5)
    return figure, axes


def draw_row(
    axes: Axes, place: int, found: tuple[float, float, float], is_baseline: bool, comparison: Comparison | None
) -> None:
    """One row's (mean, low, high), coloured by the verdict."""
    outcome = "" if comparison is None else comparison.outcome
    colour = FAINT if is_baseline else ORANGE if outcome == "worse" else BLUE
    filled = is_baseline or comparison is None or outcome in ("better", "worse")
    mean, low, high = found
    axes.plot([low, high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=2)
    axes.plot(mean, place, "o", color=colour, markerfacecolor=colour if filled else CARD, markersize=6, zorder=2.5)


def _above(axes: Axes, value: float, text: str) -> None:
    axes.annotate(
        text, (value, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points",
        ha="center", va="bottom", fontsize=7.5, color=INK,
    )  # fmt: skip


def _said(data: RunData, row: Standing) -> str:
    found = row.estimates[data.metric]
    return f"{printable(row.variant)} {number(found.mean)} {interval(found.low, found.high)}".rstrip()
