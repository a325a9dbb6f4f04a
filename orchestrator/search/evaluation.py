"""The final evaluation: chosen configurations × seeds, trained afresh, frozen, and only then shown the test part."""

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray

from orchestrator.experiment import Experiment
from orchestrator.models import KeptModel, keep_model
from orchestrator.provenance import now
from orchestrator.records import Provenance, TrialRecord
from orchestrator.run_folder import RunFolder
from orchestrator.scoring.metrics import confusion, grade, per_class
from orchestrator.search.study import why
from trainables.interface import Samples
from trainables.trial import Graded, Job, epochs


@dataclass(frozen=True)
class Cell:
    """One frozen configuration with one seed."""

    family: str
    variant: str
    trial: int
    """The number of the search trial that found the configuration."""
    config: dict[str, Any]
    seed: int


@dataclass(frozen=True)
class TestPart:
    """The test data. Only `evaluate_cell` opens it, once a frozen cell, and writes down that it did."""

    samples: Samples
    log: Path

    def open(self, cell: Cell, weights: str) -> Samples:
        """The samples, after logging which frozen weights are about to read them."""
        line = json.dumps({"variant": cell.variant, "seed": cell.seed, "weights": weights, "read": now()}) + "\n"
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, line.encode("ascii"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return self.samples


def winners(experiment: Experiment, records: list[TrialRecord], metric: str, mode: str) -> dict[str, TrialRecord]:
    """The best search trial of each variant on validation, among those that trained to their end.

    Where none did (a time limit, say), the best of those that reported; a variant with none at all has no winner.
    """
    chosen: dict[str, TrialRecord] = {}
    for variant in experiment.families:
        reported = [
            record
            for record in records
            if record.stage == "search" and record.variant == variant.name and metric in record.metrics
        ]
        completed = [record for record in reported if record.status == "completed"]
        for record in completed or reported:
            best = chosen.get(variant.name)
            better = best is None or (
                record.metrics[metric] > best.metrics[metric]
                if mode == "max"
                else record.metrics[metric] < best.metrics[metric]
            )
            if better:
                chosen[variant.name] = record
    return chosen


def evaluate_cell(
    cell: Cell, job: Job, test: TestPart, run: RunFolder, kept: KeptModel, gpus: float, origin: Provenance
) -> str:
    """Train, freeze, keep, and only then score the test part. Returns the record as JSON."""
    started = time.perf_counter()
    model = job.build(cell.config, cell.seed)
    history: list[dict[str, float]] = []
    weights, last = model.weights(), None
    for graded in epochs(model, job):
        history.append({"epoch": float(graded.epoch), **graded.row})
        if graded.improved:
            weights = model.weights()
        last = graded
    assert isinstance(last, Graded), "a family yields at least one epoch"
    model.load_weights(weights)
    digest = keep_model(run.model(cell.variant, cell.seed), weights, kept, epoch=last.best_epoch)
    samples = test.open(cell, digest)
    prediction = model.predict(samples)
    write_scores(run.predictions(cell.variant, cell.seed), prediction.scores, samples)
    return record_of(
        cell,
        origin,
        metrics=grade(prediction, samples.labels, samples.classes, job.family.task),
        epoch=last.best_epoch,
        history=history,
        per_class=per_class(prediction, samples.labels, samples.classes),
        confusion=confusion(prediction, samples.labels, samples.classes),
        status="completed",
        seconds=time.perf_counter() - started,
        gpus=gpus,
        parameters=model.parameters,
        peak_memory=last.peak_memory,
        facts=model.facts(),
    ).model_dump_json()


def failed_cell(cell: Cell, error: BaseException, seconds: float, gpus: float, origin: Provenance) -> TrialRecord:
    """The row of a cell that ended with an error."""
    status, reason = why(error)
    return record_of(cell, origin, status=status, reason=reason, seconds=seconds, gpus=gpus)


def record_of(cell: Cell, origin: Provenance, **outcome: Any) -> TrialRecord:
    """The row of a cell: what it was, and how it ended."""
    return TrialRecord(
        stage="evaluation",
        family=cell.family,
        variant=cell.variant,
        trial=cell.trial,
        seed=cell.seed,
        split="test",
        config=cell.config,
        provenance=origin,
        **outcome,
    )


def write_scores(path: Path, scores: np.ndarray[Any, Any], samples: Samples) -> None:
    """Keep the test scores with labels and paths, so that no figure of the report needs the model again."""
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        np.savez_compressed(
            file,
            scores=scores,
            labels=samples.labels,
            # As bytes: a path need not be text, and NumPy's text would be four times larger.
            paths=np.array([os.fsencode(path) for path in samples.paths]),
            classes=np.array([os.fsencode(name) for name in samples.classes]),
        )
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def cell_of(record: TrialRecord) -> str:
    """The key of the cell that a record is of."""
    return cell_key(Cell(record.family, record.variant, record.trial, record.config, record.seed))


def cell_key(cell: Cell) -> str:
    """Finds a cell again: variant, configuration and seed."""
    text = json.dumps([cell.variant, cell.config, cell.seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


remote_evaluate_cell = ray.remote(evaluate_cell)
