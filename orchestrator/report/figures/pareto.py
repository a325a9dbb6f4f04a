"""Families side by side: what each reaches on test against what it costs, and which ones no other beats in both."""

import math
from collections.abc import Sequence

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import label, number, printable, sentence, words
from orchestrator.report.figures.panel_layout import log_if_wide, name_points
from orchestrator.report.figures.svg import BLUE, CARD, FAINT, ORANGE, chart, panel
from orchestrator.report.numbers.measured import Standing
from orchestrator.report.numbers.run_data import RunData
from trainables.interface import Mode

MOST_IN_CAPTION = 8


def pareto_front(costs: Sequence[float], values: Sequence[float], mode: Mode) -> list[int]:
    """The rows that no other beats, the cheapest first: a better row costs more, a cheaper one is worse.

    `mode`: which way a value is better; a cost is better when smaller. Rows equal in both are on the front together.
    """
    sign = 1 if mode == "max" else -1
    rows = [(cost, sign * value) for cost, value in zip(costs, values, strict=True)]
    front = [
        place
        for place, (cost, value) in enumerate(rows)
        if not any(c <= cost and v >= value and (c < cost or v > value) for c, v in rows)
    ]
    return sorted(front, key=lambda place: rows[place])


def trade_off_charts(data: RunData, rows: Sequence[Standing]) -> list[Chart]:
    """The objective on test against the seconds of one training, parameters, and what a picture takes, alone and in
    batches; fewer where they are unknown.

    `rows`: best first.
    """
    seconds = [(row, float(row.seconds or 0)) for row in rows]
    parameters = [(row, float(row.parameters or 0)) for row in rows]
    paces = [(row, row.pace.typical if row.pace else None) for row in rows]
    alone = [(row, 0.0 if one is None else one.latency_ms) for row, one in paces]
    batched = [(row, 1000 / one.pictures_per_second if one and one.pictures_per_second else 0.0) for row, one in paces]
    where = "measured where it was trained, beside other trainings of the run"
    found = (
        _trade_off(data, seconds, "seconds", "seconds a training", "the mean wall time of one training"),
        _trade_off(data, parameters, "parameters", "parameters", "the number of parameters"),
        _trade_off(
            data,
            alone,
            "latency",
            "ms for one picture alone",
            f"the milliseconds that one picture alone takes, {where}",
            data.limits.latency_ms,
        ),
        _trade_off(
            data,
            batched,
            "throughput",
            "ms a picture in batches",
            f"the milliseconds a picture in batches of the size that gives most pictures a second, {where}",
        ),
    )
    return [one for one in found if one is not None]


def _trade_off(
    data: RunData,
    rows: Sequence[tuple[Standing, float]],
    kind: str,
    axis: str,
    cost_words: str,
    limit: float | None = None,
) -> Chart | None:
    """`limit`: what the cost may be at most."""
    known = [(row, cost) for row, cost in rows if data.metric in row.estimates and cost > 0]
    if len(known) < 2:
        return None
    sign = 1 if data.mode == "max" else -1
    estimates = [row.estimates[data.metric] for row, _ in known]
    costs, means = [cost for _, cost in known], [one.mean for one in estimates]
    front = pareto_front(costs, means, data.mode)
    figure, axes = panel(taller=0.3)
    log_if_wide(axes, "x", costs)
    axes.margins(x=0.12, y=0.1)
    if limit is not None:
        axes.axvline(limit, color=FAINT, linewidth=0.9, linestyle=(0, (1, 2)), zorder=0.8)
    places = [costs[row] for row in front], [means[row] for row in front]
    axes.step(*places, where="post", color=ORANGE, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1.5)
    for place, ((row, cost), found) in enumerate(zip(known, estimates, strict=True)):
        colour = FAINT if row.variant == data.baseline else BLUE
        if math.isfinite(found.low):
            axes.plot([cost, cost], [found.low, found.high], color=colour, linewidth=1.0, alpha=0.7)
        inside = colour if place in front else CARD
        axes.plot(cost, found.mean, "o", color=colour, markerfacecolor=inside, markersize=5, zorder=2.5)
    name_points(axes, [(row.variant, cost, mean) for (row, cost), mean in zip(known, means, strict=True)])
    axes.set_xlabel(axis)
    axes.set_ylabel(f"{label(data.metric)} (test)")
    named = words([printable(known[row][0].variant) for row in front], MOST_IN_CAPTION)
    metric = sentence(label(data.metric))
    absent = [printable(row.variant) for row, cost in rows if data.metric in row.estimates and cost <= 0]
    without = f" Not drawn, since theirs is not known: {words(absent)}." if absent else ""
    allowed = "" if limit is None else f" Dotted: the limit, {limit:g} ms."
    best = max(known, key=lambda one: sign * one[0].estimates[data.metric].mean)[0]
    marks = "dashed, filled dots" if len(front) > 1 else "filled dot"
    return chart(
        figure,
        f"pareto-{kind}",
        ("pareto", kind),
        f"{metric} against {kind}",
        f"Mean on the test part with its 95 % interval, against {cost_words}; the baseline is grey. On the Pareto "
        f"front ({marks}), where no other variant is both better and cheaper: {named}.{without}{allowed}"
        f"{data.caveat}",
        f"{metric} on test against {cost_words}. On the Pareto front: {named}. {printable(best.variant)} has the best "
        f"mean, {number(best.estimates[data.metric].mean)}.",
    )
