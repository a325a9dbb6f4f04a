"""The ranking of a run as a frame, as JSON and as text."""

import math
import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.formatting import (
    NONE,
    duration,
    interval,
    label,
    milliseconds,
    number,
    on_validation,
    printable,
)
from orchestrator.report.numbers.measured import Standing, standings
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.report.numbers.speeds import as_numbers, values_of


def leaderboard_frame(data: RunData, rows: Sequence[Standing]) -> pd.DataFrame:
    """Columns: family, variant, n_seeds, n_splits where there are several; each metric with its interval; then cost and
    the comparison."""
    table = []
    for row in rows:
        values: dict[str, Any] = {"family": row.family, "variant": row.variant, "n_seeds": len(row.seeds)}
        if data.over_splits:
            values["n_splits"] = row.splits
        for metric in data.metrics:
            found = row.estimates.get(metric)
            for suffix, value in (("", "mean"), ("_low", "low"), ("_high", "high")):
                values[metric + suffix] = getattr(found, value) if found else math.nan
        values |= {"seconds": row.seconds, "gpu_seconds": row.gpu_seconds, "parameters": row.parameters}
        values |= values_of(row.pace)
        comparison = row.comparisons.get(data.metric)
        difference = comparison.difference if comparison else None
        values |= {
            "difference": difference.mean if difference else math.nan,
            "difference_low": difference.low if difference else math.nan,
            "difference_high": difference.high if difference else math.nan,
            "p": comparison.p if comparison else None,
            "p_holm": comparison.p_corrected if comparison else None,
            "probability_better": comparison.probability if comparison else None,
            "outcome": outcome(data, row),
            "beyond_limits": row.beyond,
        }
        table.append(values)
    frame = pd.DataFrame(table)
    for column in ("seconds", "gpu_seconds", "p", "p_holm", "probability_better"):
        frame[column] = frame[column].astype("Float64")
    frame["parameters"] = frame["parameters"].astype("Int64")
    return as_numbers(frame)


def outcome(data: RunData, row: Standing) -> str:
    """What the comparison with the baseline says, in words."""
    if row.variant == data.baseline:
        return "baseline"
    comparison = row.comparisons.get(data.metric)
    if comparison is not None:
        return comparison.explanation
    if not row.seeds:
        return data.without_winner(row.variant) or "not evaluated"
    return "no baseline" if data.baseline is None else "baseline not evaluated"


def in_short(data: RunData, row: Standing) -> str:
    """That a variant is beyond the limits, or has no trial within them; else empty."""
    if row.beyond:
        return "beyond the limits"
    return "" if row.seeds or not data.without_winner(row.variant) else "no trial within the limits"


def leaderboard(run: RunFolder) -> pd.DataFrame:
    """The ranking of a run on its test part, best first; the columns of leaderboard.csv.

    A variant without a completed cell has n_seeds 0 and no numbers. Raises InputError where the run holds no record.
    """
    data = read_run(run)
    return leaderboard_frame(data, standings(data))


def leaderboard_json(data: RunData, standing: Sequence[Standing]) -> dict[str, Any]:
    """The ranking as plain JSON values, `standing` its rows, best first; what is not known is null."""
    frame = leaderboard_frame(data, standing)
    rows = [
        {
            key: None if pd.isna(value) else getattr(value, "item", lambda value=value: value)()
            for key, value in row.items()
        }
        for row in frame.to_dict(orient="records")
    ]
    objective = {"metric": data.metric, "mode": data.mode}
    return {"objective": objective, "baseline": data.baseline, "split": "test", "rows": rows}


def leaderboard_text(data: RunData, rows: Sequence[Standing]) -> str:
    """The ranking for a terminal: plain text, a line a variant. `rows`: best first."""
    if not any(row.seeds for row in rows):
        return _search_text(data)
    timed = any(row.pace for row in rows)
    header = [
        "",
        "variant",
        f"{label(data.metric)} (test)",
        "95 % interval",
        "Δ to baseline",
        "",
        "time a seed",
        *(["a picture"] if timed else []),
    ]
    lines = [header]
    for rank, row in enumerate(rows, start=1):
        found, comparison = row.estimates.get(data.metric), row.comparisons.get(data.metric)
        lines.append(
            [
                NONE if not found or row.beyond else str(rank),
                printable(row.variant),
                number(found.mean if found else None),
                interval(found.low, found.high) if found else "",
                number(comparison.difference.mean, signed=True) if comparison else "",
                in_short(data, row) or re.split("[:,]", outcome(data, row))[0],
                duration(row.seconds),
                *([milliseconds(row.pace.typical.latency_ms if row.pace else None)] if timed else []),
            ]
        )
    return _columns(lines)


def _search_text(data: RunData) -> str:
    """What there is before anything was evaluated on test."""
    lines = [["variant", "trials", f"best {on_validation(data.search_metric, axis=True)}"]]
    for variant, trials in data.search.items():
        if variant in data.ensembles:
            continue
        best = data.best_trial(variant)
        lines.append([printable(variant), str(len(trials)), number(best.metrics[data.search_metric] if best else None)])
    return "Nothing has been evaluated on the test part yet.\n" + _columns(lines)


def _columns(lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)
