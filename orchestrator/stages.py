"""The two long stages of a run: searches and evaluation. Each leaves alone what is done."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from orchestrator.completing import complete
from orchestrator.experiment import Variant
from orchestrator.jobs import cell_of, job_of, origin, setting_of
from orchestrator.preparation import Context, Prepared
from orchestrator.records import read_records
from orchestrator.search.cells import standing, winners
from orchestrator.search.ledger import all_failed
from orchestrator.search.study import Study, run_study
from orchestrator.tally import Tally


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


def search(context: Context, prepared: Prepared, searches: Sequence[Search] | None = None) -> None:
    """One study after the other, unset: one a variant; each goes on from its records and its journal."""
    experiment, folder = context.experiment, context.folder
    if searches is None:
        searches = [Search(variant, experiment.budget.trials) for variant in experiment.families]
    started, minutes = time.monotonic(), experiment.budget.minutes
    every = list(read_records(folder.records))  # a study adds none of another's
    for position, one in enumerate(searches):
        variant, judging = one.variant, judged_by(context, one.strategy)
        records = [record for record in every if (record.stage, record.variant) == (one.stage, variant.name)]
        ended = [record for record in records if record.status != "timed-out"]
        left = one.trials - len(ended)
        if left <= 0:
            continue
        spent = time.monotonic() - started
        share = None if minutes is None else max(1.0, (minutes * 60 - spent) / (len(searches) - position))
        with context.reporter.line(f"{one.stage} {one.title or variant.name}", one.trials, "trials") as line:
            tally = Tally(judging, prepared, variant, ended, line)
            run_study(
                Study(
                    experiment=judging.experiment,
                    variant=variant,
                    journal=folder.journal(variant.name),
                    earlier=tuple(records),
                    trials=left,
                    concurrent=context.concurrent,
                    seconds=share,
                    scratch=folder.root / "scratch",
                    provenance=partial(origin, context, prepared),
                    on_record=tally.add,
                    say=context.reporter.say,
                    renew=context.engine.renew,
                    stage=one.stage,
                ),
                job_of(judging, prepared, variant.family, experiment.size_of(variant), experiment.epochs_of(variant)),
            )
        if folder.stop.exists():
            return
        if all_failed(tally.statuses):
            context.reporter.say(
                f"{variant.name}: its first {len(tally.statuses)} trials all failed, so its search ends here. The "
                "reasons stand in the report; mend the cause and start the run in another folder."
            )
        context.mirror.copy()


def judged_by(context: Context, strategy: str | None) -> Context:
    """The same with one threshold strategy to judge trials by; None: with all that the experiment compares."""
    if strategy is None:
        return context
    threshold = context.experiment.threshold.model_copy(update={"strategies": (strategy,), "search": False})
    experiment = context.experiment.model_copy(update={"threshold": threshold})
    return replace(context, experiment=experiment, goal=replace(context.goal, strategies=(strategy,)))


def evaluate(context: Context, prepared: Prepared) -> None:
    """Train the winner of every study with every seed, and score each on the test part."""
    experiment, goal = context.experiment, context.goal
    records = list(read_records(context.folder.records))
    chosen = winners(experiment, records, goal.metric, goal.mode)
    cells = []
    for variant in experiment.families:
        if variant.name not in chosen:
            context.reporter.say(f"{variant.name}: no trial gave a result, so there is nothing to evaluate.")
            continue
        setting = setting_of(experiment, variant, chosen[variant.name])
        cells += [cell_of(context, prepared, setting, variant.name, seed) for seed in experiment.seeds]
    here = {(variant, seed): key for (variant, seed), (key, _) in standing(experiment, records).items()}
    waiting = [cell for cell in cells if here.get((cell.variant, cell.seed)) != cell.key]
    complete(context, prepared, "evaluate", waiting, len(cells))
