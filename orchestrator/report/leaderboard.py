"""Evaluated cells to a ranking: means with intervals, and differences to the baseline that were tested."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.records import TrialRecord
from orchestrator.report.formatting import NONE, duration, interval, label, number, on_validation, p_value, printable
from orchestrator.report.predictions import Draws, VariantScores, read_scores, resample
from orchestrator.report.run_data import RunData, read_run
from orchestrator.run_folder import RunFolder
from orchestrator.scoring.metric_table import METRICS, metric_mode
from orchestrator.scoring.statistics import Comparison, Estimate, compare, estimate


@dataclass(frozen=True)
class Standing:
    """One variant's row."""

    family: str
    variant: str
    seeds: tuple[int, ...]
    """Of the completed cells."""
    estimates: dict[str, Estimate]
    """By metric, on the test part."""
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    """By metric; empty for the baseline itself and where there is none."""
    seconds: float | None = None
    """Mean wall time of a cell."""
    gpu_seconds: float | None = None
    parameters: int | None = None
    pictures: int | None = None
    """How many test pictures the interval speaks of; None where their scores were not kept."""
    remark: str = ""


def standings(data: RunData) -> list[Standing]:
    """Every variant of the run, best first by the objective; those without a completed cell last."""
    scores: dict[str, tuple[VariantScores | None, str]] = {name: read_scores(data, name) for name in data.variants}
    draws: dict[str, Draws] = {}
    reasons = {name: reason for name, (_, reason) in scores.items()}
    for name, (kept, _) in scores.items():
        draws[name] = {}
        if kept is not None:
            draws[name], reasons[name] = resample(data, name, kept)
    comparisons: dict[str, dict[str, Comparison]] = {name: {} for name in data.variants}
    for metric in data.metrics:
        for name, comparison in _compare(data, metric, scores, draws).items():
            comparisons[name][metric] = comparison
    rows = []
    for name, family in data.variants.items():
        cells = data.completed[name]
        kept, _ = scores[name]
        estimates = {}
        for metric in data.metrics:
            values = [cell.metrics[metric] for cell in cells if metric in cell.metrics]
            resampled = known_draws(draws[name][metric].mean(axis=1)) if metric in draws[name] else None
            if values:
                estimates[metric] = estimate(values, resampled, metric_bounds(metric))
        rows.append(
            Standing(
                family,
                name,
                tuple(cell.seed for cell in cells),
                estimates,
                comparisons[name],
                _mean([cell.seconds for cell in cells]),
                _mean([cell.seconds * cell.gpus for cell in cells]),
                next((cell.parameters for cell in cells if cell.parameters is not None), None),
                None if kept is None or not draws[name] else len(kept.labels),
                reasons[name] if cells else "",
            )
        )
    sign = -1 if data.mode == "max" else 1

    def place(row: Standing) -> float:
        return sign * row.estimates[data.metric].mean if data.metric in row.estimates else math.inf

    return sorted(rows, key=place)


def metric_bounds(metric: str) -> tuple[float, float]:
    """What values a metric can take."""
    if metric == "log_loss":
        return 0.0, math.inf
    return (0.0, 1.0) if metric in METRICS else (-math.inf, math.inf)


def known_draws(resampled: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The draws (draws,) in which the metric is defined; None where those are too few for a spread."""
    known = resampled[np.isfinite(resampled)]
    return known if len(known) > 1 else None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _by_seed(cells: list[TrialRecord], metric: str) -> dict[int, float]:
    return {cell.seed: cell.metrics[metric] for cell in cells if metric in cell.metrics}


def _compare(
    data: RunData,
    metric: str,
    scores: dict[str, tuple[VariantScores | None, str]],
    draws: dict[str, Draws],
) -> dict[str, Comparison]:
    """Every other variant against the baseline by one metric; the correction counts those comparisons."""
    base = data.baseline
    baseline = _by_seed(data.completed.get(base or "", []), metric)
    if base is None or not baseline:
        return {}
    variants = {}
    for name, cells in data.completed.items():
        ours = _by_seed(cells, metric)
        if name == base or not ours:
            continue
        common = ours.keys() & baseline.keys()
        one, other = scores[name][0], scores[base][0]
        resampled = None
        if one and other and common and metric in draws[name] and metric in draws[base] and one.same_pictures(other):
            mine, theirs = (
                draws[which][metric][:, [kept.seeds.index(seed) for seed in sorted(common)]].mean(axis=1)
                for which, kept in ((name, one), (base, other))
            )
            resampled = known_draws(mine - theirs)
        variants[name] = (ours, resampled)
    return compare(variants, baseline, data.mode if metric == data.metric else metric_mode(metric))


def leaderboard_frame(data: RunData, rows: list[Standing]) -> pd.DataFrame:
    """Columns: family, variant, n_seeds; each metric with its interval; then cost and the comparison."""
    table = []
    for row in rows:
        values: dict[str, Any] = {"family": row.family, "variant": row.variant, "n_seeds": len(row.seeds)}
        for metric in data.metrics:
            found = row.estimates.get(metric)
            for suffix, value in (("", "mean"), ("_low", "low"), ("_high", "high")):
                values[metric + suffix] = getattr(found, value) if found else math.nan
        values |= {"seconds": row.seconds, "gpu_seconds": row.gpu_seconds, "parameters": row.parameters}
        comparison = row.comparisons.get(data.metric)
        difference = comparison.difference if comparison else None
        values |= {
            "difference": difference.mean if difference else math.nan,
            "difference_low": difference.low if difference else math.nan,
            "difference_high": difference.high if difference else math.nan,
            "p": comparison.p if comparison else None,
            "p_holm": comparison.p_corrected if comparison else None,
            "outcome": outcome(data, row),
        }
        table.append(values)
    frame = pd.DataFrame(table)
    for column in ("seconds", "gpu_seconds", "p", "p_holm"):
        frame[column] = frame[column].astype("Float64")
    frame["parameters"] = frame["parameters"].astype("Int64")
    return frame


def outcome(data: RunData, row: Standing) -> str:
    """What the comparison with the baseline says, in words."""
    if row.variant == data.baseline:
        return "baseline"
    comparison = row.comparisons.get(data.metric)
    if comparison is not None:
        return comparison.explanation
    if not row.seeds:
        return "not evaluated"
    return "no baseline" if data.baseline is None else "baseline not evaluated"


def leaderboard(run: RunFolder) -> pd.DataFrame:
    """The ranking of a run on its test part, best first; the columns of leaderboard.csv.

    A variant without a completed cell has n_seeds 0 and no numbers. Raises InputError where the run holds no record.
    """
    data = read_run(run)
    return leaderboard_frame(data, standings(data))


def leaderboard_json(run: RunFolder) -> dict[str, Any]:
    """The ranking as plain JSON values; what is not known is null."""
    data = read_run(run)
    frame = leaderboard_frame(data, standings(data))
    rows = [
        {
            key: None if pd.isna(value) else getattr(value, "item", lambda value=value: value)()
            for key, value in row.items()
        }
        for row in frame.to_dict(orient="records")
    ]
    objective = {"metric": data.metric, "mode": data.mode}
    return {"objective": objective, "baseline": data.baseline, "split": "test", "rows": rows}


def leaderboard_text(run: RunFolder) -> str:
    """The ranking for a terminal: plain text, a line a variant."""
    data = read_run(run)
    rows = standings(data)
    if not any(row.seeds for row in rows):
        return _search_text(data)
    header = [
        "",
        "variant",
        f"{label(data.metric)} (test)",
        "95 % interval",
        "Δ to baseline",
        "p (Holm)",
        "",
        "time a seed",
    ]
    lines = [header]
    for rank, row in enumerate(rows, start=1):
        found, comparison = row.estimates.get(data.metric), row.comparisons.get(data.metric)
        lines.append(
            [
                str(rank) if found else NONE,
                printable(row.variant),
                number(found.mean if found else None),
                interval(found.low, found.high) if found else "",
                number(comparison.difference.mean, signed=True) if comparison else "",
                p_value(comparison.p_corrected) if comparison else "",
                outcome(data, row).split(":")[0],
                duration(row.seconds),
            ]
        )
    return _columns(lines)


def _search_text(data: RunData) -> str:
    """What there is before anything was evaluated on test."""
    lines = [["variant", "trials", f"best {on_validation(data.search_metric, axis=True)}"]]
    for variant, trials in data.search.items():
        best = data.best_trial(variant)
        lines.append([printable(variant), str(len(trials)), number(best.metrics[data.search_metric] if best else None)])
    return "Nothing has been evaluated on the test part yet.\n" + _columns(lines)


def _columns(lines: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join(padded)
