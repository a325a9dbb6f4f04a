"""The figures of a search: the objective by trial, and against each hyperparameter."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import (
    label,
    number,
    on_validation,
    plural,
    printable,
    sentence,
    setting,
    shorten,
)
from orchestrator.report.figures.panel_layout import evenly, log_if_wide
from orchestrator.report.figures.svg import BLUE, FAINT, INK, ORANGE, chart, legend, logarithmic, panel
from orchestrator.report.numbers.hyperparameters import Effect
from orchestrator.report.numbers.run_data import RunData

MOST_POINTS = 300


def history_chart(data: RunData, variant: str, key: str) -> Chart | None:
    """The objective by trial, with the best so far."""
    trials = data.search[variant]
    if not trials:
        return None
    figure, axes = panel()
    completed = [one for one in trials if one.status == "completed" and data.search_metric in one.metrics]
    done = [one for one in completed if data.limits.kept_by(one.speed)]
    beyond = [one for one in completed if not data.limits.kept_by(one.speed)]
    pruned = [one for one in trials if one.status == "pruned" and data.search_metric in one.metrics]
    reported = {one.trial for one in (*completed, *pruned)}
    failed = [one for one in trials if one.trial not in reported]
    best = np.maximum if data.search_mode == "max" else np.minimum
    for group, style, colour, name in (
        (pruned, "v", FAINT, "pruned"),
        (beyond, "s", FAINT, "beyond the limits"),
        (done, "o", BLUE, "completed"),
    ):
        if group:
            kept = [group[row] for row in evenly(len(group), MOST_POINTS)]
            x, y = [one.trial for one in kept], [one.metrics[data.search_metric] for one in kept]
            hollow = colour if group is done else "none"
            size = 3.6 if len(reported) < 100 else 2.4
            axes.plot(
                x, y, style, color=colour, markerfacecolor=hollow, markersize=size, markeredgewidth=0.7, label=name
            )
    if done:
        x = [one.trial for one in done]
        so_far = best.accumulate([one.metrics[data.search_metric] for one in done])
        changes = [0, *(np.flatnonzero(np.diff(so_far)) + 1).tolist()]
        steps = [*(x[row] for row in changes), trials[-1].trial]
        axes.step(steps, [*so_far[changes], so_far[-1]], where="post", color=ORANGE, label="best")
    if failed:
        kept = [failed[row] for row in evenly(len(failed), MOST_POINTS)]
        axes.plot(
            [one.trial for one in kept], [0.03] * len(kept), "x", color=INK, markersize=4.5,
            transform=axes.get_xaxis_transform(), label="failed", clip_on=False,
        )  # fmt: skip
    if data.search_mode == "min":
        log_if_wide(axes, "y", [one.metrics[data.search_metric] for one in (*completed, *pruned)])
    axes.set_xlabel("trial")
    axes.set_ylabel(on_validation(data.search_metric, axis=True))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    if not reported:
        axes.set_yticks([])
    legend(axes)
    top = data.best_trial(variant)
    reached = number(top.metrics[data.search_metric]) if top else ""
    said = f"The best, trial {top.trial}, reached {reached}." if top else _without_best(data, variant)
    kept_out = f" ({len(beyond)} of them beyond the limits)" if beyond else ""
    counts = f"{len(completed)} completed{kept_out}, {len(pruned)} pruned, {len(failed)} failed or without a figure"
    named = ((done, "completed"), (beyond, "beyond the limits"), (pruned, "pruned"))
    thinned = [name for group, name in named if len(group) > MOST_POINTS]
    sampled = f" Of {' and '.join(thinned)} ones {MOST_POINTS} each are drawn." if thinned else ""
    return chart(
        figure,
        key,
        ("search", variant),
        f"{printable(variant)}: search",
        f"{sentence(on_validation(data.search_metric))} by trial: {counts}. {said}{sampled}",
        f"Search history of {printable(variant)}. {said}",
    )


def _without_best(data: RunData, variant: str) -> str:
    return "No trial is within the limits." if data.without_winner(variant) else "No trial completed."


def effect_chart(data: RunData, effect: Effect, key: str) -> Chart:
    """The objective against one hyperparameter."""
    figure, axes = panel()
    rows = np.array(evenly(len(effect.values), MOST_POINTS), dtype=np.int64)
    x = _numbers(axes, effect) if effect.numeric else _categories(axes, effect)
    for done, style, colour, name in ((False, "v", FAINT, "pruned or failed"), (True, "o", BLUE, "completed")):
        chosen = rows[effect.completed[rows] == done]
        if len(chosen):
            fill = colour if done else "none"
            axes.plot(
                x[chosen], effect.objective[chosen], style, color=colour, markerfacecolor=fill,
                markersize=3.6 if len(rows) < 100 else 2.4, markeredgewidth=0.7, alpha=0.8, label=name,
            )  # fmt: skip
    if data.search_mode == "min":
        log_if_wide(axes, "y", effect.objective.tolist())
    axes.set_xlabel(shorten(printable(effect.parameter), 40))
    axes.set_ylabel(on_validation(data.search_metric, axis=True))
    legend(axes)
    said = f" Spearman ρ = {number(effect.spearman, 2, signed=True)}." if effect.spearman is not None else ""
    sampled = f" {len(rows)} of {len(effect.values)} trials are drawn." if len(rows) < len(effect.values) else ""
    name, metric = f"{printable(effect.variant)}: {printable(effect.parameter)}", sentence(label(data.search_metric))
    best = f" The best trial has {printable(setting(effect.best))}." if effect.best is not None else ""
    return chart(
        figure,
        key,
        ("effect", effect.variant, effect.parameter),
        name,
        f"{sentence(on_validation(data.search_metric))} over {plural(len(effect.values), 'trial')}.{said}{sampled}",
        f"{metric} against {printable(effect.parameter)} of {printable(effect.variant)}.{said}{best}",
    )


def _numbers(axes: Axes, effect: Effect) -> NDArray[np.float64]:
    """The values as places on the axis."""
    x = np.array(effect.values, dtype=np.float64)
    if effect.logarithmic:
        logarithmic(axes, "x", x.tolist())
    return x


def _categories(axes: Axes, effect: Effect) -> NDArray[np.float64]:
    """A place on the axis for each category, with the median of its completed trials; equal values stand apart."""
    said = [printable(setting(value)) for value in effect.values]
    categories = sorted(set(said))
    x = np.array([categories.index(value) for value in said], dtype=np.float64)
    axes.set_xticks(range(len(categories)), [shorten(name, max(5, 44 // len(categories))) for name in categories])
    axes.set_xlim(-0.5, len(categories) - 0.5)
    for place in range(len(categories)):
        values = effect.objective[(x == place) & effect.completed]
        if len(values):
            axes.plot([place - 0.25, place + 0.25], [np.median(values)] * 2, color=ORANGE, label="median", zorder=2.5)
    # Spread sideways by rank; no random numbers.
    return x + ((np.arange(len(x)) * 0.618) % 1 - 0.5) * 0.3
