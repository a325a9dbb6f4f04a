"""The report's figures: each function draws one panel and says what it shows."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from orchestrator.records import TrialRecord
from orchestrator.report.blocks import Chart
from orchestrator.report.formatting import label, number, on_validation, plural, printable, sentence, setting, shorten
from orchestrator.report.hyperparameters import LOG_RATIO, Effect
from orchestrator.report.leaderboard import Standing
from orchestrator.report.run_data import RunData
from orchestrator.report.svg import BLUE, FAINT, GREEN, INK, ORANGE, PURPLE, legend, logarithmic, panel, to_svg
from trainables.interface import Task

MOST_POINTS = 300
MOST_CURVES = 30
_SERIES = (BLUE, ORANGE, GREEN, PURPLE, FAINT)
DETECTION_LOSSES = {"train_loss": "training", "validation_loss": "normals", "anomaly_loss": "anomalies"}


def thin(items: Sequence[TrialRecord], most: int) -> list[TrialRecord]:
    """At most `most` of them, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[int(row)] for row in np.linspace(0, len(items) - 1, most).round()]


def cost_chart(data: RunData, rows: Sequence[Standing]) -> Chart | None:
    """The objective on test against the time of one training."""
    known = [row for row in rows if data.metric in row.estimates and row.seconds]
    if len(known) < 2:
        return None
    figure, axes = panel()
    for row in known:
        found, seconds = row.estimates[data.metric], float(row.seconds or 0)
        colour = FAINT if row.variant == data.baseline else BLUE
        if math.isfinite(found.low):
            axes.plot([seconds, seconds], [found.low, found.high], color=colour, linewidth=1.1)
        axes.plot(seconds, found.mean, "o", color=colour, markersize=5)
    times = [float(row.seconds or 0) for row in known]
    log_if_wide(axes, "x", times)
    axes.margins(x=0.12, y=0.12)
    means = [row.estimates[data.metric].mean for row in known]
    _name_points(axes, list(zip([row.variant for row in known], times, means, strict=True))[:12])
    axes.set_xlabel("seconds a training")
    axes.set_ylabel(f"{label(data.metric)} (test)")
    best = known[0]
    return Chart(
        f"{sentence(label(data.metric))} against time",
        "Mean on test with its 95 % interval, against the mean wall time of one training; the baseline is grey.",
        f"{printable(best.variant)} has the best mean, {number(best.estimates[data.metric].mean)}.",
        to_svg(figure, "cost"),
    )


def loss_chart(variant: str, records: Sequence[TrialRecord], key: str, task: Task = "classification") -> Chart | None:
    """The losses by epoch of each seed; for detection those of normals and of anomalies apart."""
    names = _losses(records)
    curved = [record for record in records if len(record.history) > 1]
    if not names or not curved:
        return None
    if task == "detection":
        known = [name for name in DETECTION_LOSSES if name in names]
        names = [*known, *(name for name in names if name not in known)]
        said = {name: DETECTION_LOSSES.get(name, printable(name)) for name in names}
        colours: Sequence[str] = (FAINT, BLUE, ORANGE, GREEN, PURPLE)
    else:
        said, colours = {name: printable(name).replace("_", " ") for name in names}, _SERIES
    figure, axes = panel()
    every: list[float] = []
    for name, colour in zip(names, colours, strict=False):
        for record in thin(curved, MOST_CURVES):
            x, y = _curve(record, name)
            every += y
            axes.plot(x, y, color=colour, linewidth=1.1, alpha=0.85, label=said[name])
    log_if_wide(axes, "y", every)
    _epochs(axes, "loss")
    legend(axes)
    seeds = f"one line for each of {plural(len(curved), 'evaluated seed')}"
    whose = "of the search's best trial" if curved[0].stage == "search" else seeds
    parts = " Normals and anomalies are those of validation." if task == "detection" else ""
    return Chart(
        f"{printable(variant)}: losses",
        f"Loss by epoch, {whose}.{parts}",
        f"{' and '.join(printable(name) for name in names)} of {printable(variant)} by epoch.",
        to_svg(figure, key),
    )


def metric_chart(data: RunData, variant: str, records: Sequence[TrialRecord], key: str) -> Chart | None:
    """The objective on validation by epoch: seeds of the evaluation over the trials of the search."""
    curved = [record for record in records if len(_curve(record, data.search_metric)[0]) > 1]
    trials = [one for one in data.search[variant] if len(_curve(one, data.search_metric)[0]) > 1]
    if not curved and not trials:
        return None
    figure, axes = panel()
    shown = thin(trials, MOST_CURVES)
    every: list[float] = []
    for record in shown:
        pruned = record.status != "completed"
        x, y = _curve(record, data.search_metric)
        every += y
        name = "stopped early" if pruned else "search"
        axes.plot(x, y, color=ORANGE if pruned else FAINT, linewidth=0.7, alpha=0.6, label=name)
    for record in thin(curved, MOST_CURVES):
        x, y = _curve(record, data.search_metric)
        every += y
        axes.plot(x, y, color=BLUE, linewidth=1.4, label="evaluation")
        if record.epoch in x:
            axes.plot(record.epoch, y[x.index(record.epoch)], "o", color=BLUE, markersize=4)
    if data.search_mode == "min":
        log_if_wide(axes, "y", every)
    _epochs(axes, on_validation(data.search_metric, axis=True))
    legend(axes)
    sampled = f" {len(shown)} of {len(trials)} trials are drawn." if len(shown) < len(trials) else ""
    dots = " Dots: the epoch that validation chose." if curved else ""
    seeds = f" and {plural(len(curved), 'evaluated seed')}" if curved else ""
    return Chart(
        f"{printable(variant)}: {label(data.search_metric)} by epoch",
        f"On validation, for {plural(len(trials), 'trial')} of the search{seeds}.{dots}{sampled}",
        f"{sentence(label(data.search_metric))} of {printable(variant)} by epoch on validation.",
        to_svg(figure, key),
    )


def history_chart(data: RunData, variant: str, key: str) -> Chart | None:
    """The objective by trial, with the best so far."""
    trials = data.search[variant]
    if not trials:
        return None
    figure, axes = panel()
    done = [one for one in trials if one.status == "completed" and data.search_metric in one.metrics]
    pruned = [one for one in trials if one.status == "pruned" and data.search_metric in one.metrics]
    failed = [one for one in trials if one not in done and one not in pruned]
    best = np.maximum if data.search_mode == "max" else np.minimum
    for group, style, colour, name in ((done, "o", BLUE, "completed"), (pruned, "v", FAINT, "pruned")):
        if group:
            kept = thin(group, MOST_POINTS)
            x, y = [one.trial for one in kept], [one.metrics[data.search_metric] for one in kept]
            hollow = "none" if group is pruned else colour
            axes.plot(
                x, y, style, color=colour, markerfacecolor=hollow, markersize=3.6, markeredgewidth=0.8, label=name
            )
    if done:
        x = [one.trial for one in done]
        so_far = best.accumulate([one.metrics[data.search_metric] for one in done])
        changes = [0, *(np.flatnonzero(np.diff(so_far)) + 1).tolist()]
        steps = [*(x[row] for row in changes), trials[-1].trial]
        axes.step(steps, [*so_far[changes], so_far[-1]], where="post", color=ORANGE, label="best")
    if failed:
        kept = thin(failed, MOST_POINTS)
        axes.plot(
            [one.trial for one in kept], [0.03] * len(kept), "x", color=INK, markersize=4.5,
            transform=axes.get_xaxis_transform(), label="failed", clip_on=False,
        )  # fmt: skip
    if data.search_mode == "min":
        log_if_wide(axes, "y", [one.metrics[data.search_metric] for one in (*done, *pruned)])
    axes.set_xlabel("trial")
    axes.set_ylabel(on_validation(data.search_metric, axis=True))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not done and not pruned:
        axes.set_yticks([])
    legend(axes)
    top = data.best_trial(variant)
    reached = number(top.metrics[data.search_metric]) if top else ""
    said = f"The best, trial {top.trial}, reached {reached}." if top else "No trial completed."
    counts = f"{len(done)} completed, {len(pruned)} pruned, {len(failed)} failed or without a figure"
    return Chart(
        f"{printable(variant)}: search",
        f"{sentence(on_validation(data.search_metric))} by trial: {counts}. {said}",
        f"Search history of {printable(variant)}. {said}",
        to_svg(figure, key),
    )


def effect_chart(data: RunData, effect: Effect, key: str) -> Chart:
    """The objective against one hyperparameter."""
    figure, axes = panel()
    rows = np.unique(np.linspace(0, len(effect.values) - 1, min(MOST_POINTS, len(effect.values))).round().astype(int))
    if effect.numeric:
        x = np.array(effect.values, dtype=np.float64)
        if effect.logarithmic:
            logarithmic(axes, "x", x.tolist())
    else:
        categories = sorted({printable(setting(value)) for value in effect.values})
        x = np.array([categories.index(printable(setting(value))) for value in effect.values], dtype=np.float64)
        axes.set_xticks(range(len(categories)), [shorten(name, max(5, 44 // len(categories))) for name in categories])
        axes.set_xlim(-0.5, len(categories) - 0.5)
        for place in range(len(categories)):
            values = effect.objective[(x == place) & effect.completed]
            if len(values):
                axes.plot([place - 0.25, place + 0.25], [np.median(values)] * 2, color=ORANGE, label="median")
        # Spread sideways by rank, so that equal values stay apart; no random numbers.
        x = x + ((np.arange(len(x)) * 0.618) % 1 - 0.5) * 0.3
    for done, style, colour, name in ((True, "o", BLUE, "completed"), (False, "v", FAINT, "pruned or failed")):
        chosen = [row for row in rows if effect.completed[row] == done]
        if chosen:
            fill = colour if done else "none"
            axes.plot(
                x[chosen], effect.objective[chosen], style, color=colour, markerfacecolor=fill,
                markersize=3.6, markeredgewidth=0.8, alpha=0.8, label=name,
            )  # fmt: skip
    if data.search_mode == "min":
        log_if_wide(axes, "y", effect.objective.tolist())
    axes.set_xlabel(shorten(printable(effect.parameter), 40))
    axes.set_ylabel(on_validation(data.search_metric, axis=True))
    legend(axes)
    said = f" Spearman ρ = {number(effect.spearman, 2, signed=True)}." if effect.spearman is not None else ""
    sampled = f" {len(rows)} of {len(effect.values)} trials are drawn." if len(rows) < len(effect.values) else ""
    name, metric = f"{printable(effect.variant)}: {printable(effect.parameter)}", sentence(label(data.search_metric))
    return Chart(
        name,
        f"{sentence(on_validation(data.search_metric))} over {plural(len(effect.values), 'trial')}.{said}{sampled}",
        f"{metric} against {printable(effect.parameter)} of {printable(effect.variant)}.{said}",
        to_svg(figure, key),
    )


def _name_points(axes: Axes, points: Sequence[tuple[str, float, float]]) -> None:
    """Names beside their points, towards the middle, moved up where they would cover each other."""
    axes.autoscale_view()
    to_shares = axes.transData + axes.transAxes.inverted()
    placed: dict[bool, float] = {}
    for name, x, y in sorted(points, key=lambda point: point[2]):
        across, up = to_shares.transform((x, y))
        left = bool(across > 0.5)
        height = max(up, placed.get(left, -1.0) + 0.085)
        placed[left] = height
        axes.annotate(
            shorten(printable(name), 22),
            (across, height),
            xycoords="axes fraction",
            xytext=(-6 if left else 6, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            fontsize=8,
        )


def _losses(records: Sequence[TrialRecord]) -> list[str]:
    """Loss names in the histories, training's first."""
    seen = {name: None for record in records for row in record.history for name in row if name.endswith("loss")}
    seen.pop("log_loss", None)
    return sorted(seen, key=lambda name: (not name.startswith("train"), name))[: len(_SERIES)]


def _curve(record: TrialRecord, name: str) -> tuple[list[int], list[float]]:
    """The epochs that hold a finite value, and the values."""
    pairs = [
        (int(row.get("epoch", place)), row[name])
        for place, row in enumerate(record.history, start=1)
        if name in row and math.isfinite(row[name])
    ]
    return [epoch for epoch, _ in pairs], [value for _, value in pairs]


def _epochs(axes: Axes, what: str) -> None:
    axes.set_xlabel("epoch")
    axes.set_ylabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def log_if_wide(axes: Axes, which: Literal["x", "y"], values: Sequence[float]) -> None:
    """A logarithmic axis where positive values spread over decades."""
    if values and min(values) > 0 and max(values) / min(values) >= LOG_RATIO:
        logarithmic(axes, which, values)
