"""The two long stages of a run: searches and evaluation. Each leaves alone what is done."""

import time
from functools import partial

import ray

from orchestrator.checks import CHANNELS
from orchestrator.experiment import Variant
from orchestrator.families import family_row
from orchestrator.models import KeptModel
from orchestrator.preparation import Context, Prepared
from orchestrator.provenance import code_version, provenance
from orchestrator.records import Provenance, TrialRecord, append_record, read_records
from orchestrator.scoring.metric_table import METRICS
from orchestrator.search.evaluation import (
    Cell,
    Grading,
    TestPart,
    cell_key,
    cell_of,
    failed_cell,
    remote_evaluate_cell,
    strategy_of,
    winners,
)
from orchestrator.search.study import Study, all_failed, run_study
from orchestrator.tally import Tally
from trainables.interface import Problem
from trainables.trial import Job


def search(context: Context, prepared: Prepared) -> None:
    """One study a variant, one after the other; each goes on from its records and its journal."""
    experiment, folder = context.experiment, context.folder
    started, minutes = time.monotonic(), experiment.budget.minutes
    every = list(read_records(folder.records))  # a study adds none of another's
    for position, variant in enumerate(experiment.families):
        records = [record for record in every if _of(record, variant)]
        ended = [record for record in records if record.status != "timed-out"]
        left = experiment.budget.trials - len(ended)
        if left <= 0:
            continue
        spent = time.monotonic() - started
        share = None if minutes is None else max(1.0, (minutes * 60 - spent) / (len(experiment.families) - position))
        with context.reporter.line(f"search {variant.name}", experiment.budget.trials, "trials") as line:
            tally = Tally(context, prepared, variant, ended, line)
            run_study(
                Study(
                    experiment=experiment,
                    variant=variant,
                    journal=folder.journal(variant.name),
                    earlier=tuple(records),
                    trials=left,
                    concurrent=context.concurrent,
                    seconds=share,
                    scratch=folder.root / "scratch",
                    provenance=partial(origin, context, prepared),
                    on_record=tally.add,
                ),
                job_of(context, prepared, variant),
            )
        if folder.stop.exists():
            return
        if all_failed(tally.statuses):
            context.reporter.say(
                f"{variant.name}: its first {len(tally.statuses)} trials all failed, so its search ends here. The "
                "reasons stand in the report; mend the cause and start the run in another folder."
            )
        context.mirror.copy()


def evaluate(context: Context, prepared: Prepared) -> None:
    """Train the winner of every study with every seed, and score each on the test part."""
    experiment, folder, goal = context.experiment, context.folder, context.goal
    records = list(read_records(folder.records))
    chosen = winners(experiment, records, goal.metric, goal.mode)
    for variant in experiment.families:
        if variant.name not in chosen:
            context.reporter.say(f"{variant.name}: no trial gave a result, so there is nothing to evaluate.")
    cells = [
        Cell(record.family, record.variant, record.trial, record.config, seed, strategy_of(record))
        for record in chosen.values()
        for seed in experiment.seeds
    ]
    done = {cell_of(record) for record in records if record.stage == "evaluation" and record.status == "completed"}
    waiting = [cell for cell in cells if cell_key(cell) not in done]
    if not waiting:
        return
    jobs = {variant.name: job_of(context, prepared, variant) for variant in experiment.families}
    with context.reporter.line("evaluate", len(cells), "models") as line:
        finished = len(cells) - len(waiting)
        line.update(finished)
        running: dict[ray.ObjectRef[str | None], tuple[Cell, float]] = {}
        while running or (waiting and not folder.stop.exists()):
            while waiting and len(running) < context.concurrent and not folder.stop.exists():
                cell = waiting.pop(0)
                running[start_cell(context, prepared, cell, jobs[cell.variant])] = (cell, time.monotonic())
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            cell, started = running.pop(ready)
            try:
                told = ray.get(ready)
                if told is None:
                    continue  # it was asked to stop, and its state is saved
                record = TrialRecord.model_validate_json(told)
            except Exception as error:  # whatever ended this cell ends no other
                record = failed_cell(
                    cell, error, time.monotonic() - started, experiment.resources.gpus, origin(context, prepared)
                )
            append_record(folder.records, record)
            finished += 1
            line.update(finished, record.variant)
            context.mirror.copy()


def start_cell(context: Context, prepared: Prepared, cell: Cell, job: Job) -> "ray.ObjectRef[str | None]":
    """Start one cell on a worker of its own."""
    experiment = context.experiment
    size = experiment.size_of(experiment.variant(cell.variant))
    data = experiment.data
    kept = KeptModel(
        family=cell.family,
        variant=cell.variant,
        seed=cell.seed,
        config=cell.config,
        classes=job.problem.classes,
        shape=job.problem.shape,
        preprocessing={"layout": data.layout, "column": data.column, "style": data.style, "size": list(size)},
        code=code_version(),
    )
    samples = prepared.samples(size, prepared.split.test, masks=True)
    test = TestPart(samples, context.folder.root / "test_reads.jsonl")
    grading = Grading(
        context.judge, experiment.threshold.pixel_percentile, experiment.heat_maps, experiment.resources.gpus
    )
    reserved = {"num_cpus": experiment.resources.cpus, "num_gpus": experiment.resources.gpus, "max_retries": 1}
    return remote_evaluate_cell.options(**reserved).remote(
        cell, job, test, context.folder, kept, grading, origin(context, prepared)
    )


def job_of(context: Context, prepared: Prepared, variant: Variant) -> Job:
    """What the trainings of one variant are handed: the train and validation parts, and nothing of the test part."""
    experiment, goal = context.experiment, context.goal
    size, split = experiment.size_of(variant), prepared.split
    store = prepared.stores[size]
    train = prepared.samples(size, split.train)
    by_pixels = goal.metric in METRICS and METRICS[goal.metric].pixel
    return Job(
        family=family_row(variant.family).family,
        problem=Problem(
            classes=train.classes,
            shape=(*size, CHANNELS),
            epochs=experiment.epochs_of(variant),
            device=context.device,
            depth=store.depth is not None,
            cache=store.folder.parent / "shared",
            data=f"{split.fingerprint} {store.folder.name}",
        ),
        train=train,
        validation=prepared.samples(size, split.validation, masks=by_pixels),
        grade=context.judge,
        metric=goal.metric,
        mode=goal.mode,
        patience=experiment.budget.patience,
        threads=max(1, int(experiment.resources.cpus)),
        states=context.folder.states,
        code=code_version(),
        epoch_seconds=None if experiment.budget.epoch_minutes is None else experiment.budget.epoch_minutes * 60,
        stop=context.folder.stop,
    )


def origin(context: Context, prepared: Prepared) -> Provenance:
    """The provenance of a record that ends now."""
    store = next(iter(prepared.stores.values()))
    return provenance(context.experiment.fingerprint, store.fingerprint, prepared.split.fingerprint, context.device)


def _of(record: TrialRecord, variant: Variant) -> bool:
    return record.stage == "search" and record.variant == variant.name
