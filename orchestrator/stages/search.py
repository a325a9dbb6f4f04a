"""The search stage of a run: one study after the other, each going on from its records and its journal."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from orchestrator.artifacts.endings import RUN_AGAIN, all_failed
from orchestrator.artifacts.records import read_records
from orchestrator.artifacts.spent import spending
from orchestrator.experiment.experiment import Experiment
from orchestrator.experiment.sections import Variant
from orchestrator.search.run_study import run_study
from orchestrator.search.study import Study
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.ended_trials import EndedTrials
from orchestrator.stages.frozen_features import compute_frozen_features
from orchestrator.stages.handed_to_workers import job_of, origin

IN_SAMPLE = (
    "Validation holds too few known anomalies to fit a threshold to some and judge it by others: trials are judged at "
    "thresholds that are fitted to the very scores they are judged by, which flatters them."
)


@dataclass(frozen=True)
class Search:
    """One study that a run asks for."""

    variant: Variant
    trials: int
    stage: Literal["search", "tuning"] = "search"
    strategy: str | None = None
    """Detection: the one threshold strategy that is judged by; None: those of the experiment."""
    title: str = ""
    """What it is called while it runs; empty: by the variant's name."""


def search(context: Context, prepared: Prepared, searches: Sequence[Search] | None = None) -> list[str]:
    """Run the searches; unset: one a variant. What an earlier call has done is not done again.

    A split that is given another one's winners has none. Returns what to say of those that `budget.minutes` ended
    before any trial had a result; it was said aloud, too.
    """
    if context.searched is not None:
        return []
    experiment, folder = context.experiment, context.folder
    forecast = context.forecast if searches is None else None  # an ablation has other cells than a sweep
    if searches is None:
        searches = [Search(variant, experiment.budget.trials) for variant in experiment.families]
    if context.goal.thresholded and context.rules.cross_fitted and not context.cross_fitted(prepared):
        context.reporter.say(IN_SAMPLE)
    started, minutes = time.monotonic(), experiment.budget.minutes
    too_short: list[str] = []
    every = list(read_records(folder.records))  # a study adds none of another's
    for position, one in enumerate(searches):
        variant, judging = one.variant, judged_by(context, one.strategy)
        placement = context.placements[variant.family]
        records = [record for record in every if (record.stage, record.variant) == (one.stage, variant.name)]
        ended = [record for record in records if record.status not in RUN_AGAIN]
        left = one.trials - len(ended)
        if left <= 0:
            continue
        job = job_of(judging, prepared, variant.family, experiment.size_of(variant), experiment.epochs_of(variant))
        with spending(folder.spent, f"{one.stage} {variant.name}"):
            compute_frozen_features(context, variant, job, context.rules.trial_seed)
        if folder.stop.exists():
            return too_short
        spent = time.monotonic() - started
        share = None if minutes is None else max(1.0, (minutes * 60 - spent) / (len(searches) - position))
        begun = time.monotonic()
        title = f"{context.title}{one.stage} {one.title or variant.name}"
        with (
            spending(folder.spent, f"{one.stage} {variant.name}"),
            context.reporter.line(title, one.trials, "trials", at_once=placement.at_once, seconds=share) as line,
        ):
            trials = EndedTrials(judging, prepared, variant, ended, line, forecast, one.stage)
            first_epoch = run_study(
                Study(
                    experiment=judging.experiment,
                    variant=variant,
                    training_seed=context.rules.trial_seed,
                    journal=folder.journal(variant.name),
                    earlier=tuple(records),
                    trials=left,
                    placement=placement,
                    offered=context.offered,
                    now=context.now if context.engine.remote else None,
                    waits=line.waits,
                    seconds=share,
                    scratch=folder.root / "scratch",
                    provenance=partial(origin, context, prepared, variant.family),
                    on_record=trials.write,
                    on_epoch=trials.hear,
                    say=context.reporter.say,
                    at_work=trials.at_work,
                    renew=context.renew,
                    stage=one.stage,
                ),
                job,
            )
        if folder.stop.exists():
            return too_short
        took = time.monotonic() - begun
        if share is not None and took >= share and "completed" not in trials.statuses:
            too_short.append(_too_short(judging.experiment, variant, share, took, first_epoch))
            context.reporter.say(too_short[-1])
        if all_failed(trials.statuses):
            context.reporter.say(
                f"{variant.name}: its first {len(trials.statuses)} trials all failed, so its search ends here. The "
                "reasons stand in the report; mend the cause and start the run in another folder."
            )
        context.mirror.copy()
    return too_short


def _too_short(experiment: Experiment, variant: Variant, given: float, took: float, first_epoch: float | None) -> str:
    """That a search's share of `budget.minutes` was too short, and what is known of how long it should be.

    `given`, `took`, `first_epoch`: the seconds of its share, until it had ended, and until a first epoch was over.
    """
    epochs = experiment.epochs_of(variant)
    if first_epoch is None:
        known = f"when it was ended, after {_time(took)}, not even one epoch was over; a trial has up to {epochs}"
    else:
        known = f"its first epoch was over after {_time(first_epoch)}, and a trial has up to {epochs}"
    return (
        f"{variant.name}: budget.minutes ({experiment.budget.minutes:g}) was too short. Its search had {_time(given)} "
        f"of it, in which workers start, too, and no trial was finished: {known}. Raise budget.minutes, or leave it "
        "out, and go on with the same command and --resume."
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def judged_by(context: Context, strategy: str | None) -> Context:
    """The same with one threshold strategy to judge trials by; None: with all that the experiment compares."""
    if strategy is None:
        return context
    threshold = context.experiment.threshold.model_copy(update={"strategies": (strategy,), "search": False})
    experiment = context.experiment.model_copy(update={"threshold": threshold})
    goal = replace(context.goal, strategies=(strategy,))
    return replace(context, settled=replace(context.settled, experiment=experiment, goal=goal))
