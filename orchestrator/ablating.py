"""The stages of an ablation: its configurations are found, then just the cells are run that no record has."""

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.ablation_plan import AblatedVariant, AblationPlan
from orchestrator.completing import complete
from orchestrator.jobs import cell_of, setting_of
from orchestrator.preparation import Context, Prepared
from orchestrator.records import TrialRecord, best_record, read_records
from orchestrator.search.ablation import (
    Change,
    baseline_variant,
    changed,
    given_baseline,
    rows,
    tuned_variant,
    values,
)
from orchestrator.search.cells import Cell, Setting, digest, standing
from orchestrator.stages import Search, search

Row = tuple[Change, Setting | None]
"""A row and its setting; None where no trial of its tuning gave a result."""


def plan(context: Context, prepared: Prepared) -> list[Row]:
    """Search what is to be searched, and give the rows with their settings, the baseline first.

    No rows where the baseline's search gave no result, and where the run is asked to stop before all are known.
    """
    experiment, folder = context.experiment, context.folder
    ablation, variant = experiment.ablation, baseline_variant(experiment)
    assert ablation is not None
    base = given_baseline(experiment, context.goal.strategies)
    if base is None:
        search(context, prepared, [Search(variant, experiment.budget.trials)])
        found = _best(context, "search", variant.name)
        if found is None:
            if not folder.stop.exists():
                context.reporter.say(f"{variant.name}: no trial gave a result, so there is nothing to ablate.")
            return []
        base = replace(setting_of(experiment, variant, found), trials=_trials(context, "search", variant.name))
    changes = rows(ablation, variant.family, values(base))
    _say_left_out(context, changes)
    start: Row = (Change(ablation.baseline_label or variant.name, {}, {}), base)
    if ablation.tune is None:
        found_rows = [start, *((one, changed(base, one.changes, one.family)) for one in changes)]
    else:
        found_rows = [start, *_tuned(context, prepared, changes, ablation.tune)]
    return [] if folder.stop.exists() else found_rows


def ablate(context: Context, prepared: Prepared, found: Sequence[Row]) -> None:
    """Write the plan, and run what is missing of its cells: every row with every seed."""
    experiment = context.experiment
    ablation, variant = experiment.ablation, baseline_variant(experiment)
    assert ablation is not None
    if not found:
        return
    seeds = experiment.seeds
    cells = [
        [
            _cell(context, prepared, setting, place, seed)
            for place, (_, setting) in enumerate(found)
            if setting is not None
        ]
        for seed in seeds
    ]
    by_row = iter(cells[0])
    AblationPlan(
        baseline=variant.name,
        design=ablation.design,
        factors=ablation.factors,
        tuned=ablation.tune,
        seeds=seeds,
        variants=tuple(
            _fruitless(context, change) if setting is None else _row(change, setting, next(by_row))
            for change, setting in found
        ),
    ).save(context.folder.ablation)
    every = [cell for of_seed in cells for cell in of_seed]
    records = read_records(context.folder.records)
    # A record from before cells were named is taken over: tables find a row's cells by that name.
    done = {(key, seed) for (_, seed), (key, one) in standing(experiment, records).items() if one.cell}
    waiting = [cell for cell in every if (cell.key, cell.seed) not in done]
    context.reporter.say(
        f"ablation: {len(cells[0])} variants x {len(seeds)} seeds = {len(every)} cells, "
        f"{len(every) - len(waiting)} of them done"
    )
    complete(context, prepared, "ablate", waiting, len(every))


def _tuned(context: Context, prepared: Prepared, changes: Sequence[Change], trials: int) -> list[Row]:
    """Each row with the best of a search of its own, the ablation's keys fixed."""
    searches = [
        Search(tuned_variant(context.experiment, change), trials, "tuning", change.held.get("threshold"), change.name)
        for change in changes
    ]
    search(context, prepared, searches)
    found: list[Row] = []
    for change, one in zip(changes, searches, strict=True):
        best = _best(context, "tuning", one.variant.name)
        if best is None:
            context.reporter.say(f"{change.name}: no trial of its tuning gave a result.")
            found.append((change, None))
            continue
        setting = setting_of(context.experiment, one.variant, best)
        found.append((change, replace(setting, trials=_trials(context, "tuning", one.variant.name))))
    return found


def _cell(context: Context, prepared: Prepared, setting: Setting, place: int, seed: int) -> Cell:
    """A row's cell, in the folder that it has where no evaluation has it."""
    variant = baseline_variant(context.experiment)
    assert context.experiment.ablation is not None
    if place == 0 and context.experiment.ablation.config is None:
        return cell_of(context, prepared, setting, variant.name, seed)  # what a sweep evaluates, too
    cell = cell_of(context, prepared, setting, "", seed, "ablation")
    return replace(cell, variant=f"{variant.name}~{cell.key[:8]}")


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


def _fruitless(context: Context, change: Change) -> AblatedVariant:
    """A row without a configuration: no record has its cell."""
    tuned = tuned_variant(context.experiment, change)
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


def _best(context: Context, stage: str, variant: str) -> TrialRecord | None:
    return best_record(_of(context, stage, variant), context.goal.metric, context.goal.mode)


def _trials(context: Context, stage: str, variant: str) -> int:
    return len({record.trial for record in _of(context, stage, variant)})


def _of(context: Context, stage: str, variant: str) -> list[TrialRecord]:
    records = read_records(context.folder.records)
    return [record for record in records if (record.stage, record.variant) == (stage, variant)]


def _say_left_out(context: Context, changes: Sequence[Change]) -> None:
    assert context.experiment.ablation is not None
    kept = {change.name for change in changes}
    for row in context.experiment.ablation.variants:
        if row.name not in kept:
            context.reporter.say(f"{row.name}: the same as the baseline or a row before it, so it is left out.")
