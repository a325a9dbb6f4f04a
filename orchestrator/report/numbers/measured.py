"""Evaluated cells to rows: means with intervals, and differences to a baseline with their verdicts."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypedDict

import numpy as np

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.numbers.over_splits import evidence_over_splits, tested_labels
from orchestrator.report.numbers.predictions import VariantScores, read_scores, resample
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.same_pictures import PicturesTest, compared_on_pictures, holm_corrected
from orchestrator.report.numbers.speeds import Pace, beyond, pace_of
from orchestrator.report.numbers.standing_cells import metrics_of_cells
from orchestrator.scoring.bootstrap import Draws
from orchestrator.scoring.comparisons import Comparison, corrected, paired
from orchestrator.scoring.evidence import Evidence, Scale
from orchestrator.scoring.intervals import Estimate, estimate
from orchestrator.scoring.repeated_splits import SplitEvidence, estimate_over_splits, paired_over_splits


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
    """By metric; empty for the baseline itself and where there is none."""
    pictures_test: PicturesTest | None = None
    """Of these very models on the same test pictures as the baseline's; None for the baseline itself and where there is
    none. No verdict rests on it."""
    seconds: float | None = None
    """Mean wall time of a cell."""
    gpu_seconds: float | None = None
    parameters: int | None = None
    pictures: int | None = None
    """How many test pictures the interval speaks of; None where their scores were not kept."""
    sources: int | None = None
    """How many source pictures these come from; as many as pictures where each is its own."""
    remark: str = ""
    splits: int = 0
    """How many repeated splits the figures are over; 0: they are of one."""
    pace: Pace | None = None
    """How fast its models are; None: that was not measured."""
    beyond: str = ""
    """By what its models are beyond `objective.constraints`, as a clause: then it never counts as the winner."""


@dataclass(frozen=True)
class Measured:
    """Every row of a run, with all that was ever compared on its test part corrected together."""

    evaluated: list[Standing]
    """What the sweep evaluated, in the order of the experiment."""
    ablated: list[Standing]
    """The ablation's variants, in the order of its plan."""
    removed: int
    """How many variants an earlier ablation of the run compared that this one leaves out: they count as tests."""


def evaluated(data: RunData) -> Lineup:
    """What a run evaluated: every variant's completed cells."""
    return Lineup(data.completed, data.variants, data.baseline, data.metrics)


def ablated(data: RunData) -> Lineup:
    """The ablation's variants with their completed cells, the first the baseline; empty where there is no ablation."""
    plan = data.ablation
    if plan is None:
        return Lineup({}, {}, None, [])
    return _ablation_lineup(data, [variant.name for variant in plan.variants])


def _ablation_lineup(data: RunData, names: Sequence[str]) -> Lineup:
    assert data.ablation is not None
    found = data.ablated | data.taken_out
    cells = {name: [one for one in found[name] if one.status == "completed" and one.metrics] for name in names}
    metrics = metrics_of_cells(data.metric, (one for records in cells.values() for one in records))
    families = {one.name: one.family for one in (*data.ablation.variants, *data.ablation.removed)}
    return Lineup(cells, families, data.ablation.variants[0].name, metrics)


def _all_ablated(data: RunData) -> Lineup:
    """The same with the variants that only earlier ablations of the run had."""
    plan = data.ablation
    return (
        ablated(data) if plan is None else _ablation_lineup(data, [one.name for one in (*plan.variants, *plan.removed)])
    )


@lru_cache(maxsize=2)
def measured(data: RunData) -> Measured:
    """Every row of the run, measured once, over its splits where there are several.

    Within a metric Holm's correction runs over all differences that were ever tested on the run's test part: those of
    the leaderboard, of the ablation, and of its variants that were taken out since, whichever table shows them.
    """
    plan = data.ablation
    gone = [one.name for one in plan.removed] if plan is not None else []
    if data.over_splits:
        drafts = [over_splits(data, evaluated), over_splits(data, _all_ablated)]
    else:
        drafts = [_measure(data, evaluated(data)), _measure(data, _all_ablated(data))]
    together: dict[str, dict[str, Comparison]] = {}
    for place, rows in enumerate(drafts):
        for row in rows:
            for metric, one in row.comparisons.items():
                together.setdefault(metric, {})[f"{place} {row.variant}"] = one
    found = {metric: corrected(several, data.mode_of(metric)) for metric, several in together.items()}
    first, second = (
        [
            replace(row, comparisons={metric: found[metric][f"{place} {row.variant}"] for metric in row.comparisons})
            for row in rows
        ]
        for place, rows in enumerate(drafts)
    )
    tested = sum(row.variant in gone and bool(row.comparisons) for row in second)
    return Measured(first, [row for row in second if row.variant not in gone], tested)


def standings(data: RunData) -> list[Standing]:
    """Every variant that the run evaluated, as `by_merit` has them."""
    return by_merit(data, measured(data).evaluated)


def by_merit(data: RunData, rows: Sequence[Standing]) -> list[Standing]:
    """Best first by the objective; then likewise those that are beyond the limits, those without a figure last."""
    sign = -1 if data.mode == "max" else 1

    def place(row: Standing) -> tuple[bool, bool, float]:
        found = row.estimates.get(data.metric)
        return found is None, bool(row.beyond), math.inf if found is None else sign * found.mean

    return sorted(rows, key=place)


class _Paced(TypedDict):
    pace: Pace | None
    beyond: str


def _paced(data: RunData, cells: Sequence[TrialRecord]) -> _Paced:
    pace = pace_of(cells)
    return _Paced(pace=pace, beyond=beyond(pace, data.limits) if cells else "")


@dataclass(frozen=True)
class Drawn:
    """One name's cells with what the bootstrap gives."""

    cells: Sequence[TrialRecord]
    kept: VariantScores | None
    draws: Draws
    """Columns in the order of the kept seeds."""
    reason: str
    """What is wrong with the scores."""


def drawn(data: RunData, cells: Sequence[TrialRecord]) -> Drawn:
    kept, reason = read_scores(data, cells)
    if kept is None:
        return Drawn(cells, None, {}, reason)
    return Drawn(cells, kept, *resample(data, cells, kept))


def evidence(data: RunData, ours: Drawn, metric: str) -> Evidence | None:
    """What is known of one metric; None where no cell has it."""
    by_seed = {cell.seed: cell.metrics[metric] for cell in ours.cells if metric in cell.metrics}
    if not by_seed:
        return None
    found = ours.draws.get(metric)
    if ours.kept is None or found is None:
        return Evidence(by_seed, None, Scale.of(metric, data.bounds_of(metric), None))
    places = [ours.kept.seeds.index(seed) for seed in by_seed]
    return Evidence(by_seed, found.of_seeds(places), Scale.of(metric, data.bounds_of(metric), ours.kept.labels))


def compared(data: RunData, ours: Drawn, baseline: Drawn, metric: str) -> Comparison | None:
    """The difference by one metric, not corrected yet; None where the baseline or the variant does not have it."""
    mine, theirs = evidence(data, ours, metric), evidence(data, baseline, metric)
    if mine is None or theirs is None:
        return None
    if ours.kept is None or baseline.kept is None or not ours.kept.same_pictures(baseline.kept):
        mine = replace(mine, resampled=None)
    return paired(mine, theirs, data.mode_of(metric))


def _measure(data: RunData, lineup: Lineup) -> list[Standing]:
    """A row for each name of the line-up, in its order: estimates, and differences to its baseline, not corrected."""
    baseline = drawn(data, lineup.cells.get(lineup.baseline or "", ()))
    rows: list[Standing] = []
    tests: dict[str, PicturesTest] = {}
    # Only the baseline's draws are kept: those of many variants would fill the memory.
    for name, cells in lineup.cells.items():
        ours = baseline if name == lineup.baseline else drawn(data, cells)
        known = {metric: one for metric in lineup.metrics if (one := evidence(data, ours, metric)) is not None}
        pairs = {} if name == lineup.baseline else {one: compared(data, ours, baseline, one) for one in known}
        if name != lineup.baseline and cells and baseline.cells:
            tests[name] = _pictures_test(data, ours, baseline)
        kept = ours.kept if ours.draws else None
        rows.append(
            Standing(
                lineup.families[name],
                name,
                tuple(cell.seed for cell in cells),
                {metric: estimate(one) for metric, one in known.items()},
                {metric: one for metric, one in pairs.items() if one is not None},
                None,
                *_takes(data, name, cells),
                next((cell.parameters for cell in cells if cell.parameters is not None), None),
                None if kept is None else len(kept.labels),
                None if kept is None else len(np.unique(kept.groups)),
                ours.reason if cells else "",
                **_paced(data, cells),
            )
        )
    after = holm_corrected(tests)
    return [replace(row, pictures_test=after.get(row.variant)) for row in rows]


def _pictures_test(data: RunData, ours: Drawn, baseline: Drawn) -> PicturesTest:
    if ours.kept is None:
        return PicturesTest(reason=ours.reason)
    if baseline.kept is None:
        return PicturesTest(reason=f"of the baseline, {baseline.reason}")
    return compared_on_pictures(data.task, ours.kept, baseline.kept)


def over_splits(data: RunData, lineup_of: Callable[[RunData], Lineup]) -> list[Standing]:
    """A row for each name that a line-up has on any split, measured over all splits on which it was evaluated."""
    lineups = {one.split_number: lineup_of(one) for one in data.evaluated_splits}
    every = list(lineups.values())
    names = list(dict.fromkeys(name for lineup in every for name in lineup.cells))
    metrics = list(dict.fromkeys(metric for lineup in every for metric in lineup.metrics))
    baseline = next((lineup.baseline for lineup in every if lineup.baseline), None)
    families = {name: family for lineup in reversed(every) for name, family in lineup.families.items()}
    labels = tested_labels(data)

    def known(name: str, metric: str) -> SplitEvidence | None:
        cells = {number: lineup.cells.get(name, ()) for number, lineup in lineups.items()}
        return evidence_over_splits(data, cells, metric)

    base = {metric: known(baseline, metric) for metric in metrics} if baseline is not None else {}
    rows = []
    for name in names:
        cells = [cell for lineup in every for cell in lineup.cells.get(name, ())]
        own = {metric: one for metric in metrics if (one := known(name, metric)) is not None}
        pairs = {} if name == baseline else {metric: (one, base.get(metric)) for metric, one in own.items()}
        rows.append(
            Standing(
                families[name],
                name,
                tuple(sorted({cell.seed for cell in cells})),
                {metric: _of_all(data, estimate_over_splits(one)) for metric, one in own.items()},
                {
                    metric: paired_over_splits(ours, theirs, data.mode_of(metric))
                    for metric, (ours, theirs) in pairs.items()
                    if theirs is not None
                },
                None,
                *_takes(data, name, cells),
                next((cell.parameters for cell in cells if cell.parameters is not None), None),
                None if labels is None else len(labels),
                splits=sum(bool(lineup.cells.get(name)) for lineup in every),
                **_paced(data, cells),
            )
        )
    return rows


def _of_all(data: RunData, found: Estimate) -> Estimate:
    """The estimate, with a remark where some of the splits are missing."""
    missing = f"evaluated on {found.splits} of {data.wanted_splits} splits"
    remarks = [*([found.remark] if found.remark else []), *([missing] if found.splits < data.wanted_splits else [])]
    return replace(found, remark="; ".join(remarks))


def trained(cells: Sequence[TrialRecord]) -> Sequence[TrialRecord]:
    """Those that tell what a training takes: what was taken over took next to nothing. All where no other is there."""
    return [cell for cell in cells if cell.trained] or cells


def _takes(data: RunData, name: str, cells: Sequence[TrialRecord]) -> tuple[float | None, float | None]:
    """Mean wall and GPU seconds of a cell; of an ensemble's, those of all that was trained for its members."""
    whole = data.ensembles.get(name)
    if whole is None or not cells:
        own = trained(cells)
        return _mean([cell.seconds for cell in own]), _mean([cell.gpu_seconds for cell in own])
    seconds = gpu_seconds = 0.0
    for variant in whole.get("of") or []:
        parts = [trained(one.completed[variant]) for one in data.every_split if one.completed.get(variant)]
        every = [cell for part in parts for cell in part]
        if not every:
            return None, None
        times = len(every) / len(parts) if whole.get("over") == "seeds" else 1.0
        seconds += times * float(np.mean([cell.seconds for cell in every]))
        gpu_seconds += times * float(np.mean([cell.gpu_seconds for cell in every]))
    return seconds, gpu_seconds


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
