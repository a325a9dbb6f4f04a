"""A cell whose model was trained for another: its kept scores are judged anew, and nothing is trained."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.checksums import file_sha256
from orchestrator.models import KeptModel
from orchestrator.records import Provenance, ThresholdChoice, TrialRecord
from orchestrator.run_folder import RunFolder
from orchestrator.scoring.detection import grade_detection, per_kind
from orchestrator.scoring.metric_table import METRICS
from orchestrator.scoring.thresholds import parse_strategy
from orchestrator.search.cells import Cell, strategy_of
from orchestrator.search.evaluation import log_reading, record_of

WEIGHTS = "weights.pt"


class Unusable(Exception):
    """What another cell left behind is not whole."""


def rejudge(cell: Cell, source: TrialRecord, run: RunFolder, log: Path, origin: Provenance) -> TrialRecord:
    """The record of a cell that differs from a completed one in its folder, and maybe in its threshold strategy.

    Its folder gets copies of the other's files. Raises Unusable where these are not what the other's record was made
    with, and OSError where the copies can't be written.
    """
    started = time.perf_counter()
    kept = _whole(run, source)
    same = cell.strategy == strategy_of(source)
    outcome = _same(source) if same else _judged(cell, source, run)
    if cell.strategy is not None:
        threshold = outcome["threshold"]
        assert isinstance(threshold, ThresholdChoice)
        kept = kept.model_copy(update={"threshold": threshold.value})
    log_reading(log, cell, kept.weights)
    _copy(run.model(source.variant, source.seed), run.model(cell.variant, cell.seed), kept, cell)
    return record_of(
        cell,
        origin,
        **outcome,
        epoch=source.epoch,
        facts={**source.facts, "scores taken over from": source.variant},
        files=source.files,
        parameters=source.parameters,
        status="completed",
        # The same cell cost what it cost. Another strategy costs only this.
        seconds=source.seconds if same else time.perf_counter() - started,
        gpus=source.gpus if same else 0.0,
    )


def _whole(run: RunFolder, source: TrialRecord) -> KeptModel:
    """What stands beside the weights of a completed cell, once its files are found to be those of its record."""
    folder = run.model(source.variant, source.seed)
    scores = run.predictions(source.variant, source.seed).name
    try:
        kept = KeptModel.model_validate_json((folder / "model.json").read_bytes())
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


def _same(source: TrialRecord) -> dict[str, Any]:
    names = ("metrics", "per_kind", "per_class", "confusion", "threshold", "history", "energy", "peak_memory")
    return {name: getattr(source, name) for name in names}


def _judged(cell: Cell, source: TrialRecord, run: RunFolder) -> dict[str, Any]:
    """What a record says of a detector at another threshold: what depends on none stays."""
    assert cell.strategy is not None
    with np.load(run.predictions(source.variant, source.seed), allow_pickle=False) as kept:
        scores, labels = kept["scores"], kept["labels"]
        kinds = [os.fsdecode(kind) for kind in kept["kinds"]]
        value = parse_strategy(cell.strategy).fit(kept["validation_scores"], kept["validation_labels"])
    of_kinds = per_kind(scores, labels, kinds, value)
    return {
        "metrics": {**grade_detection(scores, labels, value), **_pixel(source.metrics)},
        "per_kind": {kind: {**found, **_pixel(source.per_kind.get(kind, {}))} for kind, found in of_kinds.items()},
        "threshold": ThresholdChoice(strategy=cell.strategy, value=value),
        "history": [
            {name: number for name, number in row.items() if name not in METRICS or not METRICS[name].thresholded}
            for row in source.history
        ],
    }


def _pixel(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name in METRICS and METRICS[name].pixel}


def _copy(source: Path, target: Path, kept: KeptModel, cell: Cell) -> None:
    """A model's folder for another cell, whole or not at all."""
    draft = target.with_name(f"{target.name}.part")
    if draft.exists():  # of a copy that was broken off
        shutil.rmtree(draft)
    for path in sorted(source.rglob("*")):
        copy = draft / path.relative_to(source)
        if path.is_file() and not path.is_symlink():
            copy.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(path, copy)
    note = kept.model_copy(update={"variant": cell.variant, "seed": cell.seed, "config": cell.config})
    (draft / "model.json").unlink()
    (draft / "model.json").write_text(note.model_dump_json(indent=2), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    draft.replace(target)


def _link_or_copy(path: Path, copy: Path) -> None:
    # Weights are large, and never written in place.
    if path.name == WEIGHTS:
        try:
            copy.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, copy)
    else:
        shutil.copyfile(path, copy)
