"""A cell whose model was trained for another: its kept scores are judged anew, and nothing is trained."""

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orchestrator.artifacts.models import NOTE, WEIGHTS, KeptModel
from orchestrator.artifacts.provenance import now
from orchestrator.artifacts.records import TAKEN_OVER, TRAINING, Provenance, ThresholdChoice, TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.artifacts.test_reads import ReadingLog
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.evaluate_cell import OnTest, of_cell, write_own_draws
from orchestrator.evaluation.kept_cells import kept_whole
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.judged import Detected
from orchestrator.scoring.metric_table import METRICS, Metric
from orchestrator.scoring.thresholds import parse_strategy
from trainables.files import file_sha256, whole_folder, write_whole


def rejudge(
    cell: Cell, source: TrialRecord, run: RunFolder, log: ReadingLog, origin: Provenance, own: Sequence[Metric] = ()
) -> TrialRecord:
    """The record of a cell that differs from a completed one in its folder, and maybe in its threshold strategy, or,
    without randomness, in its seed.

    Its folder gets copies of the other's files, and it is a reading of the test part like any other: unless it is the
    same model judged in the same way for another seed, which looks at nothing anew. Raises Unusable where these are not
    what the other's record was made with, and OSError where copies or log can't be written.
    """
    started = time.perf_counter()
    kept, strategy = kept_whole(run, source), cell.setting.strategy
    same, copied = strategy == source.strategy, cell.seed != source.seed
    renamed = same and not copied
    found = _same(source) if same or strategy is None else _judged(strategy, source, run, own)
    choice = found.get("threshold")
    if choice is not None:
        kept = kept.model_copy(update={"threshold": choice.value, "strategy": choice.strategy})
    read = source.reading if same and copied else ""
    reading = read or log.add(cell.variant, cell.seed, kept.weights, now())
    target = run.model(cell.variant, cell.seed)
    _copy(run.model(source.variant, source.seed), target, kept, cell)
    files = dict(source.files)
    if not same and choice is not None and own:
        files |= _drawn_again(run, cell, choice, own)
    return TrialRecord(
        **of_cell(cell, origin),
        **found,
        history=source.history if same else _without_thresholded(source.history, own),
        epoch=source.epoch,
        facts={**source.facts, **_taken_over(source, copied)},
        reading=reading,
        files=files,
        parameters=source.parameters,
        status="completed",
        # The same cell, under another name, cost what it cost. Another strategy or seed costs only this.
        trained=renamed and source.trained,
        seconds=source.seconds if renamed else time.perf_counter() - started,
        seconds_a_picture=source.seconds_a_picture,
        speed=source.speed,
        device=source.device,
        cpus=source.cpus,
        gpus=source.gpus if renamed else 0.0,
        energy=source.energy if renamed else None,
        peak_memory=source.peak_memory if renamed else None,
        own_memory=source.own_memory if renamed else None,
        available_memory=source.available_memory if renamed else None,
    )


def _taken_over(source: TrialRecord, copied: bool) -> dict[str, str]:
    if copied:
        return {TRAINING: f"same as seed {source.seed}: the family has no randomness"}
    return {TAKEN_OVER: source.variant}


def _same(source: TrialRecord) -> OnTest:
    return OnTest(
        metrics=source.metrics,
        per_kind=source.per_kind,
        per_class=source.per_class,
        confusion=source.confusion,
        threshold=source.threshold,
    )


def _judged(strategy: str, source: TrialRecord, run: RunFolder, own: Sequence[Metric]) -> OnTest:
    """What a record says of a detector at another threshold: what depends on none stays."""
    with np.load(run.predictions(source.variant, source.seed), allow_pickle=False) as kept:
        scores, labels = kept["scores"], kept["labels"]
        kinds = [os.fsdecode(kind) for kind in kept["kinds"]]
        value = parse_strategy(strategy).fit(kept["validation_scores"], kept["validation_labels"])
    of_pictures = [one for one in own if not one.pixel]
    of_pixels = {one.name for one in (*METRICS.values(), *own) if one.pixel}
    of_kinds = per_kind(scores, labels, kinds, value, own=of_pictures)

    def pixels(metrics: dict[str, float]) -> dict[str, float]:
        return {name: number for name, number in metrics.items() if name in of_pixels}

    # Of the same validation part, so that as many folds compared strategies.
    folds = None if source.threshold is None else source.threshold.folds
    return OnTest(
        metrics={**grade_detection(scores, labels, value, own=of_pictures), **pixels(source.metrics)},
        per_kind={kind: {**found, **pixels(source.per_kind.get(kind, {}))} for kind, found in of_kinds.items()},
        threshold=ThresholdChoice(strategy=strategy, value=value, folds=folds),
    )


def _drawn_again(run: RunFolder, cell: Cell, choice: ThresholdChoice, own: Sequence[Metric]) -> dict[str, str]:
    """Metrics of one's own at another threshold, on draws; the SHA-256 of their file by its name."""
    path = run.draws(cell.variant, cell.seed)
    with np.load(run.predictions(cell.variant, cell.seed), allow_pickle=False) as kept:
        write_own_draws(path, Detected(kept["scores"], kept["labels"], choice.value), kept["groups"], own)
    return {path.name: file_sha256(path)} if path.exists() else {}


def _without_thresholded(history: list[dict[str, float]], own: Sequence[Metric]) -> list[dict[str, float]]:
    """The epochs without what was measured at the other strategy's threshold."""
    moved = {one.name for one in (*METRICS.values(), *own) if one.thresholded}
    return [{name: number for name, number in row.items() if name not in moved} for row in history]


def _copy(source: Path, target: Path, kept: KeptModel, cell: Cell) -> None:
    """A model's folder for another cell, whole or not at all."""
    note = kept.model_copy(update={"variant": cell.variant, "seed": cell.seed, "config": cell.setting.config})
    with whole_folder(target) as draft:
        for path in sorted(source.rglob("*")):
            copy = draft / path.relative_to(source)
            if path.is_file() and not path.is_symlink() and path != source / NOTE:
                copy.parent.mkdir(parents=True, exist_ok=True)
                _link_or_copy(path, copy)
        write_whole(draft / NOTE, note.model_dump_json(indent=2), wait=False)


def _link_or_copy(path: Path, copy: Path) -> None:
    # Weights are large, and never written in place.
    if path.name == WEIGHTS:
        try:
            copy.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, copy)
    else:
        shutil.copyfile(path, copy)
