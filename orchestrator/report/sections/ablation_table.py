"""The ablation as one table: variants in the plan's order, what each changes, and every metric with its difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import (
    bare,
    label,
    number,
    p_value,
    plural,
    printable,
    sentence,
    setting,
    words,
)
from orchestrator.report.numbers.conclusions import conclusion, remarks_of, test_parts, what_splits, what_was_tested
from orchestrator.report.numbers.measured import Standing, measured
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.metric_table import metrics_of

MOST_FACTORS = 4


@dataclass(frozen=True)
class PrintedCell:
    """One variant's figures by one metric, as every format prints them; empty where there is none."""

    mean: str
    low: str
    high: str
    delta: str
    p: str
    significant: str
    """`better` or `worse`; else empty."""
    seeds: int


def shown_metrics(data: RunData, found: Sequence[str]) -> list[str]:
    """The metrics of the table: the objective, then those that rank whole models, then those at a threshold."""
    quoted = [one for one in metrics_of(data.task) if one.quoted]
    order = [data.metric, *(one.name for one in sorted(quoted, key=lambda one: one.thresholded))]
    return [name for name in dict.fromkeys(order) if name in found]


def printed_cell(row: Standing, metric: str) -> PrintedCell:
    """The figures of one cell of the table: three decimals, a true minus sign."""
    found, comparison = row.estimates.get(metric), row.comparisons.get(metric)
    if found is None:
        return PrintedCell("", "", "", "", "", "", 0)
    difference = comparison.difference.mean if comparison and comparison.difference.seeds else None
    significant = comparison.outcome if comparison and comparison.outcome in ("better", "worse") else ""
    return PrintedCell(
        number(found.mean),
        number(found.low),
        number(found.high),
        "" if difference is None else number(difference, signed=True),
        "" if comparison is None or comparison.p_corrected is None else p_value(comparison.p_corrected),
        significant,
        found.seeds,
    )


def ablation_table(data: RunData, plan: AblationPlan, rows: Sequence[Standing], metrics: Sequence[str] = ()) -> Table:
    """The whole table, or that of just these `metrics`. A row without a completed cell has dashes."""
    found = [name for row in rows for name in row.estimates]
    metrics = [name for name in metrics if name in found] or shown_metrics(data, found)
    factors = _factors(data, plan)
    partial = any(len(row.seeds) < len(plan.seeds) for row in rows)
    printed = {(row.variant, metric): printed_cell(row, metric) for row in rows for metric in metrics}
    best = {metric: _best(data, rows, metric) for metric in metrics}
    lines = []
    for row in rows:
        line = [TableCell(printable(row.variant)), *(TableCell(values[row.variant]) for values in factors.values())]
        if partial:
            line.append(TableCell(_of_seeds(len(row.seeds), plan)))
        for metric in metrics:
            one = printed[row.variant, metric]
            short = one.seeds and one.seeds < len(row.seeds)
            line.append(_cell(one, one.mean == best[metric], _of_seeds(one.seeds, plan) if short else ""))
        lines.append(line)
    heads = ["Configuration", *factors, *(["Seeds"] if partial else [])]
    columns = [*heads, *(_title(data, metric) for metric in metrics)]
    numeric = frozenset(range(len(heads), len(columns)))
    return Table("ablation", _caption(data, plan, rows, metrics), columns, lines, numeric, stacked=True)


def _cell(one: PrintedCell, best: bool, remark: str) -> TableCell:
    if not one.seeds:
        return TableCell(number(None))
    text = one.mean if one.low == number(None) else f"{one.mean} [{bare(one.low)}, {bare(one.high)}]"
    star = "*" if one.significant else ""
    parts = [f"({one.delta}{star}, {one.p or 'no test'})"] if one.delta else []
    tone: Any = {"better": "good", "worse": "bad"}.get(one.significant, "")
    return TableCell(text, " ".join([*parts, remark]).strip(), tone="strong" if best else "", detail_tone=tone)


def _best(data: RunData, rows: Sequence[Standing], metric: str) -> str | None:
    """The best mean of a column as it is printed: equals share the mark."""
    means = [row.estimates[metric].mean for row in rows if metric in row.estimates]
    if len(means) < 2:
        return None
    return number(max(means) if data.mode_of(metric) == "max" else min(means))


def _of_seeds(found: int, plan: AblationPlan) -> str:
    return f"{found} of {plural(len(plan.seeds), 'seed')}"


def _title(data: RunData, metric: str) -> str:
    return "Image ROC-AUC" if metric == "roc_auc" and data.task == "detection" else sentence(label(metric))


def _factors(data: RunData, plan: AblationPlan) -> dict[str, dict[str, str]]:
    """Column -> variant -> level. With too many columns, one that says what each variant changes."""
    keys = list(dict.fromkeys([*plan.factors, *(key for variant in plan.variants for key in variant.changes)]))
    columns = {}
    # A family that is called as the row is says nothing more.
    named = all(variant.family == variant.name for variant in plan.variants)
    if len({variant.family for variant in plan.variants}) > 1 and not named:
        columns["Family"] = {variant.name: printable(variant.family) for variant in plan.variants}
    if len(keys) > MOST_FACTORS:
        changes = {
            variant.name: "; ".join(f"{printable(key)}: {level(value)}" for key, value in variant.changes.items())
            for variant in plan.variants
        }
        return columns | {"Changes": {name: text or "none" for name, text in changes.items()}}
    for key in keys:
        title = sentence(printable(key).replace("_", " "))
        title = printable(key) if title in columns else title
        columns[title] = {variant.name: level(_value(data, variant, key)) for variant in plan.variants}
    return columns


def _value(data: RunData, variant: AblatedVariant, key: str) -> Any:
    """A factor's value in one variant: as changed, else as the baseline has it."""
    if key in variant.changes:
        return variant.changes[key]
    if key == "threshold":
        return variant.strategy
    if key in ("size", "epochs"):
        return _default(data, key)
    found = variant.config.get(key)
    lists = any(isinstance(one.changes.get(key), list) for one in (data.ablation.variants if data.ablation else ()))
    # Configurations write a list as one choice: 2+3.
    return found.split("+") if lists and isinstance(found, str) else found


def _default(data: RunData, key: str) -> Any:
    """The size or epochs that the experiment gives the ablation's baseline."""
    plan = data.ablation
    listed = [one for one in data.experiment.get("families") or [] if isinstance(one, dict)]
    own = next((one.get(key) for one in listed if plan is not None and one.get("name") == plan.baseline), None)
    part = data.experiment.get("data" if key == "size" else "budget")
    return own or (part.get(key) if isinstance(part, dict) else None)


def level(value: Any) -> str:
    """A factor's level as tables print it: lists by their items."""
    if value is None:
        return number(None)
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ", ".join(map(setting, value)) or "none"
    return setting(value)


def _caption(data: RunData, plan: AblationPlan, rows: Sequence[Standing], metrics: Sequence[str]) -> str:
    base = rows[0].variant
    over, paired = plural(len(plan.seeds), "seed"), "seed"
    if data.over_splits:
        over, paired = f"{plural(len(data.evaluated_splits), 'split')} of {over}", "split and seed"
    part = test_parts(data, rows)
    text = [
        f"Ablation: mean over {over} with its 95 % interval, on {part}.",
        f"In brackets (Δ, p): Δ is the difference to {printable(base)}, paired by {paired}.",
        what_was_tested(rows, metrics, measured(data).removed),
        "Bold: best of a column. *: significant, that is, p is below .05; differences without one are not.",
        _budget(data, plan),
        _missing(data, plan, rows),
        *remarks_of(rows, data.metric),
        what_splits(data),
        conclusion(rows, base, data.metric, metrics),
    ]
    return " ".join(part for part in text if part) + data.caveat


def _budget(data: RunData, plan: AblationPlan) -> str:
    """What each variant was allowed, and where its hyperparameters come from."""
    budget = data.experiment.get("budget")
    epochs = budget.get("epochs") if isinstance(budget, dict) else None
    first = plan.variants[0]
    limits = f"Each training has at most {plural(epochs, 'epoch')}. " if isinstance(epochs, int) and epochs else ""
    if any("epochs" in variant.changes for variant in plan.variants):
        limits = ""
    chosen = f"those of the best of {plural(first.trials, 'trial')}" if first.trials else "as the experiment gives them"
    text = f"{limits}The baseline's hyperparameters are {chosen}; "
    if plan.tuned is None:
        return f"{text}the other variants inherit them."
    searched = [variant for variant in plan.variants[1:] if variant.trials]
    given = [printable(variant.name) for variant in plan.variants[1:] if not variant.trials]
    text += f"each other variant was tuned again with {plural(plan.tuned, 'trial')}."
    return text if searched and not given else f"{text} Not searched: {words(given)}."


def _missing(data: RunData, plan: AblationPlan, rows: Sequence[Standing]) -> str:
    """What is missing of the cells."""
    every = [records for split in data.every_split for records in split.ablated.values()]
    done = sum(one.status == "completed" and bool(one.metrics) for records in every for one in records)
    whole = len(plan.seeds) * len(plan.variants) * data.wanted_splits
    text = []
    if done < whole:
        failed = sum(one.status != "completed" for records in every for one in records)
        text.append(f"Partial: {done} of {whole} cells are complete" + (f", {failed} failed." if failed else "."))
    return " ".join(text)


def ablation_frame(data: RunData, plan: AblationPlan, rows: Sequence[Standing]) -> pd.DataFrame:
    """A row a variant and metric: the printed numbers, each a column, rounded as they are printed.

    `p` is Holm-corrected, and text where it is below .001. What is not known is empty.
    """
    metrics = shown_metrics(data, [name for row in rows for name in row.estimates])
    factors = _factors(data, plan)
    table = []
    for row in rows:
        for metric in metrics:
            one = printed_cell(row, metric)
            numbers = [_plain(text) for text in (one.mean, one.low, one.high, one.delta, one.p)]
            levels = [values[row.variant] for values in factors.values()]
            table.append([row.variant, *levels, metric, one.seeds, *numbers, one.significant])
    columns = ["variant", *factors, "metric", "seeds", "mean", "low", "high", "delta", "p", "significant"]
    return pd.DataFrame(table, columns=columns)


def _plain(text: str) -> str:
    """A printed number as programs read it."""
    return "" if text == number(None) else text.replace("−", "-")
