"""The kept scores of evaluated cells, and the bootstrap over their test pictures."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.bootstrap import Draws, resample_detection, resample_metrics
from orchestrator.scoring.draws import Sources
from orchestrator.scoring.metric_table import METRICS
from orchestrator.scoring.pixels import PixelHistograms, resample_pixels
from orchestrator.scoring.resampled import Resampled, side_by_side
from trainables.files import file_sha256

UNREADABLE = (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class ValidationScores:
    """One detection cell's anomaly scores of the validation part, and its labels: both (V,)."""

    scores: NDArray[np.float64]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class VariantScores:
    """One variant's test scores, with the pictures in the order of their paths."""

    seeds: tuple[int, ...]
    scores: NDArray[np.float64]
    """Classification (S, N, C); detection (S, N)."""
    labels: NDArray[np.int64]
    paths: NDArray[np.bytes_]
    classes: tuple[str, ...]
    groups: NDArray[np.int64]
    """(N,): the source picture of each, numbered by name; where none was kept, each is its own."""
    orders: tuple[NDArray[np.int64], ...]
    """For each seed, the row of its file that each picture stands in."""
    validation: tuple[ValidationScores | None, ...]
    """For each seed; None where none was kept, and for classification."""

    def same_pictures(self, other: "VariantScores") -> bool:
        """Whether a draw means the same pictures for both."""
        ours, theirs = ((one.paths, one.labels, one.groups) for one in (self, other))
        return all(np.array_equal(mine, its) for mine, its in zip(ours, theirs, strict=True))


def read_scores(data: RunData, records: Sequence[TrialRecord]) -> tuple[VariantScores | None, str]:
    """The scores of one variant's completed cells; or None and the reason. Nothing is unpickled.

    Each record's own `variant` and `seed` say where its file lies.
    """
    parts: list[VariantScores] = []
    for record in records:
        try:
            part = _read_cell(data, record)
        except FileNotFoundError:
            return None, f"the test scores of seed {record.seed} are missing"
        except UNREADABLE as error:
            return None, f"the test scores of seed {record.seed} can't be read ({error})"
        if parts and not (part.same_pictures(parts[0]) and part.classes == parts[0].classes):
            return None, f"the test pictures of seed {record.seed} differ from those of seed {parts[0].seeds[0]}"
        parts.append(part)
    if not parts:
        return None, "no cell was evaluated"
    first = parts[0]
    return VariantScores(
        tuple(seed for part in parts for seed in part.seeds),
        np.concatenate([part.scores for part in parts]),
        first.labels,
        first.paths,
        first.classes,
        first.groups,
        tuple(order for part in parts for order in part.orders),
        tuple(kept for part in parts for kept in part.validation),
    ), ""


def _read_cell(data: RunData, record: TrialRecord) -> VariantScores:
    """One cell's file. Raises one of UNREADABLE where it is missing or not what was kept."""
    detection = data.task == "detection"
    path = data.run.predictions(record.variant, record.seed)
    check_file(record, path)
    with np.load(path, allow_pickle=False) as kept:
        names = [os.fsdecode(name) for name in kept["classes"]] if "classes" in kept.files else data.classes
        # Kept as bytes, since a path need not be text.
        paths = np.array([os.fsencode(path) for path in kept["paths"]])
        order = np.argsort(paths, kind="stable")
        sources = kept["groups"] if "groups" in kept.files and len(kept["groups"]) else paths
        if len(sources) != len(paths):
            raise ValueError(f"it names {len(sources)} source pictures for {len(paths)} pictures")
        _, groups = np.unique(sources, return_inverse=True)
        scores = np.asarray(kept["scores"], dtype=np.float64)
        labels = np.asarray(kept["labels"], dtype=np.int64)
        validation = None
        if detection:
            _check_detection(scores, labels)
            if "validation_scores" in kept.files and len(kept["validation_scores"]):
                validation = ValidationScores(
                    np.asarray(kept["validation_scores"], dtype=np.float64),
                    np.asarray(kept["validation_labels"], dtype=np.int64),
                )
                _check_detection(validation.scores, validation.labels)
        return VariantScores(
            (record.seed,),
            scores[None, order],
            labels[order],
            paths[order],
            tuple(names),
            groups[order],
            (order,),
            (validation,),
        )


def check_file(record: TrialRecord, path: Path) -> None:
    """ValueError where a file of scores is not the one that the record was made from."""
    if path.name in record.files and file_sha256(path) != record.files[path.name]:
        raise ValueError("it is not the file that the record was made with")


def _check_detection(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    """ValueError where these are no anomaly scores with their labels."""
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(f"anomaly scores must be one a picture; these are {scores.shape} for {labels.shape} labels")
    if not np.isfinite(scores).all():
        raise ValueError("anomaly scores must be finite")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be 0 for normal or 1 for anomalous")


def thresholds(records: Sequence[TrialRecord]) -> NDArray[np.float64]:
    """(S,): where each cell draws the line; NaN where it says nothing of it."""
    return np.array([np.nan if one.threshold is None else one.threshold.value for one in records])


def resample(data: RunData, records: Sequence[TrialRecord], kept: VariantScores) -> tuple[Draws, str]:
    """Each metric on bootstrap draws of the test pictures, whole source pictures together: (draws, S) by name.

    `records` are those that `kept` was read from. Also what is wrong, in words. Equal pictures get equal draws, so that
    differences between variants are paired.
    """
    try:
        if data.task == "classification":
            draws, reason = resample_metrics(kept.scores, kept.labels, kept.classes, kept.groups), ""
        else:
            lines = thresholds(records)
            known = lines if np.isfinite(lines).all() else None
            draws = resample_detection(kept.scores, kept.labels, kept.groups, known)
            pixels, reason = _resample_pixels(data, records, kept)
            draws |= pixels
    except ValueError as error:
        return {}, f"the test scores break a rule: {error}"
    own, wrong = _own_draws(data, records, Sources.of(kept.groups, kept.labels))
    return draws | own, reason or wrong


def _own_draws(data: RunData, records: Sequence[TrialRecord], sources: Sources) -> tuple[Draws, str]:
    """Metrics of the user's own on draws, as the evaluation kept them; and what is wrong, in words."""
    parts: list[Draws] = []
    for record in records if data.own_metrics else ():
        path = data.run.draws(record.variant, record.seed)
        if path.name not in record.files:
            return {}, ""
        try:
            check_file(record, path)
            with np.load(path, allow_pickle=False) as kept:
                drawn = {name: np.asarray(kept[name], dtype=np.float64) for name in kept.files}
            parts.append({name: Resampled(values[:, None], sources) for name, values in drawn.items() if values.size})
        except UNREADABLE as error:
            return {}, f"the draws of seed {record.seed} can't be read ({error})"
    return _by_seed(parts), ""


def _by_seed(parts: Sequence[Draws]) -> Draws:
    """The draws of each seed, of the metrics that all have, side by side."""
    names = set.intersection(*(set(part) for part in parts)) if parts else set()
    return {name: side_by_side([part[name] for part in parts]) for name in sorted(names)}


def pixel_histograms(data: RunData, records: Sequence[TrialRecord]) -> tuple[list[PixelHistograms], str]:
    """Of each cell, the histograms of its anomaly maps; or none and why, which is empty for data without masks."""
    judged = any(METRICS[name].pixel for one in records for name in one.metrics if name in METRICS)
    found = []
    for record in records:
        path = data.run.pixels(record.variant, record.seed)
        try:
            check_file(record, path)
            found.append(PixelHistograms.load(path))
        except FileNotFoundError:
            return [], f"the pixel histograms of seed {record.seed} are missing" if judged else ""
        except UNREADABLE as error:
            return [], f"the pixel histograms of seed {record.seed} can't be read ({error})"
    return found, ""


def _resample_pixels(data: RunData, records: Sequence[TrialRecord], kept: VariantScores) -> tuple[Draws, str]:
    histograms, reason = pixel_histograms(data, records)
    parts: list[Draws] = []
    for found, order in zip(histograms, kept.orders, strict=False):
        # The histograms' rows are in the file's order, the groups in that of paths.
        groups = np.empty_like(kept.groups)
        groups[order] = kept.groups
        try:
            parts.append(resample_pixels(found, groups))
        except (ValueError, IndexError) as error:
            return {}, f"the pixel histograms break a rule: {error}"
    return _by_seed(parts), reason
