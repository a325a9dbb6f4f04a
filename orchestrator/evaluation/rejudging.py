"""A cell whose model was trained for another: its kept scores are judged anew, and nothing is trained."""

import os
import shutil
import time
from pathlib import Path

import numpy as np

from orchestrator.artifacts.models import NOTE, WEIGHTS, KeptModel
from orchestrator.artifacts.records import Provenance, ThresholdChoice, TrialRecord
from orchestrator.artifacts.run_folder import RunFolder
from orchestrator.evaluation.cells import Cell
from orchestrator.evaluation.evaluate_cell import OnTest, log_reading, of_cell
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.metric_table import needs_masks, needs_threshold
from orchestrator.scoring.thresholds import parse_strategy
from trainables.files import file_sha256, whole_folder, write_whole


class Unusable(Exception):
    """What another cell left behind is not whole."""


def rejudge(cell: Cell, source: TrialRecord, run: RunFolder, log: Path, origin: Provenance) -> TrialRecord:
    """The record of a cell that differs from a completed one in its folder, and maybe in its threshold strategy.

    Its folder gets copies of the other's files. Raises Unusable where these are not what the other's record was made
    with, and OSError where the copies can't be written.
    """
    started = time.perf_counter()
    kept, strategy = _whole(run, source), cell.setting.strategy
    same = strategy == source.strategy
    found = _same(source) if same or strategy is None else _judged(strategy, source, run)
    choice = found.get("threshold")
    if choice is not None:
        kept = kept.model_copy(update={"threshold": choice.value})
    log_reading(log, cell, kept.weights)
    _copy(run.model(source.variant, source.seed), run.model(cell.variant, cell.seed), kept, cell)
    return TrialRecord(
        **of_cell(cell, origin),
        **found,
        history=source.history if same else _without_thresholded(source.history),
        epoch=source.epoch,
        facts={**source.facts, "scores taken over from": source.variant},
        files=source.files,
        parameters=source.parameters,
        status="completed",
        # The same cell cost what it cost. Another strategy costs only this.
        seconds=source.seconds if same else time.perf_counter() - started,
        gpus=source.gpus if same else 0.0,
        energy=source.energy if same else None,
        peak_memory=source.peak_memory if same else None,
    )


def _whole(run: RunFolder, source: TrialRecord) -> KeptModel:
    """What stands beside the weights of a completed cell, once its files are found to be those of its record."""
    folder = run.model(source.variant, source.seed)
    scores = run.predictions(source.variant, source.seed).name
    try:
        kept = KeptModel.model_validate_json((folder / NOTE).read_bytes())
        if scores not in source.files:
            raise Unusable("its record holds no checksum of the scores")
        for name, digest in {**source.files, WEIGHTS: kept.weights}.items():
            if file_sha256(folder / name) != digest:
                raise Unusable(f"{name} is not the file that its record was made with")
    except OSError as error:
        raise Unusable(f"{Path(str(error.filename)).name}: {error.strerror}") from None
    except ValueError as error:
        raise Unusable(f"model.json: {str(error).splitlines()[0]}") from None
    return kept


def _same(source: TrialRecord) -> OnTest:
    return OnTest(
        metrics=source.metrics,
        per_kind=source.per_kind,
        per_class=source.per_class,
        confusion=source.confusion,
        threshold=source.threshold,
    )


def _judged(strategy: str, source: TrialRecord, run: RunFolder) -> OnTest:
    """What a record says of a detector at another threshold: what depends on none stays."""
    with np.load(run.predictions(source.variant, source.seed), allow_pickle=False) as kept:
        scores, labels = kept["scores"], kept["labels"]
        kinds = [os.fsdecode(kind) for kind in kept["kinds"]]
        value = parse_strategy(strategy).fit(kept["validation_scores"], kept["validation_labels"])
    of_kinds = per_kind(scores, labels, kinds, value)
    return OnTest(
        metrics={**grade_detection(scores, labels, value), **_pixel(source.metrics)},
        per_kind={kind: {**found, **_pixel(source.per_kind.get(kind, {}))} for kind, found in of_kinds.items()},
        threshold=ThresholdChoice(strategy=strategy, value=value),
    )


def _without_thresholded(history: list[dict[str, float]]) -> list[dict[str, float]]:
    """The epochs without what was measured at the other strategy's threshold."""
    return [{name: number for name, number in row.items() if not needs_threshold(name)} for row in history]


def _pixel(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if needs_masks(name)}


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
