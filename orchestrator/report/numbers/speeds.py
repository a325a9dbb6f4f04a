"""How fast the models of a variant are, over its seeds, and whether they keep to the experiment's limits."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import pandas as pd

from orchestrator.artifacts.records import TrialRecord
from trainables.speed import Limits, Speed

COLUMNS = ("latency_ms", "pictures_per_second", "best_batch", "memory_mb")
"""Of the ranking's CSV."""


@dataclass(frozen=True)
class Pace:
    """Of one variant's models: medians over those that were measured, each once."""

    typical: Speed
    """What of the medians is taken for the variant; its names are those of the first."""
    slowest_ms: float
    fastest_ms: float
    models: int
    devices: tuple[str, ...]
    threads: tuple[int, ...]
    beside: int | None
    """How many other trainings could run meanwhile, at most; None: that was not noted."""


def pace_of(cells: Sequence[TrialRecord]) -> Pace | None:
    """None where none was measured. What was taken over from another seed is no measurement of its own."""
    speeds = [one.speed for one in cells if one.speed is not None and one.trained]
    speeds = speeds or [one.speed for one in cells if one.speed is not None]
    if not speeds:
        return None
    rates = [one.pictures_per_second for one in speeds if one.pictures_per_second is not None]
    batches = sorted(one.best_batch for one in speeds if one.best_batch is not None)
    latencies = [one.latency_ms for one in speeds]
    beside = [one.beside for one in speeds if one.beside is not None]
    typical = speeds[0].model_copy(
        update={
            "latency_ms": median(latencies),
            "pictures_per_second": median(rates) if rates else None,
            "best_batch": batches[len(batches) // 2] if batches else None,
            "memory": round(median(one.memory for one in speeds)),
        }
    )
    return Pace(
        typical,
        max(latencies),
        min(latencies),
        len(speeds),
        tuple(dict.fromkeys(one.device for one in speeds)),
        tuple(dict.fromkeys(one.threads for one in speeds)),
        max(beside, default=None),
    )


def beyond(pace: Pace | None, limits: Limits) -> str:
    """By what a variant's models are beyond the limits, as a clause; empty where they keep them."""
    return limits.broken_by(None if pace is None else pace.typical)


def values_of(pace: Pace | None) -> dict[str, float | int | None]:
    """The columns, what is not known as None."""
    return {name: None if pace is None else getattr(pace.typical, name) for name in COLUMNS}


def as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with its columns of speed as numbers, also where none is known."""
    kinds = {name: "Int64" if name == "best_batch" else "Float64" for name in COLUMNS}
    return frame.astype(kinds)
