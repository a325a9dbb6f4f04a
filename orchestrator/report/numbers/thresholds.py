"""Every threshold strategy on every evaluated model: fitted on kept validation scores, judged on kept test scores."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import label, number, plural, printable
from orchestrator.report.numbers.predictions import ValidationScores, VariantScores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.thresholds import (
    DEFAULT_STRATEGIES,
    ThresholdMetric,
    at_threshold,
    best_possible,
    folds_of,
    parse_strategy,
    usable,
)
from trainables.errors import InputError

MEASURES = ("tpr", "tnr", "balanced_accuracy", "f1")
BOUND = "upper bound"
"""The best threshold on the test part itself, in the column `strategy`."""
NOBODY = "no one can know it beforehand: chosen on test"


def threshold_metric(data: RunData) -> ThresholdMetric:
    """By which strategies are compared."""
    given = data.experiment.get("threshold")
    name = given.get("metric") if isinstance(given, dict) else None
    return "f1" if name == "f1" else "balanced_accuracy"


def compared_by(data: RunData, scores: dict[str, VariantScores]) -> int | None:
    """By how many folds strategies were compared, cross-fitted; 0: not at all; None where nothing tells it.

    Of runs whose records do not say it, as it follows from the kept labels and the split's source pictures.
    """
    told = (one.threshold.folds for one in data.counted if one.threshold is not None)
    known = next((folds for folds in told if folds is not None), None)
    if known is not None:
        return known
    pictures, sources = data.split.get("pictures"), data.split.get("groups", {})
    labels = next((one.labels for kept in scores.values() for one in kept.validation if one is not None), None)
    try:
        paths = [path for path, part in pictures or () if part == "validation"]
        groups = np.array([sources.get(path, path) for path in paths])
    except (TypeError, ValueError, AttributeError):  # another's, or a changed one
        return None
    return folds_of(labels, groups) if labels is not None and len(labels) == len(groups) else None


def how_chosen(data: RunData, normals_only: bool | None, folds: int | None) -> str:
    """How the strategy in use came to be chosen, as a clause. `folds`: as `compared_by` gives it."""
    section = data.experiment.get("threshold")
    section = section if isinstance(section, dict) else {}
    if len(section.get("strategies") or ()) == 1:
        return "the experiment fixed it, and its value is fitted on validation"
    if normals_only:
        return (
            "validation holds normal pictures only, so no metric could choose, and the first that needs no anomalies "
            "is taken"
        )
    if section.get("search"):
        drawn = "the search drew it as a hyperparameter, judged on validation"
        return f"{drawn}, cross-fitted" if data.cross_fitted else drawn
    best = f"it had the best {label(threshold_metric(data))} on validation"
    if folds == 0:
        return (
            f"{best}, each strategy judged on the very scores that it is fitted to, since validation holds too few "
            "known anomalies to fit it to some and judge it by others"
        )
    return f"{best}, cross-fitted" if folds else best


def threshold_frame(data: RunData, scores: dict[str, VariantScores]) -> pd.DataFrame:
    """A row a variant and strategy: mean and standard deviation over seeds on the test part.

    `used` counts the seeds whose cell has this strategy; `gap` is what the best threshold on test would have given
    more, by `threshold.metric`. The row `upper bound` is that best threshold.
    """
    names = ("threshold", *MEASURES, "gap")
    columns = ["variant", "strategy", "used", "seeds", *(name + suffix for name in names for suffix in ("", "_sd"))]
    rows = []
    for variant, kept in scores.items():
        for strategy, (used, cells) in _variant_results(data, data.completed[variant], kept).items():
            values: dict[str, Any] = {"variant": variant, "strategy": strategy, "used": used, "seeds": len(cells)}
            for name in names:
                known = [cell[name] for cell in cells if name in cell]
                values[name] = float(np.mean(known)) if known else math.nan
                values[f"{name}_sd"] = float(np.std(known, ddof=1)) if len(known) > 1 else math.nan
            rows.append(values)
    return pd.DataFrame(rows, columns=columns)


def _variant_results(
    data: RunData, records: Sequence[TrialRecord], kept: VariantScores
) -> dict[str, tuple[int, list[dict[str, float]]]]:
    """Strategy -> (cells that use it, each cell's figures); the upper bound last."""
    metric = threshold_metric(data)
    results: dict[str, tuple[int, list[dict[str, float]]]] = {}
    bounds: list[dict[str, float]] = []
    for place, record in enumerate(records):
        scores = kept.scores[place]
        lines = fitted(data, record, kept.validation[place])
        best, line = best_possible(scores, kept.labels, metric) if len(np.unique(kept.labels)) > 1 else (None, None)
        for text, value in lines.items():
            figures = {"threshold": value, **at_threshold(scores, kept.labels, value)}
            if best is not None and metric in figures:
                figures["gap"] = best - figures[metric]
            used, cells = results.get(text, (0, []))
            used += record.threshold is not None and record.threshold.strategy == text
            results[text] = (used, [*cells, figures])
        if line is not None:
            bounds.append({"threshold": line, **at_threshold(scores, kept.labels, line), "gap": 0.0})
    return results | ({BOUND: (0, bounds)} if bounds else {})


def fitted(data: RunData, record: TrialRecord, validation: ValidationScores | None) -> dict[str, float]:
    """Strategy -> threshold of one cell: each that its validation scores define, and the one in use."""
    lines: dict[str, float] = {}
    if validation is not None:
        for strategy in usable(_strategies(data), bool((validation.labels == 1).any())):
            try:
                lines[strategy.text] = strategy.fit(validation.scores, validation.labels)
            except ValueError:
                continue  # these scores do not define it
    if record.threshold is not None and math.isfinite(record.threshold.value):
        lines[record.threshold.strategy] = record.threshold.value
    return lines


def _strategies(data: RunData) -> list[str]:
    """Those that the experiment names and this version knows, else the default ones."""
    section = data.experiment.get("threshold")
    given = section.get("strategies") if isinstance(section, dict) else None
    known = []
    for text in given if isinstance(given, list) else []:
        try:
            known.append(parse_strategy(str(text)).text)
        except InputError:
            continue  # a strategy of another version
    return known or list(DEFAULT_STRATEGIES)


def overview_table(data: RunData, frame: pd.DataFrame, variants: Sequence[str]) -> Table:
    """Strategies in rows, variants in columns, by the metric that chooses; the one in use is marked."""
    metric = threshold_metric(data)
    found = {(row["variant"], row["strategy"]): row for _, row in frame.iterrows()}
    shown = [name for name in variants if any(variant == name for variant, _ in found)]
    strategies = [name for name in dict.fromkeys(frame["strategy"]) if name != BOUND]
    printed = []
    for strategy in strategies:
        rows = [found.get((name, strategy)) for name in shown]
        printed.append([TableCell(printable(strategy)), *(_overview_cell(row, metric) for row in rows)])
    bounds = [found.get((name, BOUND)) for name in shown]
    cells = (TableCell(number(None if row is None else row[metric]), tone="quiet") for row in bounds)
    printed.append([TableCell(f"{BOUND} ({NOBODY})", tone="quiet"), *cells])
    caption = (
        f"{label(metric).capitalize() if metric != 'f1' else 'F1'} on the test part of each threshold strategy, fitted "
        "on the validation part's scores; mean over seeds. In use: what validation chose. The last row is the best "
        f"threshold on the test part itself; {NOBODY.partition(':')[0]}.{data.caveat}"
    )
    columns = ["Strategy", *(printable(name) for name in shown)]
    return Table("thresholds", caption, columns, printed, frozenset(range(1, len(columns))))


def _overview_cell(row: Any, metric: str) -> TableCell:
    if row is None or math.isnan(row[metric]):
        return TableCell(number(None), tone="quiet")
    used = in_use(row)
    return TableCell(number(row[metric]), used, tone="strong" if used else "", shade=min(1.0, max(0.0, row[metric])))


def in_use(row: Any) -> str:
    """Whether this row's strategy is the one that validation chose, in words; empty where not."""
    if not row["used"]:
        return ""
    return "in use" if row["used"] == row["seeds"] else f"in use with {plural(int(row['used']), 'seed')}"


def variant_table(data: RunData, frame: pd.DataFrame, variant: str) -> Table:
    """One variant's strategies: what each gives, with its spread over seeds, and the gap to the upper bound."""
    ours = frame[frame["variant"] == variant]
    metric = threshold_metric(data)
    printed = []
    for _, row in ours.iterrows():
        bound = row["strategy"] == BOUND
        name = f"{BOUND} ({NOBODY})" if bound else printable(row["strategy"])
        used = in_use(row)
        tone: Any = "quiet" if bound else "strong" if used else ""
        cells = [TableCell(_spread(row, measure), tone=tone) for measure in MEASURES]
        gap = TableCell("" if bound else _spread(row, "gap"), tone=tone)
        line = TableCell(f"{row['threshold']:.4g}".replace("-", "−"), tone=tone)
        printed.append([TableCell(name, tone=tone), TableCell(used), line, *cells, gap])
    seeds = int(ours["seeds"].max())
    caption = (
        f"{printable(variant)}: threshold strategies on the test part, mean ± standard deviation over "
        f"{plural(seeds, 'seed')}. Gap: how much more {label(metric)} the upper bound has.{data.caveat}"
    )
    columns = ["Strategy", "In use", "Threshold", *(label(measure) for measure in MEASURES), "Gap"]
    return Table("thresholds", caption, columns, printed, frozenset(range(2, len(columns))))


def _spread(row: Any, name: str) -> str:
    mean, deviation = row[name], row[f"{name}_sd"]
    return number(mean) if math.isnan(deviation) else f"{number(mean)} ± {number(deviation)}"
