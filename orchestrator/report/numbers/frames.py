"""A run's records as data frames: every number of the report in full, one CSV a frame."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from orchestrator.artifacts.endings import ENDED_WELL
from orchestrator.artifacts.records import TrialRecord, nearest_beyond
from orchestrator.report.numbers.measured import Standing, trained
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.speeds import COLUMNS, values_of


def comparison_frame(data: RunData, rows: list[Standing]) -> pd.DataFrame:
    """Every metric of every variant of the run against its baseline."""
    return comparison_rows(rows, data.baseline)


def comparison_rows(rows: Sequence[Standing], baseline: str | None) -> pd.DataFrame:
    """Every metric of every row against the baseline; Holm's correction is within a metric, over all of the run."""
    columns = [
        "variant", "baseline", "metric", "paired_seeds", "paired_splits", "difference", "difference_low",
        "difference_high", "probability_better", "p", "p_holm", "comparisons", "outcome", "explanation",
    ]  # fmt: skip
    table = [
        [
            row.variant, baseline, metric, found.difference.seeds, found.difference.splits or 1,
            found.difference.mean, found.difference.low, found.difference.high, found.probability, found.p,
            found.p_corrected, found.comparisons, found.outcome, found.explanation,
        ]
        for row in rows
        for metric, found in row.comparisons.items()
    ]  # fmt: skip
    return pd.DataFrame(table, columns=columns)


def cell_frame(data: RunData) -> pd.DataFrame:
    """A row an evaluated cell: variant × seed, with its test metrics."""
    return pd.DataFrame(
        [
            {
                "family": record.family,
                "variant": record.variant,
                **_of_split(data, one),
                "seed": record.seed,
                "trial": record.trial,
                "status": record.status,
                "epoch": record.epoch,
                **record.metrics,
                "seconds": record.seconds,
                "gpu_seconds": record.gpu_seconds,
                "parameters": record.parameters,
                "energy": record.energy,
                "peak_memory": record.peak_memory,
                "own_memory": record.own_memory,
                **_speed(record),
                "reason": record.reason,
            }
            for one in data.every_split
            for records in one.evaluation.values()
            for record in records
        ],
        columns=None if any(data.evaluation.values()) else ["family", "variant", "seed", "trial", "status"],
    )


def trial_frame(data: RunData) -> pd.DataFrame:
    """A row a trial of the search: its validation metrics, its configuration, how it ended."""
    rows: list[dict[str, Any]] = [
        {
            "family": record.family,
            "variant": record.variant,
            **_of_split(data, one),
            "trial": record.trial,
            "seed": record.seed,
            "status": record.status,
            "epochs": len(record.history),
            "epoch": record.epoch,
            **record.metrics,
            "seconds": record.seconds,
            **({**_speed(record), "beyond_limits": data.limits.broken_by(record.speed)} if data.limits.given else {}),
            **{f"config.{key}": value for key, value in flat(record.config).items()},
            "reason": record.reason,
        }
        for one in data.every_split
        for records in one.search.values()
        for record in records
    ]
    frame = pd.DataFrame(rows) if rows else pd.DataFrame(columns=["family", "variant", "trial", "status"])
    config = [column for column in frame.columns if column.startswith("config.")]
    return frame[[column for column in frame.columns if column not in config] + config]


def curve_frame(data: RunData) -> pd.DataFrame:
    """A row an epoch of every trial and cell: losses and validation metrics."""
    histories = [
        {"stage": record.stage, "variant": record.variant, "trial": record.trial, "seed": record.seed, **row}
        for groups in (data.search, data.evaluation)
        for records in groups.values()
        for record in records
        for row in record.history
    ]
    return (
        pd.DataFrame(histories) if histories else pd.DataFrame(columns=["stage", "variant", "trial", "seed", "epoch"])
    )


def class_frame(data: RunData) -> pd.DataFrame:
    """A row a variant and class: precision, recall and F1 as means over seeds, and their spread (n − 1)."""
    columns = ["variant", "class", "support", "seeds"]
    columns += [name + suffix for name in ("precision", "recall", "f1") for suffix in ("", "_sd")]
    table = []
    for variant, records in data.completed.items():
        with_classes = [record for record in records if record.per_class]
        for name in with_classes[0].per_class if with_classes else ():
            scores = [record.per_class[name] for record in with_classes if name in record.per_class]
            row: list[Any] = [variant, name, scores[0].support, len(scores)]
            for attribute in ("precision", "recall", "f1"):
                values = np.array([getattr(score, attribute) for score in scores])
                row += [float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else np.nan]
            table.append(row)
    return pd.DataFrame(table, columns=columns)


def confusion_counts(data: RunData, variant: str) -> tuple[list[str], NDArray[np.int64], int] | None:
    """Class names, counts (C, C) summed over seeds, and how many seeds; None where nothing was kept."""
    kept = [record for record in data.completed[variant] if record.confusion and record.per_class]
    if not kept:
        return None
    names = list(kept[0].per_class)
    same = [record for record in kept if list(record.per_class) == names and len(record.confusion) == len(names)]
    if not same:
        return None
    return names, np.sum([np.array(record.confusion, dtype=np.int64) for record in same], axis=0), len(same)


def confusion_frame(data: RunData) -> pd.DataFrame:
    """A row a variant, true class and predicted class: the count over seeds, and its share of the true class."""
    rows = []
    for variant in data.completed:
        found = confusion_counts(data, variant)
        if found is None:
            continue
        names, counts, seeds = found
        totals = counts.sum(axis=1)
        rows += [
            [
                variant,
                true,
                predicted,
                int(counts[i, j]),
                float(counts[i, j] / totals[i]) if totals[i] else np.nan,
                seeds,
            ]
            for i, true in enumerate(names)
            for j, predicted in enumerate(names)
        ]
    return pd.DataFrame(rows, columns=["variant", "true", "predicted", "count", "share_of_true", "seeds"])


def cost_frame(data: RunData) -> pd.DataFrame:
    """A row a variant and stage: how many trainings, how many records took one over, their time, and the largest model
    and memory.

    Cells of an ablation stand under the names of its variants, where they are known.
    """
    rows = []
    # Every record costs, those too that were run again.
    groups: dict[tuple[str, str], list[TrialRecord]] = {
        (variant, stage): [] for variant in data.variants for stage in ("search", "evaluation")
    }
    for record in data.all_records:
        groups.setdefault((record.variant, record.stage), []).append(record)
    plans = [one.ablation for one in data.every_split if one.ablation]
    names = {one.folder: one.name for plan in plans for one in plan.variants}
    for (variant, stage), records in groups.items():
        if records:
            parameters = [one.parameters for one in records if one.parameters is not None]
            energy = [one.energy for one in records if one.energy is not None]
            memory = [one.own_memory for one in records if one.own_memory is not None]
            whole = [one.peak_memory for one in records if one.peak_memory is not None]
            rows.append(
                {
                    "family": records[0].family,
                    "variant": names.get(variant, variant) if stage == "ablation" else variant,
                    "stage": stage,
                    "runs": sum(one.trained for one in records),
                    "taken_over": sum(not one.trained for one in records),
                    "seconds": sum(one.seconds for one in records),
                    "seconds_median": float(np.median([one.seconds for one in trained(records)])),
                    "gpu_seconds": sum(one.gpu_seconds for one in records),
                    "parameters_min": min(parameters, default=None),
                    "parameters_max": max(parameters, default=None),
                    "energy": sum(energy) if energy else None,
                    "own_memory": max(memory, default=None),
                    "peak_memory": max(whole, default=None),
                }
            )
    frame = pd.DataFrame(rows)
    frame["energy"] = frame["energy"].astype("Float64")
    for column in ("parameters_min", "parameters_max", "own_memory", "peak_memory"):
        frame[column] = frame[column].astype("Int64")
    return frame


def _speed(record: TrialRecord) -> dict[str, Any]:
    return {name: None if record.speed is None else getattr(record.speed, name) for name in COLUMNS}


def speed_frame(rows: Sequence[Standing]) -> pd.DataFrame:
    """A row a variant whose models were timed: medians over these, their range, and where that was."""
    return pd.DataFrame(
        [
            {
                "variant": row.variant,
                **values_of(row.pace),
                "latency_ms_min": row.pace.fastest_ms,
                "latency_ms_max": row.pace.slowest_ms,
                "models": row.pace.models,
                "threads": " | ".join(map(str, row.pace.threads)),
                "device": " | ".join(row.pace.devices),
                "beside": row.pace.beside,
                "beyond_limits": row.beyond,
            }
            for row in rows
            if row.pace is not None
        ]
    )


BEYOND = "beyond limits"
"""The status of a search of which no trial keeps the limits; no record has it."""


def failure_frame(data: RunData) -> pd.DataFrame:
    """A row a record that neither completed nor was pruned, in the order in which they ended; then one a search of
    which no trial keeps the limits."""
    rows: list[dict[str, Any]] = [
        {
            "variant": one.variant,
            **_of_split(data, each),
            "stage": one.stage,
            "trial": one.trial,
            "seed": one.seed,
            "status": one.status,
            "seconds": one.seconds,
            "reason": one.reason,
        }
        for each in data.every_split
        for one in each.records
        if one.status not in ENDED_WELL
    ]
    rows += [
        {
            "variant": variant,
            **_of_split(data, each),
            "stage": nearest.stage,
            "trial": nearest.trial,
            "seed": nearest.seed,
            "status": BEYOND,
            "seconds": nearest.seconds,
            "reason": each.without_winner(variant),
        }
        for each in data.every_split
        for variant, trials in each.search.items()
        if (nearest := nearest_beyond(trials, data.search_metric, data.limits)) is not None
    ]
    columns = ["variant", "stage", "trial", "seed", "status", "seconds", "reason"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def _of_split(data: RunData, one: RunData) -> dict[str, int]:
    """A column for the split, where there are several."""
    return {"split": one.split_number} if data.others else {}


def fact_frame(data: RunData) -> pd.DataFrame:
    """A row a variant, fact and value, with how many records say so."""
    counts: dict[tuple[str, str, str], int] = {}
    for record in data.all_records:
        for name, value in record.facts.items():
            key = (record.variant, name, value)
            counts[key] = counts.get(key, 0) + 1
    return pd.DataFrame(
        [[*key, number] for key, number in counts.items()], columns=["variant", "fact", "value", "records"]
    )


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A configuration with nested keys joined by dots; lists stay one value, as text."""
    pairs: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            pairs |= flat(value, f"{name}.")
        else:
            pairs[name] = str(value) if isinstance(value, list | tuple) else value
    return pairs
