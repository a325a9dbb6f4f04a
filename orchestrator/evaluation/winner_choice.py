"""`objective.winner: beats_default`: the default configuration is kept unless a search has beaten it beyond chance."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.choices import Choice
from orchestrator.artifacts.records import TrialRecord, best_record
from orchestrator.evaluation.draws_of_trials import draws_of_trials
from orchestrator.experiment.goal import Goal
from orchestrator.scoring.comparisons import SIGNIFICANCE
from orchestrator.scoring.evidence import Scale
from orchestrator.scoring.leads import Lead, largest_lead
from orchestrator.search.default_trial import DEFAULT_TRIAL
from trainables.interface import Samples


def choose(
    trials: Sequence[TrialRecord], scores: Mapping[int, NDArray[np.float64]], samples: Samples, goal: Goal
) -> Choice:
    """The default configuration's trial, or the best one where its lead is more than chance explains.

    `trials`: those of one search, one a number; `scores`: their validation scores by number, of the validation
    `samples`. Where no test can be made, the default stays, unless it has no figure itself. A trial that is beyond
    `objective.constraints` counts as one without a figure. ValueError where no trial has one.
    """
    keeping = [one for one in trials if goal.limits.kept_by(one.speed)]
    best = best_record(keeping, goal.metric, goal.mode)
    if best is None:
        raise ValueError(f"no trial has {goal.metric}")
    # By number, so that of equal trials the first is the best here as in `best_record`.
    reported = sorted((one for one in keeping if goal.metric in one.metrics), key=lambda one: one.trial)
    default = next((one for one in reported if one.trial == DEFAULT_TRIAL), None)
    # As `best_record` has it: the completed ones, where there are any.
    ranked = [one for one in reported if one.status == best.status or one.status == "completed"]
    if default is None:
        lead, first = None, next((one for one in trials if one.trial == DEFAULT_TRIAL), None)
        why = f"the default has no figure: {'not run' if first is None else first.status}"
        if first is not None and goal.metric in first.metrics:
            why = f"the default is beyond objective.constraints: {goal.limits.broken_by(first.speed)}"
    else:
        lead = _lead(default, best, ranked, scores, samples, goal)
        why = lead.why
    beaten = lead is None or (lead.p is not None and lead.p < SIGNIFICANCE)
    return Choice(
        metric=goal.metric,
        default=DEFAULT_TRIAL,
        best=best.trial,
        chosen=best.trial if beaten else DEFAULT_TRIAL,
        compared=sum(one.trial != DEFAULT_TRIAL for one in ranked),
        sources=len(set(samples.groups)) if samples.groups else len(samples),
        lead=None if lead is None else lead.value,
        error=None if lead is None else lead.error,
        p=None if lead is None else lead.p,
        why=why,
    )


def _lead(
    default: TrialRecord,
    best: TrialRecord,
    ranked: Sequence[TrialRecord],
    scores: Mapping[int, NDArray[np.float64]],
    samples: Samples,
    goal: Goal,
) -> Lead:
    """The best trial's lead over the default one."""
    sign = 1 if goal.mode == "max" else -1
    plain = sign * (best.metrics[goal.metric] - default.metrics[goal.metric])
    if best.trial == default.trial:
        return Lead(0.0, why="no trial has a better figure")
    if default.status != "completed":
        return Lead(plain, why=f"the default did not train to its end: {default.status}")
    lost = [one.trial for one in ranked if len(scores.get(one.trial, ())) != len(samples)]
    if lost:
        return Lead(plain, why=f"the validation scores of trial {lost[0]} are not there")
    resampled = draws_of_trials(ranked, [scores[one.trial] for one in ranked], samples, goal.metric, goal.own)
    if resampled is None:
        return Lead(plain, why=f"{goal.metric} can't be drawn again")
    figures = np.array([one.metrics[goal.metric] for one in ranked])
    picture = Scale.of(goal.metric, (-np.inf, np.inf), samples.labels).picture
    return largest_lead(figures, resampled, ranked.index(default), sign, picture)
