"""The account of a selection: what the winner promised on validation, what came of it on test, and what it cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.endings import Status
from orchestrator.artifacts.records import TrialRecord, best_record
from orchestrator.report.document.formatting import words
from orchestrator.report.numbers.run_data import RunData
from orchestrator.report.numbers.run_files import section

STATUSES: tuple[Status, ...] = get_args(Status)
COLUMNS = [
    "variant", "metric", "winner", "validation", "validation_retrained", "test", "drop", "seeds", "trials_asked",
    "trials_ended", *(f"trials_{status}" for status in STATUSES), "trial_seconds", "trial_seed", "cross_fitted",
    "lead_over_default", "lead_error", "lead_p", "default_kept",
]  # fmt: skip
"""Of the table's CSV."""


@dataclass(frozen=True)
class Selection:
    """What one search chose."""

    variant: str
    """As tables print it: a row of an ablation has its own name."""
    winner: TrialRecord | None
    """The trial that was evaluated, else the best so far; None where none gave a figure, or its record is gone."""
    validation: float | None
    """The winner's, in the metric of the search: the best of all trials, so that it flatters."""
    retrained: float | None
    """The same configuration trained again with the final seeds: the mean of what these models had on validation, at
    the epoch that validation chose."""
    test: float | None
    """The mean of the same models on the test part."""
    drop: float | None
    """How much worse test is than the winner's validation figure; below 0 where it is better."""
    seeds: int
    """How many final models there are."""
    asked: int | None
    """Trials; None where the experiment does not say."""
    ended: Mapping[Status, int]
    """Trials by how they ended; of one that was run again, how it ended last."""
    seconds: float
    """Of all trials together, repeated ones too, as if one had run after the other."""
    choice: Choice | None = None
    """Where the best trial had to beat the default configuration, what came of it; None: it had not, or nothing tells.
    """

    @property
    def trials(self) -> int:
        """How many trials ended."""
        return sum(self.ended.values())


def selections(data: RunData) -> list[Selection]:
    """One a variant that was searched, in the experiment's order, then one a row of an ablation with a search of its
    own."""
    asked = section(data.experiment, "budget").get("trials")
    asked = asked if isinstance(asked, int) and not isinstance(asked, bool) else None
    found = [
        _selection(data, variant, variant, _of(data, "search", variant), data.completed[variant], asked)
        for variant, trials in data.search.items()
        if trials
    ]
    return [*found, *_tuned(data)]


def _tuned(data: RunData) -> list[Selection]:
    plan = data.ablation
    if plan is None or plan.tuned is None:
        return []
    studies: dict[str, list[TrialRecord]] = {}
    for record in data.counted:
        if record.stage == "tuning":
            studies.setdefault(record.variant, []).append(record)
    best = {name: _winner(data, name, {one.trial: one for one in trials}) for name, trials in studies.items()}
    found = []
    for row in plan.variants[1:]:
        for name, winner in best.items():
            if winner is not None and (winner.config, winner.strategy) == (row.config, row.strategy):
                found.append(_selection(data, row.name, name, studies[name], data.ablated[row.name], plan.tuned))
                break
    return found


def _of(data: RunData, stage: str, variant: str) -> list[TrialRecord]:
    return [record for record in data.counted if (record.stage, record.variant) == (stage, variant)]


def _winner(data: RunData, study: str, trials: Mapping[int, TrialRecord]) -> TrialRecord | None:
    """The trial that was chosen, so far as that is known; else the best."""
    choice = data.choices.get(study)
    chosen = None if choice is None else trials.get(choice.chosen)
    return chosen or best_record(trials.values(), data.search_metric, data.search_mode, data.limits)


def _selection(
    data: RunData,
    variant: str,
    study: str,
    records: Sequence[TrialRecord],
    cells: Sequence[TrialRecord],
    asked: int | None,
) -> Selection:
    metric = data.search_metric
    trials = {record.trial: record for record in records}
    done = [cell for cell in cells if cell.status == "completed"]
    winner = trials.get(done[0].trial) if done else _winner(data, study, trials)
    ended = Counter(record.status for record in trials.values())
    validation = None if winner is None else winner.metrics.get(metric)
    test = _mean([cell.metrics.get(metric) for cell in done])
    sign = 1 if data.search_mode == "max" else -1
    return Selection(
        variant=variant,
        winner=winner,
        validation=validation,
        retrained=_mean([_at_its_epoch(cell, metric) for cell in done]),
        test=test,
        drop=None if validation is None or test is None else sign * (validation - test),
        seeds=len(done),
        asked=asked,
        ended=ended,
        seconds=sum(record.seconds for record in records),
        choice=data.choices.get(study),
    )


def _at_its_epoch(cell: TrialRecord, metric: str) -> float | None:
    return next((row.get(metric) for row in cell.history if row.get("epoch") == cell.epoch), None)


def _mean(values: Sequence[float | None]) -> float | None:
    """None where one is not known: the mean of the others would be of other models."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def selection_frame(data: RunData, found: Sequence[Selection]) -> pd.DataFrame:
    """A row a selection, every number in full."""
    return pd.DataFrame(
        [
            {
                "variant": one.variant,
                "metric": data.search_metric,
                "winner": None if one.winner is None else one.winner.trial,
                "validation": one.validation,
                "validation_retrained": one.retrained,
                "test": one.test,
                "drop": one.drop,
                "seeds": one.seeds,
                "trials_asked": one.asked,
                "trials_ended": one.trials,
                **{f"trials_{status}": one.ended.get(status, 0) for status in STATUSES},
                "trial_seconds": one.seconds,
                "trial_seed": None if one.winner is None else one.winner.seed,
                "cross_fitted": data.cross_fitted if data.thresholded else None,
                "lead_over_default": None if one.choice is None else one.choice.lead,
                "lead_error": None if one.choice is None else one.choice.error,
                "lead_p": None if one.choice is None else one.choice.p,
                "default_kept": None if one.choice is None else one.choice.default_stayed,
            }
            for one in found
        ],
        columns=COLUMNS,
    )


def how_seeded(data: RunData) -> str:
    """Which seed trials trained with, as a clause."""
    seeds, final = data.trial_seeds, set(data.seeds)
    named = f"seed{'' if len(seeds) == 1 else 's'} {words([str(seed) for seed in seeds])}"
    if final.isdisjoint(seeds):
        return f"trained with {named}, which no final training has"
    return (
        f"trained with {named}, which final trainings have too, as an earlier version began this run: the winner may "
        "be the configuration that suits this seed"
    )


def how_judged(data: RunData, folds: int | None) -> str:
    """How figures at a threshold were judged by which trials were chosen, as a clause with a comma before it; empty
    where trials were chosen by another figure. `folds`: by which strategies were compared, where that is known."""
    if not data.thresholded:
        return ""
    if data.cross_fitted:
        return f", cross-fitted: each score at a threshold that is fitted without its fold, one of {data.cross_fitted}"
    why = (
        "since validation holds too few known anomalies to fit to some and judge by others"
        if folds == 0
        else "as an earlier version began this run"
    )
    return f", at a threshold that is fitted to the very scores it judges, which flatters, {why}"
