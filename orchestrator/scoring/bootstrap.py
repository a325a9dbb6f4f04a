"""The bootstrap over test pictures: how far a metric would move on another test set of the same size."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from orchestrator.scoring.confusion_counts import check_detection
from orchestrator.scoring.draws import DRAWS, FEW_DRAWS, Sources, picture_counts, picture_weights
from orchestrator.scoring.judged import Classified, Detected, DrawnAnomalies, DrawnClasses
from orchestrator.scoring.metric_table import Metric, metrics_of
from orchestrator.scoring.metrics import check_scores
from orchestrator.scoring.resampled import Accumulated, Resampled
from trainables.interface import Task

Draws = dict[str, Resampled]


def resample_metrics(
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    groups: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
) -> Draws:
    """Every classification metric on bootstrap draws of the pictures: (draws, S) by name.

    `scores` (S, N, C) are the S seeds' class probabilities of the same N pictures, `labels` (N,) their classes,
    `groups` (N,) numbers from 0 without gaps: the source picture of each (see `Sources`). A draw is the same for all S
    seeds, and for every call with the same labels, groups, draws and seed: so differences between models are paired.
    A draw that misses a class which the pictures have is drawn again.
    """
    seeds, count, _ = scores.shape
    probabilities = np.stack([check_scores(one, labels, classes) for one in scores])
    cells = labels * len(classes) + probabilities.argmax(axis=2)
    truth = np.take_along_axis(probabilities, np.broadcast_to(labels, (seeds, count))[:, :, None], axis=2)[:, :, 0]
    # scikit-learn's clipping in log_loss.
    losses = -np.log(np.clip(truth, np.finfo(np.float64).eps, 1.0)).T

    size = len(classes) ** 2
    columns = (cells + np.arange(seeds)[:, None] * size).T.ravel()
    rows = np.repeat(np.arange(count), seeds)
    indicator = sparse.csr_array((np.ones(count * seeds), (rows, columns)), shape=(count, seeds * size)).T.tocsr()

    sources = Sources.of(groups, labels)
    present = [labels == label for label in np.unique(labels)]
    found = Accumulated(sources)
    for weights in picture_weights(sources, draws, seed, present):
        confusions = (indicator @ weights.T).T.reshape(len(weights), seeds, len(classes), len(classes))
        drawn = DrawnClasses(confusions, (weights @ losses) / weights.sum(axis=1, keepdims=True))
        found.add(weights, _of_rows("classification", drawn))
    return found.resampled()


def resample_detection(
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    thresholds: NDArray[np.float64] | None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Draws:
    """Every image metric of detection on bootstrap draws of the pictures: (draws, S) by name.

    `scores` (S, N) are the S seeds' anomaly scores of the same N pictures, `labels` (N,) 0 or 1, `groups` as in
    `resample_metrics`, `thresholds` (S,) each seed's, chosen before and the same in every draw; None: the metrics that
    need one are left out. A draw is the same for all S seeds, and for every call with the same labels, groups, draws
    and seed. One that misses a class is drawn again. Metrics that `grade_detection` leaves out are left out here.
    """
    checked = np.stack([check_detection(one, labels)[0] for one in scores])
    anomalous = labels == 1
    present = [rows for rows in (anomalous, ~anomalous) if rows.any()]
    above = None
    if thresholds is not None:
        thresholds = np.asarray(thresholds, dtype=np.float64)
        if thresholds.shape != (len(checked),) or not np.isfinite(thresholds).all():
            raise ValueError(f"There must be one finite threshold a seed, {len(checked)}; got {thresholds.tolist()}.")
        above = checked > thresholds[:, None]
    sources = Sources.of(groups, labels)
    found = Accumulated(sources)
    for weights in picture_weights(sources, draws, seed, present):
        found.add(weights, _of_rows("detection", DrawnAnomalies(checked, anomalous, weights, above)))
    return found.resampled()


def resample_value(
    metric: Metric, judged: Classified | Detected, groups: NDArray[np.int64], draws: int = FEW_DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """A metric that has no `resampled` of its own, on bootstrap draws of the pictures, one by one: (draws,).

    Draws as in `resample_metrics` and `resample_detection`; NaN where the metric is not defined. One that needs masks
    gives none: maps of resampled pictures would be too large.
    """
    if metric.value is None or metric.pixel:
        return np.empty(0)
    sources = Sources.of(groups, judged.labels)
    present = [judged.labels == label for label in np.unique(judged.labels)]
    found = []
    for chunk in picture_counts(sources, draws, seed, present):
        for counts in chunk:
            value = metric.value(judged.at(np.repeat(np.arange(len(counts)), counts)))
            found.append(np.nan if value is None else float(value))
    return np.array(found)


def _of_rows(task: Task, drawn: DrawnClasses | DrawnAnomalies) -> dict[str, NDArray[np.float64]]:
    """Every metric of a task whose row says how it is resampled, as far as it is defined."""
    rows = {row.name: row.resampled for row in metrics_of(task) if not row.pixel and row.resampled is not None}
    found = {name: resampled(drawn) for name, resampled in rows.items()}
    return {name: values for name, values in found.items() if values is not None}
