"""What each stage of a run took, by its records and by what it noted, beside what was planned."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from orchestrator.artifacts.cost_plan import CostPlan, PlannedPart
from orchestrator.artifacts.records import TrialRecord
from orchestrator.artifacts.spent import read_spent
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.run_files import section

Key = tuple[str, str]
"""Stage and variant, as in a plan."""
HOUR = 3600.0
QUEUES = {"evaluation": "evaluate", "ablation": "ablate"}
"""Stages whose variants run beside each other, and what the run notes of the whole stage."""


@dataclass(frozen=True)
class Actual:
    """Of one stage and variant; None: not known."""

    units: int = 0
    """Records."""
    seconds: float | None = None
    """Wall time."""
    cpu_hours: float | None = None
    gpu_hours: float | None = None
    memory: int | None = None
    """Bytes."""
    disk: int | None = None
    """Bytes."""


def actual_costs(data: RunData) -> dict[Key, Actual]:
    """By stage and variant, of all the run's splits. What noted its end counts with all that it waited for; of what
    was killed at work its records tell."""
    spent = read_spent(data.run.spent)
    held = section(data.experiment, "resources").get("cpus", 1)
    cpus = float(held) if isinstance(held, int | float) else 1.0
    parts = () if data.planned is None else data.planned.parts
    at_once: dict[Key, int] = {(part.stage, part.variant): part.at_once for part in parts}
    found: dict[Key, Actual] = {}
    of_stage: dict[str, dict[str, list[TrialRecord]]] = {}
    plans = [one.ablation for one in data.every_split if one.ablation]
    rows = {one.folder: one.name for plan in plans for one in plan.variants}
    folders = {name: folder for folder, name in rows.items()}
    for one in data.all_records:
        name = rows.get(one.variant, one.variant) if one.stage == "ablation" else one.variant
        of_stage.setdefault(one.stage, {}).setdefault(name, []).append(one)
    for stage, variants in of_stage.items():
        walls = shared_walls({name: [_interval(one) for one in records] for name, records in variants.items()})
        for name, records in variants.items():
            # Records are dated to the second, which makes many short pieces look like one.
            least = sum(one.seconds for one in records) / at_once.get((stage, name), len(records))
            walls[name] = max(walls[name], least, spent.get(f"{stage} {name}", 0.0))
        whole = spent.get(QUEUES.get(stage, ""), 0.0)
        factor = max(1.0, whole / max(1e-9, sum(walls.values())))
        for name, records in variants.items():
            memory = [one.peak_memory for one in records if one.peak_memory is not None]
            folder = folders.get(name, name) if stage == "ablation" else name
            models = [one.run.models / folder for one in data.every_split] if stage in QUEUES else []
            found[stage, name] = Actual(
                units=len(records),
                seconds=walls[name] * factor,
                cpu_hours=sum(one.seconds for one in records) * cpus / HOUR,
                gpu_hours=sum(one.gpu_seconds for one in records) / HOUR,
                memory=max(memory, default=None),
                disk=_bytes(models) if stage in QUEUES else None,
            )
    for stage in ("start", "render", "report"):
        drawn = _bytes([data.run.stores]) if stage == "render" and data.run.stores.is_dir() else None
        found[stage, ""] = Actual(seconds=spent.get(stage), disk=drawn)
    return found


def shared_walls(intervals: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, float]:
    """The seconds in which each was at work; those in which several were are shared out among them evenly.

    `intervals`: of each, when its pieces began and ended.
    """
    moments = sorted({moment for pieces in intervals.values() for piece in pieces for moment in piece})
    places = {moment: place for place, moment in enumerate(moments)}
    changes: dict[str, list[int]] = {}
    for name, pieces in intervals.items():
        steps = [0] * (len(moments) + 1)
        for begun, ended in pieces:
            steps[places[begun]] += 1
            steps[places[ended]] -= 1
        changes[name] = steps
    walls, running = dict.fromkeys(intervals, 0.0), dict.fromkeys(intervals, 0)
    for place in range(len(moments) - 1):
        for name, steps in changes.items():
            running[name] += steps[place]
        active = [name for name, count in running.items() if count]
        for name in active:
            walls[name] += (moments[place + 1] - moments[place]) / len(active)
    return walls


def plan_frame(plan: CostPlan, actual: Mapping[Key, Actual]) -> pd.DataFrame:
    """A row a line of the plan: what was planned, its range, and what it took."""
    rows = []
    for part in plan.parts:
        took = actual.get((part.stage, part.variant), Actual())
        row: dict[str, object] = {"stage": part.stage, "variant": part.variant, "source": part.source}
        row |= {"planned_count": part.units, "count": took.units}
        for name in ("seconds", "cpu_hours", "gpu_hours", "memory", "disk"):
            expected = getattr(part, name)
            ends = ("low", "likely", "high")
            row |= {f"planned_{name}_{end}": None if expected is None else getattr(expected, end) for end in ends}
            row[name] = getattr(took, name)
        rows.append(row)
    return pd.DataFrame(rows)


def unplanned(parts: Iterable[PlannedPart], actual: Mapping[Key, Actual]) -> list[Key]:
    """What the run did that no line of the plan has."""
    planned = {(part.stage, part.variant) for part in parts}
    return sorted(key for key, took in actual.items() if key not in planned and took.units)


def _interval(record: TrialRecord) -> tuple[float, float]:
    ended = datetime.fromisoformat(record.provenance.finished).timestamp()
    return ended - record.seconds, ended


def _bytes(folders: Iterable[Path]) -> int:
    """What the files in these folders take."""
    total = 0
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                total += path.lstat().st_size if path.is_file() else 0
            except OSError:  # gone meanwhile
                continue
    return total
