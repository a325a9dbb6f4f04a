"""The report's tables as they are printed; their full numbers are the frames."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.families import ENSEMBLE_FAMILY
from orchestrator.report.document.document import Table, TableCell
from orchestrator.report.document.formatting import (
    byte_size,
    count,
    duration,
    interval,
    label,
    number,
    p_value,
    plural,
    printable,
    setting,
    share,
    watt_hours,
)
from orchestrator.report.numbers.conclusions import conclusion, remarks_of, test_parts, what_splits, what_was_tested
from orchestrator.report.numbers.leaderboard import in_short, outcome
from orchestrator.report.numbers.measured import Standing, measured
from orchestrator.report.numbers.readings import read_often
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.sections.speed_tables import SPEED_COLUMNS, column_told, speed_cells

MOST_ROWS = 60
WHAT_P_BETTER = "P(better): the chance that one more training of the variant beats one more of the baseline on"


def leaderboard_tables(data: RunData, rows: Sequence[Standing], metrics: Sequence[str] = ()) -> list[Table]:
    """The ranking, and every metric, or just `metrics`, where that says more."""
    found = [leaderboard_table(data, rows)]
    shown = [name for name in metrics or data.metrics if name in data.metrics]
    more = set(shown) - {data.metric}
    return [*found, metrics_table(data, [row for row in rows if row.estimates], shown)] if more else found


def says_more(rows: Sequence[Standing]) -> bool:
    """Whether a column of families says more than that of the variants' names."""
    return any(row.family != row.variant for row in rows)


def leaderboard_table(data: RunData, rows: Sequence[Standing]) -> Table:
    """The objective with interval and comparison, best first."""
    metric = data.metric
    bars = _bars(data, rows)
    printed = []
    families, timed = says_more(rows), any(row.pace for row in rows)
    for rank, row in enumerate(rows, start=1):
        found, comparison = row.estimates.get(metric), row.comparisons.get(metric)
        words = comparison.outcome if comparison else outcome(data, row)
        first = rank == 1 and bool(found) and not row.beyond
        tone: Any = {"better": "good", "worse": "bad"}.get(comparison.outcome if comparison else "", "quiet")
        difference = comparison.difference if comparison else None
        chance = "" if comparison is None or comparison.probability is None else share(comparison.probability)
        chance = chance and f"P(better) {chance}"
        p = comparison.p_corrected if comparison else None
        change = "" if difference is None else number(difference.mean, signed=True)
        span = "" if difference is None else interval(difference.low, difference.high, signed=True)
        printed.append(
            [
                TableCell(printable(row.variant), tone="strong" if first else ""),
                *([TableCell(printable(row.family))] if families else []),
                TableCell(number(found.mean if found else None), tone="strong" if first else ""),
                TableCell("", interval(found.low, found.high) if found else "", bar=bars.get(row.variant)),
                TableCell(change, span),
                TableCell("" if p is None else p_value(p), chance),
                TableCell(short, tone="bad") if (short := in_short(data, row)) else TableCell(words, tone=tone),
                TableCell(f"{row.splits} × {len(row.seeds)}" if data.over_splits else str(len(row.seeds))),
                TableCell(duration(row.seconds)),
                *(speed_cells(row) if timed else []),
            ]
        )
    repeats = "Repeats" if data.over_splits else "Seeds"
    columns = [
        "Variant",
        *(["Family"] if families else []),
        label(metric),
        "95 % interval",
        "Δ to baseline",
        "p (Holm)",
        "Verdict",
        repeats,
        "Time a seed",
        *(SPEED_COLUMNS if timed else []),
    ]
    flush = {label(metric), "p (Holm)", repeats, "Time a seed", *SPEED_COLUMNS}
    numeric = frozenset(place for place, name in enumerate(columns) if name in flush)
    drawn = "" if data.baseline is None else "Where intervals are drawn, the dashed line is the baseline."
    return Table("leaderboard", _leaderboard_caption(data, rows), columns, printed, numeric, stacked=timed, drawn=drawn)


def _leaderboard_caption(data: RunData, rows: Sequence[Standing]) -> str:
    seeds = sorted({len(row.seeds) for row in rows if row.seeds})
    over, paired = plural(seeds[0], "seed") if len(seeds) == 1 else "seeds", "seed"
    if data.over_splits:
        over, paired = f"{plural(len(data.evaluated_splits), 'split')}, each the mean over {over},", "split and seed"
    part = test_parts(data, rows)
    text = f"Mean {label(data.metric)} over {over} on {part}, best first, with 95 % intervals."
    if data.baseline is not None:
        text += f" Δ: paired by {paired} against {printable(data.baseline)}, with its 95 % interval."
    said = [text]
    if any(row.comparisons for row in rows):
        said += [
            f"{WHAT_P_BETTER} {'another split' if data.over_splits else 'other test pictures'}.",
            what_was_tested(rows, [data.metric], measured(data).removed),
            "The verdict is p below .05, and nothing else.",
        ]
    said += remarks_of([row for row in rows if row.estimates], data.metric)
    said += [read_often(data), what_splits(data), conclusion(rows, data.baseline, data.metric, [data.metric])]
    said.append(column_told(data, rows))
    return " ".join(one for one in said if one) + data.caveat


def _bars(data: RunData, rows: Sequence[Standing]) -> dict[str, tuple[float, float, float, float]]:
    """Each variant's interval as shares of a scale common to all, with the baseline's mean."""
    found = {row.variant: row.estimates[data.metric] for row in rows if data.metric in row.estimates}
    found = {name: one for name, one in found.items() if math.isfinite(one.low)}
    if not found:
        return {}
    low, high = min(one.low for one in found.values()), max(one.high for one in found.values())
    room = (high - low) or 1.0
    baseline = found.get(data.baseline or "")

    def share(value: float) -> float:
        return 0.04 + 0.92 * (value - low) / room

    reference = share(baseline.mean) if baseline else -1.0
    return {name: (share(one.low), share(one.mean), share(one.high), reference) for name, one in found.items()}


def metrics_table(data: RunData, rows: Sequence[Standing], metrics: Sequence[str]) -> Table:
    """These metrics with their intervals."""
    printed = []
    for row in rows:
        cells = [TableCell(printable(row.variant))]
        for metric in metrics:
            found = row.estimates.get(metric)
            span = interval(found.low, found.high) if found else ""
            cells.append(TableCell(number(found.mean if found else None), span))
        printed.append(cells)
    which = "Every metric" if len(metrics) == len(data.metrics) else "Metrics"
    over = "test parts of all splits: mean over splits" if data.over_splits else "test part: mean over seeds"
    caption = f"{which} on the {over} and its 95 % interval.{data.caveat}"
    columns = ["Variant", *(label(name) for name in metrics)]
    return Table("leaderboard", caption, columns, printed, frozenset(range(1, len(columns))), stacked=True)


def effect_table(frame: pd.DataFrame) -> Table:
    """What was searched, and what came of it."""
    printed = []
    for _, row in frame.iterrows():
        choices = row["choices"]
        numeric = not isinstance(choices, str)
        tried = f"{setting(float(row['low']))} to {setting(float(row['high']))}" if numeric else printable(choices)
        printed.append(
            [
                TableCell(printable(row["variant"])),
                TableCell(printable(row["parameter"])),
                TableCell(tried),
                TableCell(setting(row["best"]) if row["best"] is not None else ""),
                TableCell(number(row["spearman"], 2, signed=True)),
                TableCell(count(row["completed"])),
            ]
        )
    caption = (
        "Hyperparameters that the search varied: what was tried, the best trial's value, and Spearman's rank "
        "correlation with the objective over completed trials."
    )
    columns = ["Variant", "Hyperparameter", "Tried", "Best trial", "Spearman ρ", "Trials"]
    return Table("hyperparameters", caption, columns, printed[:MOST_ROWS], frozenset({4, 5}))


def cost_table(frame: pd.DataFrame) -> Table:
    """Time and size by variant and stage, and energy where it was measured."""
    printed = []
    measured = bool(frame["energy"].notna().any())
    memory = "own_memory" if frame["own_memory"].notna().any() else "peak_memory"
    for _, row in frame.iterrows():
        low, high = row["parameters_min"], row["parameters_max"]
        size = number(None) if pd.isna(low) else count(low) if low == high else f"{count(low)} to {count(high)}"
        printed.append(
            [
                TableCell(printable(row["variant"])),
                TableCell(row["stage"]),
                TableCell(count(row["runs"])),
                TableCell(duration(row["seconds"])),
                TableCell(duration(row["seconds_median"])),
                TableCell(duration(row["gpu_seconds"]) if row["gpu_seconds"] else "0"),
                *(
                    [TableCell(watt_hours(None if pd.isna(row["energy"]) else float(row["energy"])))]
                    if measured
                    else []
                ),
                TableCell(size),
                TableCell(byte_size(None if pd.isna(row[memory]) else float(row[memory]))),
            ]
        )
    caption = (
        "Cost by variant and stage, failed and repeated runs included. Time is wall time; GPU time is time × GPUs held."
    )
    if frame["taken_over"].any():
        more = plural(int(frame["taken_over"].sum()), "more record")
        together = " or combine kept scores" if (frame["family"] == ENSEMBLE_FAMILY).any() else ""
        caption += f" Runs are trainings; {more} took one over{together}, and cost what judging them did."
    if memory == "own_memory":
        caption += (
            " Memory is the most that one training took: beyond what its worker held before, or reserved on a GPU."
        )
    else:
        caption += (
            " Memory is the most that a worker held, which many trainings used, or that torch allocated on a GPU."
        )
    if measured:
        caption += " Energy is what the GPU drew by NVML's counter, whatever else ran on it."
    energy = ["GPU energy"] if measured else []
    columns = ["Variant", "Stage", "Runs", "Time", "Median run", "GPU time", *energy, "Parameters", "Memory"]
    return Table("cost", caption, columns, printed, frozenset(range(2, len(columns))))


def failure_table(frame: pd.DataFrame) -> Table:
    """Each run that ended badly, and why."""
    shown = frame.head(MOST_ROWS)
    printed = [
        [
            TableCell(printable(row["variant"])),
            TableCell(row["stage"]),
            TableCell(str(row["trial"])),
            TableCell(str(row["seed"])),
            TableCell(row["status"], tone="bad"),
            TableCell(
                printable(row["reason"].strip().splitlines()[-1] if row["reason"].strip() else "no reason recorded")
            ),
        ]
        for _, row in shown.iterrows()
    ]
    cut = (
        f" The first {MOST_ROWS} of {len(frame)} are shown; all are in tables/failures.csv."
        if len(frame) > MOST_ROWS
        else ""
    )
    caption = f"Runs that failed, and searches without a winner, with the last line of the reason.{cut}"
    return Table(
        "failures", caption, ["Variant", "Stage", "Trial", "Seed", "Status", "Reason"], printed, frozenset({2, 3})
    )


def fact_table(frame: pd.DataFrame) -> Table:
    """What models came from."""
    printed = [
        [
            TableCell(printable(row["variant"])),
            TableCell(printable(row["fact"])),
            TableCell(printable(row["value"])),
            TableCell(count(row["records"])),
        ]
        for _, row in frame.head(MOST_ROWS).iterrows()
    ]
    caption = "What the models say of how they came to be, and how many records say so."
    return Table("facts", caption, ["Variant", "Fact", "Value", "Records"], printed, frozenset({3}))
