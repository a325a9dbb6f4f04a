"""The figures of training: losses and the objective by epoch."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.document.document import Chart
from orchestrator.report.document.formatting import label, number, on_validation, plural, printable, sentence
from orchestrator.report.figures.panel_layout import evenly, log_if_wide
from orchestrator.report.figures.svg import BLUE, FAINT, GREEN, ORANGE, PURPLE, chart, legend, panel
from orchestrator.report.numbers.run_data import RunData
from trainables.interface import Task

MOST_CURVES = 30
_SERIES = (BLUE, ORANGE, GREEN, PURPLE, FAINT)
DETECTION_LOSSES = {"train_loss": "training", "validation_loss": "normals", "anomaly_loss": "anomalies"}
Curve = tuple[list[int], list[float]]


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
    changes = []
    for name, colour in zip(names, colours, strict=False):
        curves = [_curve(curved[row], name) for row in evenly(len(curved), MOST_CURVES)]
        for x, y in curves:
            every += y
            axes.plot(x, y, color=colour, linewidth=1.1, alpha=0.85, label=said[name])
        changes.append(_change(said[name], [y for _, y in curves if y]))
    log_if_wide(axes, "y", every)
    _epochs(axes, "loss")
    legend(axes)
    seeds = f"one line for each of {plural(len(curved), 'evaluated seed')}"
    whose = "of the search's best trial" if curved[0].stage == "search" else seeds
    parts = " Normals and anomalies are those of validation." if task == "detection" else ""
    return chart(
        figure,
        key,
        ("losses", variant),
        f"{printable(variant)}: losses",
        f"Loss by epoch, {whose}.{parts}",
        f"Losses of {printable(variant)} by epoch, first to last: {'; '.join(one for one in changes if one)}.",
    )


def metric_chart(data: RunData, variant: str, records: Sequence[TrialRecord], key: str) -> Chart | None:
    """The objective on validation by epoch: seeds of the evaluation over the trials of the search."""
    curved = [one for one in records if len(_curve(one, data.search_metric)[0]) > 1]
    trials = [one for one in data.search[variant] if len(_curve(one, data.search_metric)[0]) > 1]
    if not curved and not trials:
        return None
    figure, axes = panel()
    shown = [trials[row] for row in evenly(len(trials), MOST_CURVES)]
    every: list[float] = []
    # Those that were stopped lie below, since they are many and short.
    for record in sorted(shown, key=lambda one: one.status == "completed"):
        done = record.status == "completed"
        x, y = _curve(record, data.search_metric)
        every += y
        axes.plot(
            x, y, color=FAINT if done else ORANGE, linewidth=0.7, alpha=0.6, label="search" if done else "stopped early"
        )
        if not done:
            axes.plot(x[-1], y[-1], "v", color=ORANGE, markersize=2.6, markeredgewidth=0)
    for row in evenly(len(curved), MOST_CURVES):
        x, y = _curve(curved[row], data.search_metric)
        every += y
        axes.plot(x, y, color=BLUE, linewidth=1.4, label="evaluation")
        chosen = curved[row].epoch
        if chosen in x:
            axes.plot(chosen, y[x.index(chosen)], "o", color=BLUE, markersize=4)
    if data.search_mode == "min":
        log_if_wide(axes, "y", every)
    _epochs(axes, on_validation(data.search_metric, axis=True))
    legend(axes)
    stopped = sum(one.status != "completed" for one in trials)
    early = f", {stopped} of them stopped early" if stopped else ""
    marks = " Triangles: where a trial was stopped." if any(one.status != "completed" for one in shown) else ""
    sampled = f" {len(shown)} of {len(trials)} trials are drawn." if len(shown) < len(trials) else ""
    dots = " Dots: the epoch that validation chose." if curved else ""
    seeds = f" and {plural(len(curved), 'evaluated seed')}" if curved else ""
    best = max if data.search_mode == "max" else min
    top = best(y for one in (*trials, *curved) for y in _curve(one, data.search_metric)[1])
    return chart(
        figure,
        key,
        ("metric", variant),
        f"{printable(variant)}: {label(data.search_metric)} by epoch",
        f"On validation, for {plural(len(trials), 'trial')} of the search{early}{seeds}.{dots}{marks}{sampled}",
        f"{sentence(label(data.search_metric))} of {printable(variant)} by epoch on validation; the best value is "
        f"{number(top)}.",
    )


def _change(name: str, curves: Sequence[Sequence[float]]) -> str:
    """A loss' first and last values, averaged over its curves; empty where it has none."""
    if not curves:
        return ""
    first, last = (float(np.mean([curve[place] for curve in curves])) for place in (0, -1))
    return f"{name} {first:.3g} to {last:.3g}"


def _losses(records: Sequence[TrialRecord]) -> list[str]:
    """Loss names in the histories, training's first."""
    seen = {name: None for record in records for row in record.history for name in row if name.endswith("loss")}
    seen.pop("log_loss", None)
    return sorted(seen, key=lambda name: (not name.startswith("train"), name))[: len(_SERIES)]


def _curve(record: TrialRecord, name: str) -> Curve:
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
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
