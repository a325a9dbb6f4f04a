"""Evaluated cells to a ranking: means with intervals, and differences to the baseline that were tested."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.report.document.formatting import (
    NONE,
    duration,
    interval,
    label,
    number,
    on_validation,
    printable,
)
from orchestrator.report.numbers.predictions import Draws, VariantScores, read_scores, resample
from orchestrator.report.numbers.run_data import RunData, read_run
from orchestrator.report.numbers.verdicts import PicturesTest, compared_on_pictures, corrected, verdict
from orchestrator.scoring.statistics import Comparison, Estimate, compare, estimate


@dataclass(frozen=True)
class Lineup:
    """Named sets of cells that are measured alike."""

    cells: Mapping[str, Sequence[TrialRecord]]
    """By name, the completed cells by seed."""
    families: Mapping[str, str]
    """By the same names."""
    baseline: str | None
    """The name that the others are compared with."""
    metrics: Sequence[str]


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
    """By metric; empty for the baseline itself and where there is none. Of the objective, the outcome is the verdict of
    all tests (see `verdicts`)."""
    pictures_test: PicturesTest | None = None
    """On the same test pictures as the baseline; None for the baseline itself and where there is none."""
    seconds: float | None = None
    """Mean wall time of a cell."""
    gpu_seconds: float | None = None
    parameters: int | None = None
    pictures: int | None = None
    """How many test pictures the interval speaks of; None where their scores were not kept."""
    remark: str = ""


def evaluated(data: RunData) -> Lineup:
    """What a run evaluated: every variant's completed cells."""
    return Lineup(data.completed, data.variants, data.baseline, data.metrics)


def standings(data: RunData) -> list[Standing]:
    """Every variant of the run, best first by the objective; those without a completed cell last."""
    sign = -1 if data.mode == "max" else 1

    def place(row: Standing) -> float:
        return sign * row.estimates[data.metric].mean if data.metric in row.estimates else math.inf

    return sorted(measure(data, evaluated(data)), key=place)


@dataclass(frozen=True)
class Drawn:
    """One name's cells with what the bootstrap gives."""

    cells: Sequence[TrialRecord]
    kept: VariantScores | None
    draws: Draws
    reason: str
    """What is wrong with the scores."""


def drawn(data: RunData, cells: Sequence[TrialRecord]) -> Drawn:
    kept, reason = read_scores(data, cells)
    if kept is None:
        return Drawn(cells, None, {}, reason)
    return Drawn(cells, kept, *resample(data, cells, kept))


def measure(data: RunData, lineup: Lineup) -> list[Standing]:
    """A row for each name of the line-up, in its order: estimates, and comparisons with its baseline."""
    baseline = drawn(data, lineup.cells.get(lineup.baseline or "", ()))
    rows: list[Standing] = []
    pairs: dict[str, dict[str, tuple[dict[int, float], NDArray[np.float64] | None]]] = {
        metric: {} for metric in lineup.metrics
    }
    tests: dict[str, PicturesTest] = {}
    # Only the baseline's draws are kept: those of many variants would fill the memory.
    for name, cells in lineup.cells.items():
        ours = baseline if name == lineup.baseline else drawn(data, cells)
        estimates = {}
        for metric in lineup.metrics:
            by_seed = metric_by_seed(cells, metric)
            resampled = known_draws(ours.draws[metric].mean(axis=1)) if metric in ours.draws else None
            if by_seed:
                estimates[metric] = estimate(list(by_seed.values()), resampled, data.bounds_of(metric))
                if name != lineup.baseline:
                    pairs[metric][name] = by_seed, difference_draws(ours, baseline, metric)
        if name != lineup.baseline and cells and baseline.cells:
            tests[name] = _pictures_test(data, ours, baseline)
        rows.append(
            Standing(
                lineup.families[name],
                name,
                tuple(cell.seed for cell in cells),
                estimates,
                {},
                None,
                _mean([cell.seconds for cell in cells]),
                _mean([cell.seconds * cell.gpus for cell in cells]),
                next((cell.parameters for cell in cells if cell.parameters is not None), None),
                None if ours.kept is None or not ours.draws else len(ours.kept.labels),
                ours.reason if cells else "",
            )
        )
    found: dict[str, dict[str, Comparison]] = {name: {} for name in lineup.cells}
    for metric, variants in pairs.items():
        base = metric_by_seed(baseline.cells, metric)
        for name, comparison in (compare(variants, base, data.mode_of(metric)) if base else {}).items():
            found[name][metric] = comparison
    tests = corrected(tests)
    for name, comparisons in found.items():
        if data.metric in comparisons:
            comparisons[data.metric] = verdict(comparisons[data.metric], tests.get(name), data.metric, data.task)
    return [replace(row, comparisons=found[row.variant], pictures_test=tests.get(row.variant)) for row in rows]


def _pictures_test(data: RunData, ours: Drawn, baseline: Drawn) -> PicturesTest:
    if ours.kept is None:
        return PicturesTest(reason=ours.reason)
    if baseline.kept is None:
        return PicturesTest(reason=f"of the baseline, {baseline.reason}")
    return compared_on_pictures(data.task, ours.kept, baseline.kept)


def difference_draws(ours: Drawn, baseline: Drawn, metric: str) -> NDArray[np.float64] | None:
    """(draws,): the metric's paired difference, averaged over the seeds in common, on each resampled test set."""
    common = sorted(metric_by_seed(ours.cells, metric).keys() & metric_by_seed(baseline.cells, metric).keys())
    if not common or ours.kept is None or baseline.kept is None or not ours.kept.same_pictures(baseline.kept):
        return None
    if metric not in ours.draws or metric not in baseline.draws:
        return None
    mine, theirs = (
        one.draws[metric][:, [seeds.index(seed) for seed in common]].mean(axis=1)
        for one, seeds in ((ours, ours.kept.seeds), (baseline, baseline.kept.seeds))
    )
    return known_draws(mine - theirs)


def known_draws(resampled: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """The draws (draws,) in which the metric is defined; None where those are too few for a spread."""
    known = resampled[np.isfinite(resampled)]
    return known if len(known) > 1 else None


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def metric_by_seed(cells: Sequence[TrialRecord], metric: str) -> dict[int, float]:
    return {cell.seed: cell.metrics[metric] for cell in cells if metric in cell.metrics}


def leaderboard_frame(data: RunData, rows: Sequence[Standing]) -> pd.DataFrame:
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
    header = [
        "",
        "variant",
        f"{label(data.metric)} (test)",
        "95 % interval",
        "Δ to baseline",
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
