"""The bootstrap over test pictures: how far a metric would move on another test set of the same size."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from orchestrator.scoring.cuts import check_detection, rates
from orchestrator.scoring.draws import DRAWS, picture_weights
from orchestrator.scoring.metrics import check_scores

Draws = dict[str, NDArray[np.float64]]
# Halves of whole numbers up to this are exact in single precision, and so are their sums.
_EXACT = 1 << 23
# Rows that are summed up at a time.
_BLOCK = 32


def macro_metrics(confusions: NDArray[np.float64]) -> Draws:
    """Metrics (...) of confusion counts (..., C, C) with true classes in rows; 0 where a class has no count."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    true, predicted = confusions.sum(axis=-1), confusions.sum(axis=-2)

    def share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)

    return {
        "accuracy": share(hits.sum(axis=-1), true.sum(axis=-1)),
        "macro_precision": share(hits, predicted).mean(axis=-1),
        "macro_recall": share(hits, true).mean(axis=-1),
        "macro_f1": share(2 * hits, true + predicted).mean(axis=-1),
    }


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
    `groups` (N,) numbers from 0 without gaps: the source picture of each (see `picture_weights`). A draw is the same
    for all S seeds, and for every call with the same groups, draws and seed: so differences between models are paired.
    A class that a draw misses counts 0, as it does in `grade`.
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

    parts: list[Draws] = []
    for weights in picture_weights(groups, draws, seed):
        confusions = (indicator @ weights.T).T.reshape(len(weights), seeds, len(classes), len(classes))
        metrics = macro_metrics(confusions)
        metrics["log_loss"] = (weights @ losses) / weights.sum(axis=1, keepdims=True)
        parts.append(metrics)
    return joined(parts)


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
    hits = false_alarms = None
    if thresholds is not None:
        thresholds = np.asarray(thresholds, dtype=np.float64)
        if thresholds.shape != (len(checked),) or not np.isfinite(thresholds).all():
            raise ValueError(f"There must be one finite threshold a seed, {len(checked)}; got {thresholds.tolist()}.")
        above = checked > thresholds[:, None]
        hits = (above & anomalous).T.astype(np.float64)
        false_alarms = (above & ~anomalous).T.astype(np.float64)
    parts: list[Draws] = []
    for weights in picture_weights(groups, draws, seed, present):
        anomalies = (weights @ anomalous)[:, None]
        totals = anomalies, weights.sum(axis=1, keepdims=True) - anomalies
        metrics = _ranked(checked, anomalous, weights, *totals) if len(present) == 2 else {}
        if hits is not None and false_alarms is not None:
            metrics |= rates(weights @ hits, weights @ false_alarms, *totals)
        parts.append(metrics)
    return joined(parts)


def joined(parts: Sequence[Draws]) -> Draws:
    """The chunks of draws as one, by name."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ranked(
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_],
    weights: NDArray[np.float64],
    anomalies: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> Draws:
    """ROC-AUC and average precision (scikit-learn's definition of both), (draws, S); equal scores are one step.

    Average precision to 1e-6: single precision holds every count, but not every share.
    """
    exact = float((anomalies * normals).max()) < _EXACT
    columns: NDArray[np.floating] = np.ascontiguousarray(weights.T, dtype=np.float32 if exact else np.float64)
    positives, negatives = np.flatnonzero(anomalous), np.flatnonzero(~anomalous)
    missed, precision = [], []
    for one in scores:
        # From the highest score down: what stands before a place is above it.
        hits_at, alarms_at = (rows[np.argsort(-one[rows])] for rows in (positives, negatives))
        levels, others = -one[hits_at], -one[alarms_at]
        above, from_here = (np.searchsorted(others, levels, side) for side in ("left", "right"))
        drawn, alarms = columns[hits_at], _running(columns, alarms_at)
        found = alarms[from_here]
        tied = not np.array_equal(above, from_here)
        missed.append(np.einsum("pd,pd->d", drawn, (found + alarms[above]) / 2 if tied else found))
        hits = _running(columns, hits_at)[np.searchsorted(levels, levels, "right")]
        found += hits
        share = np.divide(hits, found, out=hits, where=found > 0)
        precision.append(np.einsum("pd,pd->d", drawn, share))
    return {
        "roc_auc": 1 - np.stack(missed, axis=1) / (anomalies * normals),
        "average_precision": np.stack(precision, axis=1) / anomalies,
    }


def _running(columns: NDArray[np.floating], order: NDArray[np.int64]) -> NDArray[np.floating]:
    """Row k is the sum of the first k of `columns[order]`, from 0 to all at least: numpy.cumsum, but faster.

    Sums run within blocks of rows first, all blocks and all columns at once, then over the blocks.
    """
    draws = columns.shape[1]
    sums = np.zeros((-(-(len(order) + 1) // _BLOCK) * _BLOCK, draws), dtype=columns.dtype)
    np.take(columns, order, axis=0, out=sums[1 : len(order) + 1], mode="clip")
    blocks = sums.reshape(-1, _BLOCK, draws)
    for row in range(1, _BLOCK):
        blocks[:, row] += blocks[:, row - 1]
    blocks[1:] += np.cumsum(blocks[:-1, -1], axis=0)[:, None]
    return sums
