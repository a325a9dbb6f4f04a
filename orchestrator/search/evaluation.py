"""The final evaluation: chosen configurations × seeds, trained afresh, frozen, and only then shown the test part."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from torch import Tensor

from orchestrator.checksums import file_sha256
from orchestrator.galleries import confused_gallery, handful, heat_map_gallery, write_galleries
from orchestrator.heat_maps import write_heat_maps
from orchestrator.models import KeptModel, keep_model
from orchestrator.provenance import now
from orchestrator.records import Provenance, ThresholdChoice, TrialRecord
from orchestrator.run_folder import RunFolder
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.judge import Judge
from orchestrator.scoring.metrics import confusion, grade, per_class
from orchestrator.scoring.pixels import histograms
from orchestrator.search.cells import Cell
from orchestrator.search.ledger import why
from trainables.interface import Model, Prediction, Samples
from trainables.trainable import watched
from trainables.trial import Graded, Job, Stopping, epochs
from trainables.trial_state import TrialState


@dataclass(frozen=True)
class Grading:
    """How a cell is judged, and what is written of it."""

    judge: Judge
    pixel_percentile: float
    """Of the pixels of normal validation pictures: where masks begin."""
    heat_maps: bool
    """Whether every test picture's heat map is written."""
    gpus: float


@dataclass(frozen=True)
class TestPart:
    """The test data. Only `evaluate_cell` opens it, once a frozen cell, and writes down that it did."""

    samples: Samples
    log: Path

    def open(self, cell: Cell, weights: str) -> Samples:
        """The samples, after logging which frozen weights are about to read them."""
        log_reading(self.log, cell, weights)
        return self.samples


def log_reading(log: Path, cell: Cell, weights: str) -> None:
    """Write down, for good, that a cell's frozen weights are about to be judged on the test part."""
    line = json.dumps({"variant": cell.variant, "seed": cell.seed, "weights": weights, "read": now()}) + "\n"
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def evaluate_cell(
    cell: Cell, job: Job, test: TestPart, run: RunFolder, kept: KeptModel, grading: Grading, origin: Provenance
) -> str | None:
    """Train, freeze, keep, and only then score the test part. Returns the record as JSON.

    None where the run is asked to stop before: the training's state is saved then.
    """
    started = time.perf_counter()
    trained = train(cell, job, state_of(cell, job))
    if trained is None:
        return None
    model, weights, history, last = trained
    model.load_weights(weights)
    detection = job.family.task == "detection"
    # A classifier has no maps, so its scores of the best epoch are all there is to know.
    validation = model.predict(job.validation) if detection else Prediction(last.scores)
    kept = kept.model_copy(update=thresholds(validation, job.validation, cell, grading))
    digest = keep_model(run.model(cell.variant, cell.seed), weights, kept, epoch=last.best_epoch)
    samples = test.open(cell, digest)
    prediction = model.predict(samples)
    write_scores(run.predictions(cell.variant, cell.seed), prediction, samples, validation, job.validation)
    if detection:
        found = detected(prediction, samples, kept, cell)
        galleries = model.gallery(handful(job.validation))
        maps = validation.maps
        if maps is not None and kept.pixel_threshold is not None:
            low = float(np.median(maps))
            galleries += heat_map_gallery(samples, prediction, low, kept.pixel_threshold)
            found["facts"] = write_pixels(run, cell, prediction, samples)
            if grading.heat_maps:
                write_all_heat_maps(run.heat_maps(cell.variant, cell.seed), prediction, samples, low, kept)
        write_galleries(run.gallery(cell.variant, cell.seed), galleries)
    else:
        found = classified(prediction, samples)
        write_galleries(run.gallery(cell.variant, cell.seed), confused_gallery(samples, prediction))
    return record_of(
        cell,
        origin,
        **{**found, "facts": {**model.facts(), **found.get("facts", {})}},
        epoch=last.best_epoch,
        history=history,
        status="completed",
        seconds=time.perf_counter() - started,
        gpus=grading.gpus,
        parameters=model.parameters,
        peak_memory=last.peak_memory,
        energy=last.energy,
        files={
            path.name: file_sha256(path)
            for path in (run.predictions(cell.variant, cell.seed), run.pixels(cell.variant, cell.seed))
            if path.exists()
        },
    ).model_dump_json()


def state_of(cell: Cell, job: Job) -> TrialState | None:
    """What the training of a cell goes on from; to be removed once its record is written."""
    return job.state_of(cell.config, cell.seed, strategy=cell.strategy, stage="evaluation")


def train(
    cell: Cell, job: Job, state: TrialState | None
) -> tuple[Model, dict[str, Tensor], list[dict[str, float]], Graded] | None:
    """The model, the weights of its best epoch, all epochs, the last; None where the run is asked to stop before."""
    history: list[dict[str, float]] = []
    weights: dict[str, Tensor] = {}
    last = None
    mark = None if state is None else state.path.with_suffix(".hung")
    try:
        with watched(mark, job.epoch_seconds) as alive:
            model = job.build(cell.config, cell.seed, job.pulse(alive.set))
            for graded in epochs(model, job, cell.strategy, state, weights):
                alive.set()
                history.append({"epoch": float(graded.epoch), **graded.row})
                last = graded
                if not graded.finished and job.stopping():
                    return None
    except Stopping:
        return None
    assert isinstance(last, Graded), "a family yields at least one epoch"
    return model, weights, history, last


def thresholds(validation: Prediction, samples: Samples, cell: Cell, grading: Grading) -> dict[str, float]:
    """Where scores, and pixels where there are maps, become anomalies: by validation alone."""
    choice = grading.judge.threshold(validation.scores, samples, cell.strategy)
    found = {} if choice is None else {"threshold": choice.value}
    if validation.maps is not None:
        normal = validation.maps[samples.labels == 0]
        found["pixel_threshold"] = float(np.percentile(normal, grading.pixel_percentile))
    return found


def classified(prediction: Prediction, samples: Samples) -> dict[str, Any]:
    """What a record says of a classifier on the test part."""
    return {
        "metrics": grade(prediction, samples.labels, samples.classes, "classification"),
        "per_class": per_class(prediction, samples.labels, samples.classes),
        "confusion": confusion(prediction, samples.labels, samples.classes),
    }


def detected(prediction: Prediction, samples: Samples, kept: KeptModel, cell: Cell) -> dict[str, Any]:
    """What a record says of a detector on the test part."""
    masks = None if samples.masks is None else samples.masks[np.arange(len(samples))]
    pixels = (prediction.maps, masks, samples.masked)
    assert cell.strategy is not None
    assert kept.threshold is not None
    return {
        "metrics": grade_detection(prediction.scores, samples.labels, kept.threshold, *pixels),
        "per_kind": per_kind(prediction.scores, samples.labels, samples.kinds, kept.threshold, *pixels),
        "threshold": ThresholdChoice(strategy=cell.strategy, value=kept.threshold),
    }


def write_pixels(run: RunFolder, cell: Cell, prediction: Prediction, samples: Samples) -> dict[str, str]:
    """Keep the histograms of the maps inside and outside the masks; what had to be left out, as facts."""
    path = run.pixels(cell.variant, cell.seed)
    if prediction.maps is None or samples.masks is None or samples.masked is None:
        path.unlink(missing_ok=True)
        return {}
    found = histograms(prediction.maps, samples.masks[np.arange(len(samples))], samples.masked, labels=samples.labels)
    found.save(path)
    return {"pictures without a usable mask": str(found.pictures_left_out), "empty regions": str(found.dropped)}


def write_all_heat_maps(folder: Path, prediction: Prediction, samples: Samples, low: float, kept: KeptModel) -> None:
    """Heat map, mask and overlay of every test picture."""
    assert prediction.maps is not None
    assert kept.pixel_threshold is not None
    scale = (low, float(prediction.maps.max()))
    for row, path in enumerate(samples.paths):
        picture = samples.pictures[np.array([row])][0]
        write_heat_maps(folder, path, picture, prediction.maps[row], scale, kept.pixel_threshold)


def failed_cell(cell: Cell, error: BaseException, seconds: float, gpus: float, origin: Provenance) -> TrialRecord:
    """The row of a cell that ended with an error."""
    status, reason = why(error)
    return record_of(cell, origin, status=status, reason=reason, seconds=seconds, gpus=gpus)


def record_of(cell: Cell, origin: Provenance, **outcome: Any) -> TrialRecord:
    """The row of a cell: what it was, and how it ended."""
    return TrialRecord(
        stage=cell.stage,
        cell=cell.key,
        family=cell.family,
        variant=cell.variant,
        trial=cell.trial,
        seed=cell.seed,
        split="test",
        config=cell.config,
        provenance=origin,
        **outcome,
    )


def write_scores(
    path: Path, prediction: Prediction, samples: Samples, validation: Prediction, chosen_on: Samples
) -> None:
    """Keep test and validation scores with labels and paths, so that no figure of the report needs the model again."""
    draft = path.with_suffix(".tmp")
    with draft.open("wb") as file:
        np.savez_compressed(
            file,
            scores=prediction.scores,
            labels=samples.labels,
            # As bytes: a path need not be text, and NumPy's text would be four times larger.
            paths=_names(samples.paths),
            classes=_names(samples.classes),
            groups=_names(samples.groups or samples.paths),
            kinds=_names(samples.kinds),
            validation_scores=validation.scores,
            validation_labels=chosen_on.labels,
            validation_kinds=_names(chosen_on.kinds),
        )
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _names(names: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array([os.fsencode(name) for name in names], dtype=np.bytes_)


remote_evaluate_cell = ray.remote(evaluate_cell)
