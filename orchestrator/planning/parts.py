"""The lines of a plan: what each stage of a run takes, by what a trial, a cell and a picture take."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orchestrator.artifacts.cost_plan import NOTHING, PlannedPart, Range
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.placement import Placement
from orchestrator.families import family_row
from orchestrator.planning.costs import VariantCost
from orchestrator.planning.wanted import Line

PACE = 5.0
"""Seconds until a process has imported all that a worker needs, where no probe has told it."""
SPREAD = (0.5, 1.0, 2.0)
"""What a rule of thumb is worth: half of it to twice as much."""
RAY, REPORT, REPORT_A_VARIANT = 1.0, 0.4, 0.15
"""Ray's start, and a report with its figures, in starts of a process: a rule of thumb from three small runs."""
HOUR = 3600.0
ENDS = ("low", "likely", "high")
RECORD_BYTES, REPORT_BYTES, TEST_BYTES = 10_000, 8_000_000, 200
"""On the disk: a record, a report with its figures, and what is kept of a test picture's scores; rules of thumb."""
ENSEMBLE_SECONDS = 0.3
"""An ensemble's row: reading scores and checksums of its members, and judging their mean; a rule of thumb."""
DRAWN_SLOWLY = 16
"""Pictures below which drawing never gets its fast way ready."""


class Pictures(NamedTuple):
    """What is to be drawn at one size."""

    size: tuple[int, int]
    files: int
    missing: int
    """Of them that no store has yet."""
    hashing: float = 0.0
    """Seconds a file, in one process."""
    starting: float = 0.0
    drawing: float | None = None
    """Seconds a picture; None: not known."""
    stored: float = 0.0
    """Bytes a picture."""
    workers: int = 1


def render_part(sizes: Sequence[Pictures], pace: float) -> PlannedPart:
    """Drawing of what is missing at every size."""
    missing = sum(one.missing for one in sizes)
    names = ", ".join(f"{one.size[0]}x{one.size[1]}" for one in sizes)
    if any(one.drawing is None and one.missing for one in sizes):
        return PlannedPart(stage="render", units=missing, source="unknown", note="drawing was not probed in time")
    likely = cpu = 0.0
    for one in sizes:
        work = one.missing * (one.drawing or 0.0)
        likely += one.files * one.hashing
        if one.missing:
            likely += pace + one.starting * (one.missing > DRAWN_SLOWLY) + work / one.workers
            cpu += one.workers * one.starting * (one.missing > DRAWN_SLOWLY) + work
    there = sum(one.files for one in sizes) - missing
    return PlannedPart(
        stage="render",
        units=missing,
        at_once=max(one.workers for one in sizes),
        seconds=_spread(likely, 0.7, 1.5),
        cpu_hours=_spread(cpu / HOUR, 0.7, 1.5),
        disk=_spread(sum(one.missing * one.stored for one in sizes), 0.95, 1.1),
        source="probes",
        note=f"at {names}" + (f"; {there} pictures are there already" if there else ""),
    )


def start_part(pace: float) -> PlannedPart:
    """Ray's start."""
    return PlannedPart(stage="start", seconds=_rule(RAY * pace), note="Ray")


def report_part(pace: float, variants: int) -> PlannedPart:
    """The report's page and figures."""
    seconds = _rule((REPORT + REPORT_A_VARIANT * variants) * pace)
    return PlannedPart(stage="report", seconds=seconds, disk=_rule(REPORT_BYTES), note="page and figures")


def search_parts(
    lines: Sequence[Line],
    experiment: Experiment,
    costs: Mapping[str, VariantCost | str],
    places: Mapping[str, Placement],
    pace: float,
) -> list[PlannedPart]:
    """The searches, on each split that has its own; a cost that is a text says why it is not known."""
    splits = 1 if experiment.budget.searches == "first" else len(experiment.data.split.numbers)
    limit = None if experiment.budget.minutes is None else experiment.budget.minutes * 60
    walls: dict[str, Range] = {}
    for line in lines:
        cost = costs[line.variant]
        if not isinstance(cost, str):
            once = Range.of(0.0, cost.once, 2 * cost.once)
            wall = makespan(cost.trial, line.trials, places[line.variant].at_once)
            walls[line.variant] = wall.plus(_rule(pace)).plus(once)
    given = within(walls, limit)
    parts = []
    for line in lines:
        cost, place, units = costs[line.variant], places[line.variant], splits * line.trials
        common: dict[str, object] = {"stage": line.stage, "variant": line.name, "splits": splits, "units": units}
        common["at_once"] = place.at_once
        if isinstance(cost, str):
            ends = None if limit is None else Range.of(0.0, limit / len(lines), limit).times(splits)
            parts.append(_part(**common, seconds=ends, source="unknown", note=cost))
            continue
        wall = walls[line.variant]
        shares = [getattr(given[line.variant], end) / getattr(wall, end) for end in ENDS]
        cut = shares[1] < 1
        busy = cost.trial.times(units / HOUR)
        held = Range.of(*(getattr(busy, end) * share for end, share in zip(ENDS, shares, strict=True)))
        common |= {"units": math.floor(units * shares[1])} if cut else {}
        parts.append(
            _part(
                **common,
                seconds=given[line.variant].times(splits),
                cpu_hours=held.times(place.workers * place.cpus),
                gpu_hours=held.times(place.workers * place.gpus),
                memory=cost.memory,
                disk=_rule(units * RECORD_BYTES),
                source=cost.source,
                note=cost.note + (f"; budget.minutes ends it before {units} trials" if cut else ""),
            )
        )
    return parts


def cell_parts(
    lines: Sequence[Line],
    experiment: Experiment,
    costs: Mapping[str, VariantCost | str],
    places: Mapping[str, Placement],
    pace: float,
    tested: int,
) -> list[PlannedPart]:
    """The final trainings with every seed, on each split. `tested`: pictures of the test part."""
    splits, seeds = len(experiment.data.split.numbers), len(experiment.seeds)
    seeded = {one.name: family_row(one.family).family.seeded for one in experiment.families}
    parts = []
    for line in lines:
        cost, place, units = costs[line.variant], places[line.variant], splits * seeds
        trained = seeds if seeded[line.variant] else 1  # once for all
        common: dict[str, object] = {"stage": line.stage, "variant": line.name, "splits": splits, "units": units}
        common["at_once"] = place.at_once
        if isinstance(cost, str):
            parts.append(_part(**common, source="unknown", note=cost))
            continue
        # All variants' cells are one queue, whose workers start once.
        once = Range.of(0.0, cost.once * trained / place.at_once, 2 * cost.once * trained)
        wall = makespan(cost.cell, trained, place.at_once).plus(_rule(pace / len(lines))).plus(once)
        busy = cost.cell.times(splits * trained / HOUR)
        beside = _spread(tested * TEST_BYTES + RECORD_BYTES, 0.5, 2.0)
        parts.append(
            _part(
                **common,
                seconds=wall.times(splits),
                cpu_hours=busy.times(place.workers * place.cpus),
                gpu_hours=busy.times(place.workers * place.gpus),
                memory=cost.memory,
                disk=cost.kept.plus(beside).times(units),
                source=cost.source,
                note=cost.note,
            )
        )
    return parts


def ensemble_parts(experiment: Experiment, tested: int) -> list[PlannedPart]:
    """The ensembles, on each split: kept scores are read, and nothing is trained."""
    splits = len(experiment.data.split.numbers)
    parts = []
    for one in experiment.ensembles:
        units = splits * len(one.seeds(experiment.seeds))
        seconds = _rule(ENSEMBLE_SECONDS * units)
        parts.append(
            PlannedPart(
                stage="evaluation",
                variant=one.name,
                splits=splits,
                units=units,
                seconds=seconds,
                cpu_hours=seconds.times(1 / HOUR),
                disk=_rule(units * (tested * TEST_BYTES + RECORD_BYTES)),
                note="an ensemble, judged on kept scores",
            )
        )
    return parts


def makespan(each: Range, count: int, at_once: int) -> Range:
    """Wall time of so many equal pieces of work: at best with no worker idle, else in whole rounds."""
    rounds = math.ceil(count / at_once)
    return Range.of(each.low * max(1.0, count / at_once), each.likely * rounds, each.high * rounds)


def within(walls: Mapping[str, Range], limit: float | None) -> dict[str, Range]:
    """What each search has where all together have so many seconds: an equal share of what is left, or less if it
    needs less."""
    if limit is None:
        return dict(walls)
    ends: dict[str, list[float]] = {}
    for end in ENDS:
        left = limit
        for position, (name, wall) in enumerate(walls.items()):
            given = min(getattr(wall, end), left / (len(walls) - position))
            ends.setdefault(name, []).append(given)
            left -= given
    return {name: Range.of(*found) for name, found in ends.items()}


def _part(**values: object) -> PlannedPart:
    return PlannedPart.model_validate(values)


def _rule(seconds: float) -> Range:
    """A rule of thumb, with its spread."""
    return Range(low=SPREAD[0] * seconds, likely=seconds, high=SPREAD[2] * seconds) if seconds else NOTHING


def _spread(value: float, low: float, high: float) -> Range:
    return Range(low=low * value, likely=value, high=high * value)
