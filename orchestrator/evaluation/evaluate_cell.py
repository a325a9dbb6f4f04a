"""The final evaluation: chosen configurations × seeds, trained afresh, frozen, and only then shown the test part."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.endings import Status, first_line
from orchestrator.artifacts.galleries import confused_gallery, handful, heat_map_gallery, write_galleries
from orchestrator.artifacts.heat_maps import scale_of, write_heat_maps
from orchestrator.artifacts.models import KeptModel, keep_model, note_speed
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.records import TRAINING, ClassScores, Provenance, ThresholdChoice, TrialRecord
from orchestrator.artifacts.reference import Reference
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import Log
from orchestrator.evaluation.away import Keeping
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.kept_cells import Unusable
from orchestrator.evaluation.train_cell import train, train_together
from orchestrator.evaluation.trained import Trained, taken_over
from orchestrator.experiment.placement import Placement
from orchestrator.scoring.bootstrap import resample_value
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.drift import picture_statistics, reference_of
from orchestrator.scoring.judge import Judge
from orchestrator.scoring.judged import Classified, Detected
from orchestrator.scoring.metric_table import Metric
from orchestrator.scoring.metrics import check_scores, confusion, grade, per_class
from orchestrator.scoring.pixels import histograms
from trainables.errors import ToldError
from trainables.files import file_sha256, whole
from trainables.interface import Prediction, Samples, Task
from trainables.speed import Speed
from trainables.training.timing import measure_speed
from trainables.training.trial import Job
from trainables.training.usage import gpu_name

MOST_LOOKED_AT, LOOKED_AT_ONCE = 2048, 64
"""Pictures of validation whose statistics are kept for a comparison with new ones: in all, and read at a time."""


@dataclass(frozen=True)
class Grading:
    """How a cell is judged, and what is written of it."""

    judge: Judge
    pixel_percentile: float
    """Of the pixels of normal validation pictures: where masks begin."""
    heat_maps: bool
    """Whether every test picture's heat map is written."""
    placement: Placement
    """Where it trains."""


@dataclass(frozen=True)
class TestPart:
    """The test data. Only `evaluate_cell` opens it, once a frozen cell, and writes down that it did."""

    samples: Samples
    log: Log

    def open(self, cell: Cell, weights: str) -> tuple[Samples, str]:
        """The samples, after logging which frozen weights are about to read them, and the hash of the log's line."""
        reading = self.log.add(cell.variant, cell.seed, weights, now())
        return self.samples, reading


def evaluate_cell(
    cell: Cell,
    job: Job,
    test: TestPart,
    keeping: Keeping,
    kept: KeptModel,
    grading: Grading,
    origin: Provenance,
) -> str | None:
    """Train, freeze, keep, and only then score the test part. Returns the record as JSON.

    None where the run is asked to stop before: the training's state is saved then.
    """
    started = time.perf_counter()
    source, taken, remarks = keeping.source, None, dict[str, str]()
    with keeping.folder() as run:
        if source is not None:
            try:
                taken = taken_over(cell, job, run, source)
            except Unusable as error:
                own = f"the weights of {source.variant}, seed {source.seed}, can't be used ({error})"
                remarks[TRAINING] = f"its own: {own}"
        trained = taken or train(cell, job)
        if trained is None:
            return None
        trained = replace(trained, facts=trained.facts | remarks)
        seconds = time.perf_counter() - started
        record = _scored(cell, job, trained, seconds, test, run, kept, grading, origin)
        return keeping.sent(run, record).model_copy(update={"trained": taken is None}).model_dump_json()


def evaluate_together(
    cells: Sequence[tuple[Cell, KeptModel]],
    job: Job,
    test: TestPart,
    keeping: Keeping,
    grading: Grading,
    origin: Provenance,
) -> list[str | ToldError | None]:
    """The same for cells that differ by their seeds, trained as one stacked network where they can be.

    For each its record as JSON, what ended it, or None as above. The seconds of the training are shared out.
    """
    started = time.perf_counter()
    trained = train_together([cell for cell, _ in cells], job)
    share = (time.perf_counter() - started) / len(cells)
    found: list[str | ToldError | None] = []
    for (cell, kept), one in zip(cells, trained, strict=True):
        if not isinstance(one, Trained):
            found.append(one)
            continue
        try:
            with keeping.folder() as run:
                record = _scored(cell, job, one, share, test, run, kept, grading, origin)
                found.append(keeping.sent(run, record).model_dump_json())
        except Exception as error:  # a full disk, say
            found.append(ToldError.of(error))
    return found


def _scored(
    cell: Cell,
    job: Job,
    trained: Trained,
    seconds: float,
    test: TestPart,
    run: RunFolder,
    kept: KeptModel,
    grading: Grading,
    origin: Provenance,
) -> TrialRecord:
    """Freeze and keep what was trained in `seconds`, and only then score the test part."""
    started = time.perf_counter()
    model, validation = trained.model, trained.validation
    choice = grading.judge.threshold(validation.scores, job.validation, cell.setting.strategy)
    pixels = pixel_line(validation, job.validation, grading.pixel_percentile)
    kept = kept.model_copy(
        update={
            "threshold": None if choice is None else choice.value,
            "strategy": None if choice is None else choice.strategy,
            "pixel_threshold": None if pixels is None else pixels.threshold,
            "heat_scale": None if pixels is None else scale_of(pixels.low, pixels.threshold),
            "reference": validation_reference(validation.scores, job.validation, job.family.task),
        }
    )
    digest = keep_model(run.model(cell.variant, cell.seed), trained.weights, kept, epoch=trained.epoch)
    samples, reading = test.open(cell, digest)
    begun = time.perf_counter()
    prediction = model.predict(samples)
    took = time.perf_counter() - begun
    write_scores(run.predictions(cell.variant, cell.seed), prediction, samples, validation, job.validation)
    facts, gpu = dict(trained.facts), gpu_name(job.problem.device)
    if choice is None:
        found = classified(prediction, samples, grading.judge.own)
        galleries = confused_gallery(samples, prediction)
    else:
        found = detected(prediction, samples, choice, grading.judge.own)
        galleries = (*model.gallery(handful(job.validation)),)
        if pixels is not None and prediction.maps is not None:
            galleries += heat_map_gallery(samples, prediction, pixels.low, pixels.threshold)
            facts |= write_pixels(run, cell, prediction, samples)
            if grading.heat_maps:
                write_all_heat_maps(run.heat_maps(cell.variant, cell.seed), samples, prediction.maps, pixels)
    write_galleries(run.gallery(cell.variant, cell.seed), galleries)
    if grading.judge.own:
        judged = judged_of(prediction.scores, samples, choice)
        sources = _names(samples.groups or samples.paths)
        write_own_draws(run.draws(cell.variant, cell.seed), judged, sources, grading.judge.own)
    taken = seconds + time.perf_counter() - started
    speed, unmeasured = speed_of(cell, job, trained, samples, grading.placement.at_once - 1)
    if speed is not None:
        note_speed(run.model(cell.variant, cell.seed), speed)
    return TrialRecord(
        **of_cell(cell, origin.model_copy(update={"finished": now(), "device": gpu or origin.device})),
        **of_placement(grading.placement),
        **found,
        facts=facts | unmeasured,
        epoch=trained.epoch,
        history=trained.history,
        status="completed",
        seconds=taken,
        seconds_a_picture=took / len(samples),
        speed=speed,
        parameters=model.parameters,
        peak_memory=trained.peak_memory,
        own_memory=trained.own_memory,
        available_memory=trained.available_memory,
        energy=trained.energy,
        reading=reading,
        files={path.name: file_sha256(path) for path in run.score_files(cell.variant, cell.seed) if path.exists()},
    )


def validation_reference(scores: NDArray[np.float64], samples: Samples, task: Task) -> Reference:
    """What the pictures of validation and their scores are like; of detection, the normal ones."""
    rows = np.flatnonzero(samples.labels == 0) if task == "detection" else np.arange(len(samples))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_LOOKED_AT)).round().astype(np.int64)]
    parts = np.array_split(rows, max(1, len(rows) // LOOKED_AT_ONCE))
    statistics = np.concatenate([picture_statistics(samples.pictures[part]) for part in parts])
    groups = tuple(samples.groups[row] for row in rows) if samples.groups else ()
    return reference_of(scores[rows], statistics, groups, normal_only=task == "detection")


def speed_of(
    cell: Cell, job: Job, trained: Trained, samples: Samples, beside: int
) -> tuple[Speed | None, dict[str, str]]:
    """How fast the kept model scores test pictures, whose scores are kept by now; else why that is not known, as a
    fact: it is no reason to lose them. `beside`: how many other trainings may run meanwhile."""
    try:
        family, config, problem = job.family, cell.setting.config, job.problem
        weights = trained.weights
        return measure_speed(family, config, problem, cell.seed, weights, samples, batches=True, beside=beside), {}
    except Exception as error:  # no memory for a second model, say
        return None, {"speed": f"not measured ({first_line(str(error))})"}


@dataclass(frozen=True)
class PixelLine:
    """Where pixels of anomaly maps become defects, by validation alone."""

    threshold: float
    low: float
    """Where the scale of heat maps begins: the median of all validation pixels."""


def pixel_line(validation: Prediction, samples: Samples, percentile: float) -> PixelLine | None:
    """Of a family with maps: the `percentile` of the pixels of normal pictures; None of one without."""
    if validation.maps is None:
        return None
    normal = validation.maps[samples.labels == 0]
    return PixelLine(float(np.percentile(normal, percentile)), float(np.median(validation.maps)))


class OnTest(TypedDict, total=False):
    """What a record says of the test part."""

    metrics: dict[str, float]
    per_class: dict[str, ClassScores]
    confusion: list[list[int]]
    per_kind: dict[str, dict[str, float]]
    threshold: ThresholdChoice | None


def classified(prediction: Prediction, samples: Samples, own: Sequence[Metric]) -> OnTest:
    """Of a classifier."""
    return OnTest(
        metrics=grade(prediction, samples.labels, samples.classes, "classification", own=own),
        per_class=per_class(prediction, samples.labels, samples.classes),
        confusion=confusion(prediction, samples.labels, samples.classes),
    )


def detected(prediction: Prediction, samples: Samples, choice: ThresholdChoice, own: Sequence[Metric]) -> OnTest:
    """Of a detector that draws the line where validation has chosen."""
    masks = None if samples.masks is None else samples.masks[np.arange(len(samples))]
    pixels = (prediction.maps, masks, samples.masked)
    return OnTest(
        metrics=grade_detection(prediction.scores, samples.labels, choice.value, *pixels, own=own),
        per_kind=per_kind(prediction.scores, samples.labels, samples.kinds, choice.value, *pixels, own=own),
        threshold=choice,
    )


def write_pixels(run: RunFolder, cell: Cell, prediction: Prediction, samples: Samples) -> dict[str, str]:
    """Keep the histograms of the maps inside and outside the masks; what had to be left out, as facts."""
    path = run.pixels(cell.variant, cell.seed)
    if prediction.maps is None or samples.masks is None or samples.masked is None:
        path.unlink(missing_ok=True)
        return {}
    found = histograms(prediction.maps, samples.masks[np.arange(len(samples))], samples.masked, labels=samples.labels)
    found.save(path)
    return {"pictures without a usable mask": str(found.pictures_left_out), "empty regions": str(found.dropped)}


def write_all_heat_maps(folder: Path, samples: Samples, maps: NDArray[np.float32], pixels: PixelLine) -> None:
    """Heat map, mask and overlay of every test picture."""
    scale = scale_of(pixels.low, pixels.threshold)
    for row, path in enumerate(samples.paths):
        picture = samples.pictures[np.array([row])][0]
        write_heat_maps(folder, path, picture, maps[row], scale, pixels.threshold)


def write_own_draws(
    path: Path, judged: Classified | Detected, sources: NDArray[np.bytes_], own: Sequence[Metric]
) -> None:
    """Keep metrics of one's own on bootstrap draws of the test pictures: a report has none of their code.

    `sources` (N,): the source picture of each.
    """
    path.unlink(missing_ok=True)
    groups = np.unique(sources, return_inverse=True)[1]
    drawn: dict[str, Any] = {one.name: resample_value(one, judged, groups) for one in own}
    known = {name: values for name, values in drawn.items() if len(values)}
    if known:
        with whole(path, wait=False) as file:
            np.savez_compressed(file, **known)


def judged_of(scores: NDArray[np.float64], samples: Samples, choice: ThresholdChoice | None) -> Classified | Detected:
    """What a metric of whole pictures is computed from."""
    if choice is not None:
        return Detected(scores, samples.labels, choice.value)
    return Classified(check_scores(scores, samples.labels, samples.classes), samples.labels, samples.classes)


class OfCell(TypedDict):
    """What a record says of the cell that it is of."""

    stage: Literal["evaluation", "ablation"]
    cell: str
    family: str
    variant: str
    trial: int
    seed: int
    split: Literal["test"]
    config: dict[str, Any]
    provenance: Provenance


def of_cell(cell: Cell, origin: Provenance) -> OfCell:
    """The same for every way that a cell can end."""
    return OfCell(
        stage=cell.stage,
        cell=cell.key,
        family=cell.setting.family,
        variant=cell.variant,
        trial=cell.setting.trial,
        seed=cell.seed,
        split="test",
        config=cell.setting.config,
        provenance=origin,
    )


class OfPlacement(TypedDict, total=False):
    """What a record says of where its training ran."""

    device: Literal["cpu", "cuda"]
    cpus: float
    gpus: float
    workers: int


def of_placement(placement: Placement | None) -> OfPlacement:
    """Nothing of a cell that has trained nothing."""
    if placement is None:
        return OfPlacement()
    return OfPlacement(device=placement.device, cpus=placement.cpus, gpus=placement.gpus, workers=placement.workers)


def failed_cell(
    cell: Cell, ended: tuple[Status, str], seconds: float, placement: Placement | None, origin: Provenance
) -> TrialRecord:
    """The row of a cell that gave no result: its status and the reason. `placement`: None where it trained nothing."""
    status, reason = ended
    where = of_placement(placement)
    return TrialRecord(**of_cell(cell, origin), **where, status=status, reason=reason, seconds=seconds)


def write_scores(
    path: Path, prediction: Prediction, samples: Samples, validation: Prediction, chosen_on: Samples
) -> None:
    """Keep test and validation scores with labels and paths, so that no figure of the report needs the model again."""
    with whole(path, wait=True) as file:
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


def _names(names: Sequence[str]) -> NDArray[np.bytes_]:
    return np.array([os.fsencode(name) for name in names], dtype=np.bytes_)
