"""The last step of an evaluation: the experiment's ensembles, judged once all their members have their records."""

from collections.abc import Sequence

from orchestrator.artifacts.provenance import device_name, provenance
from orchestrator.artifacts.records import TrialRecord, keep_record, read_records
from orchestrator.evaluation.cells import Cell, standing
from orchestrator.evaluation.ensembles import EnsembleCell, Member, Parts, judge_ensemble
from orchestrator.stages.context import Context, Prepared


def judge_ensembles(context: Context, prepared: Prepared, cells: Sequence[Cell]) -> None:
    """Give each row of the experiment's ensembles that lacks it its record. `cells`: all that the run evaluates."""
    experiment, folder = context.experiment, context.folder
    if not experiment.ensembles:
        return
    records = list(read_records(folder.records))
    wanted = _wanted(context, cells, records)
    here = standing(experiment, records)
    waiting = [one for one in wanted if here.get((one.ensemble.name, one.seed), ("",))[0] != one.key]
    if not waiting:
        return
    fingerprint, device = prepared.split.fingerprint, device_name("cpu")
    size = experiment.size_of(experiment.families[0])
    parts = Parts(
        prepared.samples(size, prepared.split.validation),
        prepared.samples(size, prepared.split.test),
        context.readings(prepared),
        context.judge,
        context.goal,
    )
    cross_fitted, before = context.cross_fitted(prepared), _last(records)
    with context.reporter.line(f"{context.title}ensembles", len(wanted), "ensembles") as line:
        for number, cell in enumerate(waiting, start=1 + len(wanted) - len(waiting)):
            if folder.stop.exists():
                return
            made = provenance(experiment.fingerprint, prepared.data, fingerprint, device, context.own_code)
            record = judge_ensemble(cell, folder, parts, made)
            if not _again(record, before.get((record.variant, record.seed))):
                record = record.model_copy(update={"cross_fitted": cross_fitted})
                keep_record(folder, record)
                context.events.record(context.split_number, record)
            if record.status != "completed":
                context.reporter.say(f"{record.variant}, seed {record.seed}, is not judged: {record.reason}.")
            line.update(number, record.variant)
    context.mirror.copy()


def _wanted(context: Context, cells: Sequence[Cell], records: Sequence[TrialRecord]) -> list[EnsembleCell]:
    """Every row of every ensemble, with the records of its members as they stand."""
    seeds = context.experiment.seeds
    keys = {(cell.variant, cell.seed): cell.key for cell in cells}
    here, last = standing(context.experiment, records), _last(records)

    def member(variant: str, seed: int) -> Member:
        if (variant, seed) not in keys:
            return Member(variant, seed, None, "no trial of its search gave a result")
        key, record = here.get((variant, seed), ("", None))
        if record is not None and key == keys[variant, seed]:
            return Member(variant, seed, record)
        ended = last.get((variant, seed))
        reason = f"{ended.status}: {ended.reason}" if ended is not None else "it has not been evaluated"
        return Member(variant, seed, None, reason)

    return [
        EnsembleCell(ensemble=one, seed=seed, members=tuple(member(*each) for each in one.members(seed, seeds)))
        for one in context.experiment.ensembles
        for seed in one.seeds(seeds)
    ]


def _last(records: Sequence[TrialRecord]) -> dict[tuple[str, int], TrialRecord]:
    """The last evaluation of each variant with each seed, however it ended."""
    return {(one.variant, one.seed): one for one in records if one.stage == "evaluation"}


def _again(record: TrialRecord, before: TrialRecord | None) -> bool:
    """Whether it says what the last one said: what failed for want of a member would fail with every resume."""
    if before is None or record.status == "completed":
        return False
    return (record.cell, record.status, record.reason) == (before.cell, before.status, before.reason)
