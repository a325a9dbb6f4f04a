"""The three working stages of a run: pictures and split, searches, evaluation. Each leaves alone what is done."""

import time
from dataclasses import dataclass
from functools import partial

import numpy as np
import ray
from numpy.typing import NDArray

from orchestrator.checks import CHANNELS, Objective
from orchestrator.data.splits import Split, make_split
from orchestrator.data.store import Store
from orchestrator.engine import Engine
from orchestrator.experiment import Experiment, Variant
from orchestrator.families import family_row
from orchestrator.mirror import Mirror
from orchestrator.models import KeptModel
from orchestrator.progress import Line, Reporter
from orchestrator.provenance import code_version, provenance
from orchestrator.records import Provenance, TrialRecord, append_record, read_records
from orchestrator.render import fill_with_line, skipped_lines
from orchestrator.run_folder import RunFolder
from orchestrator.scoring.metrics import grade
from orchestrator.search.evaluation import (
    Cell,
    TestPart,
    cell_key,
    cell_of,
    failed_cell,
    remote_evaluate_cell,
    winners,
)
from orchestrator.search.optuna_search import open_study, reconcile
from orchestrator.search.study import Study, run_study
from trainables.errors import InputError
from trainables.interface import Prediction, Problem, Samples, Task
from trainables.trial import Job


@dataclass(frozen=True)
class Context:
    """What every stage of one run shares."""

    experiment: Experiment
    folder: RunFolder
    engine: Engine
    reporter: Reporter
    mirror: Mirror
    objective: Objective
    device: str
    concurrent: int
    strict: bool


@dataclass(frozen=True)
class Prepared:
    """The pictures at every size that a variant sees, and the one split of them all."""

    stores: dict[tuple[int, int], Store]
    split: Split

    def samples(self, size: tuple[int, int], rows: NDArray[np.int64]) -> Samples:
        """The samples of some rows at one size."""
        store = self.stores[size]
        return Samples(
            pictures=store.pictures.select(rows),
            labels=store.labels[rows],
            classes=store.classes,
            paths=tuple(store.paths[row] for row in rows),
        )


def prepare(context: Context) -> Prepared:
    """Render what is not rendered yet, and make or take up the split."""
    data = context.experiment.data
    root = data.store or context.folder.stores
    stores: dict[tuple[int, int], Store] = {}
    for size in dict.fromkeys(context.experiment.size_of(variant) for variant in context.experiment.families):
        name = f"{data.style if data.layout == 'series' else data.layout}-{size[0]}x{size[1]}"
        filled = fill_with_line(
            context.reporter,
            context.engine,
            data.path,
            root / name,
            layout=data.layout,
            style=data.style,
            size=size,
            column=data.column,
            strict=context.strict,
        )
        stores[size] = filled.store
        if len(stores) == 1:
            for line in skipped_lines(filled):
                context.reporter.say(line)
    store = next(iter(stores.values()))
    split = make_split(store, data.split)
    if context.folder.split.exists() and Split.load(context.folder.split).fingerprint != split.fingerprint:
        raise InputError(
            f"The data in {data.path} are not those that {context.folder.root} was started with: files were added, "
            "removed or changed. Put them back, or give another --out."
        )
    split.save(context.folder.split)
    for remark in split.remarks:
        context.reporter.say(remark)
    return Prepared(stores, split)


def search(context: Context, prepared: Prepared) -> None:
    """One study a variant, one after the other; each goes on from its records and its journal."""
    experiment, folder = context.experiment, context.folder
    started, minutes = time.monotonic(), experiment.budget.minutes
    for position, variant in enumerate(experiment.families):
        records = [record for record in read_records(folder.records) if _of(record, variant)]
        ended = [record for record in records if record.status != "timed-out"]
        study = open_study(folder.journal(variant.name), variant.name, context.objective.mode)
        reconcile(study, records, context.objective.metric)
        left = experiment.budget.trials - len(ended)
        if left <= 0:
            continue
        spent = time.monotonic() - started
        share = None if minutes is None else max(1.0, (minutes * 60 - spent) / (len(experiment.families) - position))
        with context.reporter.line(f"search {variant.name}", experiment.budget.trials, "trials") as line:
            tally = Tally(context, ended, line)
            run_study(
                Study(
                    experiment=experiment,
                    variant=variant,
                    optuna=study,
                    trials=left,
                    concurrent=context.concurrent,
                    seconds=share,
                    scratch=folder.root / "scratch",
                    provenance=partial(origin, context, prepared),
                    on_record=tally.add,
                ),
                job_of(context, prepared, variant),
            )
        context.mirror.copy()


def evaluate(context: Context, prepared: Prepared) -> None:
    """Train the winner of every study with every seed, and score each on the test part."""
    experiment, folder, goal = context.experiment, context.folder, context.objective
    records = list(read_records(folder.records))
    chosen = winners(experiment, records, goal.metric, goal.mode)
    for variant in experiment.families:
        if variant.name not in chosen:
            context.reporter.say(f"{variant.name}: no trial gave a result, so there is nothing to evaluate.")
    cells = [
        Cell(record.family, record.variant, record.trial, record.config, seed)
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
        running: dict[ray.ObjectRef[str], tuple[Cell, float]] = {}
        while waiting or running:
            while waiting and len(running) < context.concurrent:
                cell = waiting.pop(0)
                running[start_cell(context, prepared, cell, jobs[cell.variant])] = (cell, time.monotonic())
            (ready, *_), _ = ray.wait(list(running), num_returns=1)
            cell, started = running.pop(ready)
            try:
                record = TrialRecord.model_validate_json(ray.get(ready))
            except Exception as error:  # whatever ended this cell ends no other
                record = failed_cell(
                    cell, error, time.monotonic() - started, experiment.resources.gpus, origin(context, prepared)
                )
            append_record(folder.records, record)
            finished += 1
            line.update(finished, record.variant)
            context.mirror.copy()


def start_cell(context: Context, prepared: Prepared, cell: Cell, job: Job) -> "ray.ObjectRef[str]":
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
    test = TestPart(prepared.samples(size, prepared.split.test), context.folder.root / "test_reads.jsonl")
    reserved = {"num_cpus": experiment.resources.cpus, "num_gpus": experiment.resources.gpus, "max_retries": 1}
    return remote_evaluate_cell.options(**reserved).remote(
        cell, job, test, context.folder, kept, experiment.resources.gpus, origin(context, prepared)
    )


def job_of(context: Context, prepared: Prepared, variant: Variant) -> Job:
    """What the trainings of one variant are handed: the train and validation parts, and nothing of the test part."""
    experiment = context.experiment
    size, split = experiment.size_of(variant), prepared.split
    train = prepared.samples(size, split.train)
    family = family_row(variant.family).family
    return Job(
        family=family,
        problem=Problem(train.classes, (*size, CHANNELS), experiment.budget.epochs, context.device),
        train=train,
        validation=prepared.samples(size, split.validation),
        grade=partial(grade_samples, task=family.task),
        metric=context.objective.metric,
        mode=context.objective.mode,
        patience=experiment.budget.patience,
        threads=max(1, int(experiment.resources.cpus)),
    )


def grade_samples(prediction: Prediction, samples: Samples, task: Task) -> dict[str, float]:
    """The metrics of a prediction for samples."""
    return grade(prediction, samples.labels, samples.classes, task)


def origin(context: Context, prepared: Prepared) -> Provenance:
    """The provenance of a record that ends now."""
    store = next(iter(prepared.stores.values()))
    return provenance(context.experiment.fingerprint, store.fingerprint, prepared.split.fingerprint, context.device)


class Tally:
    """Writes the records of one search and shows how it stands."""

    def __init__(self, context: Context, ended: list[TrialRecord], line: Line) -> None:
        self._context = context
        self._line = line
        self._ended = 0
        self._failed = 0
        self._best: float | None = None
        for record in ended:
            self._count(record)
        line.update(self._ended, self._note())

    def add(self, record: TrialRecord) -> None:
        """Write the record, then show it."""
        append_record(self._context.folder.records, record)
        if record.reason and not self._failed and record.status in ("failed", "out-of-memory"):
            self._context.reporter.say(f"{record.variant}, trial {record.trial}, {record.status}: {record.reason}")
        self._count(record)
        self._line.update(self._ended, self._note())

    def _count(self, record: TrialRecord) -> None:
        goal = self._context.objective
        self._ended += 1
        self._failed += record.status in ("failed", "out-of-memory")
        value = record.metrics.get(goal.metric)
        if value is not None and record.status == "completed":
            better = max if goal.mode == "max" else min
            self._best = value if self._best is None else better(self._best, value)

    def _note(self) -> str:
        best = [] if self._best is None else [f"best {self._context.objective.metric} {self._best:.4f}"]
        return "  ".join([*best, *([f"{self._failed} failed"] if self._failed else [])])


def _of(record: TrialRecord, variant: Variant) -> bool:
    return record.stage == "search" and record.variant == variant.name
