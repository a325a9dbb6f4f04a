"""The stages of an ablation: its configurations are found, then just the cells are run that no record has."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from orchestrator.artifacts.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.artifacts.records import TrialRecord, best_record, beyond_limits, read_records
from orchestrator.evaluation.cells import Cell, setting_of, standing
from orchestrator.experiment.ablation_rows import (
    AskedAblation,
    Change,
    changed,
    given_baseline,
    rows,
    tuned_variant,
    values,
)
from orchestrator.experiment.sections import Variant
from orchestrator.experiment.settings import Setting, digest
from orchestrator.stages.context import Context, Prepared
from orchestrator.stages.finish_cells import finish_cells
from orchestrator.stages.handed_to_workers import cell_of
from orchestrator.stages.search import Search, search
from orchestrator.stages.winner import winner_of
from trainables.errors import InputError

Row = tuple[Change, Setting | None]
"""A row and its setting; None where no trial of its tuning gave a result."""


def plan(context: Context, prepared: Prepared, asked: AskedAblation) -> list[Row]:
    """Search what is to be searched, and give the rows with their settings, the baseline first.

    No rows where the baseline's search gave no result, and where the run is asked to stop before all are known.
    """
    folder, variant = context.folder, asked.variant
    base = given_baseline(asked, context.goal.strategies)
    if base is None:
        search(context, prepared, [Search(variant, context.experiment.budget.trials)])
        found = _winner(context, prepared, "search", variant)
        if found is None:
            if not folder.stop.exists():
                why = _without_winner(context, "search", variant.name)
                context.reporter.say(f"{variant.name}: {why}, so there is nothing to ablate.")
            return []
        base = setting_of(context.experiment, variant, found)
        base = replace(base, trials=_trials(context, "search", variant.name))
    changes = rows(asked.ablation, variant.family, values(base))
    _say_left_out(context, asked, changes)
    start: Row = (Change(asked.name, {}, {}), base)
    if asked.ablation.tune is None:
        found_rows = [start, *((one, changed(base, one.changes, one.family)) for one in changes)]
    else:
        found_rows = [start, *_tuned(context, prepared, asked, changes, asked.ablation.tune)]
    return [] if folder.stop.exists() else found_rows


def ablate(context: Context, prepared: Prepared, asked: AskedAblation, found: Sequence[Row]) -> None:
    """Write the plan, and run what is missing of its cells: every row with every seed."""
    if not found:
        return
    experiment, seeds = context.experiment, context.experiment.seeds
    cells = [
        [
            _cell(context, prepared, asked, setting, place, seed)
            for place, (_, setting) in enumerate(found)
            if setting is not None
        ]
        for seed in seeds
    ]
    by_row = iter(cells[0])
    variants = tuple(
        _fruitless(context, asked, change) if setting is None else _row(change, setting, next(by_row))
        for change, setting in found
    )
    AblationPlan(
        baseline=asked.variant.name,
        design=asked.ablation.design,
        factors=asked.ablation.factors,
        tuned=asked.ablation.tune,
        seeds=seeds,
        variants=variants,
        removed=_removed(context, variants),
    ).save(context.folder.ablation)
    every = [cell for of_seed in cells for cell in of_seed]
    records = read_records(context.folder.records)
    # A record from before cells were named is taken over: tables find a row's cells by that name.
    done = {(key, seed) for (_, seed), (key, one) in standing(experiment, records).items() if one.cell}
    waiting = [cell for cell in every if (cell.key, cell.seed) not in done]
    context.reporter.say(
        f"{context.title}ablation: {len(cells[0])} variants x {len(seeds)} seeds = {len(every)} cells, "
        f"{len(every) - len(waiting)} of them done"
    )
    finish_cells(context, prepared, "ablate", waiting, len(every))


def _tuned(
    context: Context, prepared: Prepared, asked: AskedAblation, changes: Sequence[Change], trials: int
) -> list[Row]:
    """Each row with the best of a search of its own, the ablation's keys fixed."""
    searches = [
        Search(tuned_variant(asked, change), trials, "tuning", change.held.get("threshold"), change.name)
        for change in changes
    ]
    search(context, prepared, searches)
    found: list[Row] = []
    for change, one in zip(changes, searches, strict=True):
        best = _winner(context, prepared, "tuning", one.variant)
        if best is None:
            context.reporter.say(f"{change.name}: {_without_winner(context, 'tuning', one.variant.name)}.")
            found.append((change, None))
            continue
        setting = setting_of(context.experiment, one.variant, best)
        found.append((change, replace(setting, trials=_trials(context, "tuning", one.variant.name))))
    return found


def _cell(context: Context, prepared: Prepared, asked: AskedAblation, setting: Setting, place: int, seed: int) -> Cell:
    """A row's cell, in the folder that it has where no evaluation has it."""
    variant = asked.variant
    if place == 0 and asked.ablation.config is None:
        return cell_of(context, prepared, setting, variant=variant.name, seed=seed)  # what a sweep evaluates, too
    cell = cell_of(context, prepared, setting, variant="", seed=seed, stage="ablation")
    return replace(cell, variant=f"{variant.name}~{cell.key[:8]}")


def _removed(context: Context, variants: Sequence[AblatedVariant]) -> tuple[AblatedVariant, ...]:
    """What the run's ablation compared before and compares no more, each named otherwise than all that it has now."""
    path = context.folder.ablation
    if not path.exists():
        return ()
    try:
        before = AblationPlan.load(path)
    except InputError as error:
        context.reporter.say(f"{error} Which variants it had compared is not known, so p is not corrected for them.")
        return ()
    cells, names = {one.cell for one in variants}, {one.name for one in variants}
    gone = []
    for one in (*before.removed, *before.variants[1:]):
        if one.cell not in cells:
            cells.add(one.cell)
            number = next(k for k in itertools.count(1) if f"{one.name} (removed {k})" not in names)
            name = one.name if one.name not in names else f"{one.name} (removed {number})"
            names.add(name)
            gone.append(one.model_copy(update={"name": name}))
    return tuple(gone)


def _row(change: Change, setting: Setting, cell: Cell) -> AblatedVariant:
    return AblatedVariant(
        name=change.name,
        changes=change.changes,
        family=setting.family,
        config=setting.config,
        strategy=setting.strategy,
        cell=cell.key,
        folder=cell.variant,
        trials=setting.trials,
    )


def _fruitless(context: Context, asked: AskedAblation, change: Change) -> AblatedVariant:
    """A row without a configuration: no record has its cell."""
    tuned = tuned_variant(asked, change)
    return AblatedVariant(
        name=change.name,
        changes=change.changes,
        family=tuned.family,
        config=tuned.fixed,
        strategy=change.held.get("threshold"),
        cell=digest(tuned.name),
        folder=tuned.name,
        trials=_trials(context, "tuning", tuned.name),
    )


def _winner(context: Context, prepared: Prepared, stage: str, variant: Variant) -> TrialRecord | None:
    records = _of(context, stage, variant.name)
    best = best_record(records, context.goal.metric, context.goal.mode, context.goal.limits)
    if best is None or context.folder.stop.exists():
        return best  # nothing comes of it until all trials have run
    return winner_of(context, prepared, variant, records, best)


def _without_winner(context: Context, stage: str, variant: str) -> str:
    """Why a study has none, as a clause."""
    goal, records = context.goal, _of(context, stage, variant)
    noun = "no trial of its tuning" if stage == "tuning" else "no trial"
    return beyond_limits(records, goal.metric, goal.limits) or f"{noun} gave a result"


def _trials(context: Context, stage: str, variant: str) -> int:
    return len({record.trial for record in _of(context, stage, variant)})


def _of(context: Context, stage: str, variant: str) -> list[TrialRecord]:
    records = read_records(context.winners_in.records)
    return [record for record in records if (record.stage, record.variant) == (stage, variant)]


def _say_left_out(context: Context, asked: AskedAblation, changes: Sequence[Change]) -> None:
    kept = {change.name for change in changes}
    for row in asked.ablation.variants:
        if row.name not in kept:
            context.reporter.say(f"{row.name}: the same as the baseline or a row before it, so it is left out.")
