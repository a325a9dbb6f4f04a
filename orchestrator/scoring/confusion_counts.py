"""Every way to cut anomaly scores in two, and what a cut is worth. A score ABOVE the threshold is an anomaly."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATES = ("balanced_accuracy", "f1", "tpr", "tnr")
"""What a threshold gives."""


def check_detection(
    scores: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Anomaly scores (N,) as float64 and labels (N,) of 0 and 1; ValueError names a broken rule."""
    values, labels = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"Labels must be (N,) with N of at least 1; got shape {labels.shape}.")
    if values.shape != labels.shape:
        raise ValueError(f"Anomaly scores must be (N,) = {labels.shape}, one a label; got {values.shape}.")
    outside = (labels != 0) & (labels != 1)
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(f"Labels must be 0, normal, or 1, anomalous; row {row} holds {labels[row]}.")
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(f"Scores must be finite; {bad.sum()} of {len(values)} are not, row {int(bad.argmax())} first.")
    return values, labels.astype(np.int64)


def check_threshold(threshold: float | None) -> None:
    """ValueError for one that is not finite; None: there is none."""
    if threshold is not None and not math.isfinite(threshold):
        raise ValueError(f"A threshold must be finite; got {threshold}.")


def rates(hits: Any, false_alarms: Any, anomalies: Any, normals: Any) -> dict[str, Any]:
    """TPR = hits/anomalies, TNR = 1 − false alarms/normals, their mean, and F1, from counts or arrays of counts.

    Left out are those that are undefined: without anomalies all but TNR, without normals TNR and the mean. F1 is
    2·hits / (hits + false alarms + anomalies): 0 where nothing is found. Array totals are all 0 or all positive.
    """
    has_anomalies, has_normals = bool(np.all(anomalies)), bool(np.all(normals))
    values: dict[str, Any] = {}
    if has_anomalies:
        values["tpr"] = hits / anomalies
        values["f1"] = 2 * hits / (hits + false_alarms + anomalies)
    if has_normals:
        values["tnr"] = (normals - false_alarms) / normals
    if has_anomalies and has_normals:
        values["balanced_accuracy"] = (values["tpr"] + values["tnr"]) / 2
    return {name: values[name] for name in RATES if name in values}


def verdict_rates(above: NDArray[np.bool_], labels: NDArray[np.int64]) -> dict[str, float]:
    """The rates of verdicts (N,), True for those called anomalies, on labels (N,); undefined ones are left out."""
    anomalies, hits = int(labels.sum()), int(labels[above].sum())
    false_alarms = int(above.sum()) - hits
    return {name: float(value) for name, value in rates(hits, false_alarms, anomalies, len(labels) - anomalies).items()}


@dataclass(frozen=True)
class Cuts:
    """The K + 1 ways to cut scores of K distinct values, from the lowest threshold to the highest."""

    thresholds: NDArray[np.float64]
    """(K+1,): just below the lowest score; midway between each two neighbours; the highest score itself."""
    hits: NDArray[np.int64]
    """(K+1,): anomalies above."""
    false_alarms: NDArray[np.int64]
    """(K+1,): normals above."""

    def rates(self) -> dict[str, NDArray[np.float64]]:
        """Each defined metric of each cut, (K+1,) by name."""
        return rates(self.hits, self.false_alarms, self.hits[0], self.false_alarms[0])

    def best(self, values: NDArray[np.generic]) -> int:
        """The row of the highest of `values` (K+1,); of equal ones the highest threshold: the fewest alarms."""
        return len(values) - 1 - int(np.argmax(values[::-1]))


def cuts(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> Cuts:
    """All cuts of checked scores (N,) with labels (N,)."""
    order = np.argsort(scores)
    ranked = scores[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] > ranked[:-1]])
    values = ranked[starts]
    low, high = values[:-1], values[1:]
    middle = low / 2 + high / 2
    # Between neighbouring floats the midpoint may round up to the higher one, which must stay above.
    middle = np.where((middle >= low) & (middle < high), middle, low)
    anomalies = np.add.reduceat(labels[order], starts)
    counts = np.diff(np.r_[starts, len(scores)])

    def above(parts: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.append(np.cumsum(parts[::-1])[::-1], 0)

    return Cuts(np.r_[just_below(values[0]), middle, values[-1]], above(anomalies), above(counts - anomalies))


def just_below(value: float) -> float:
    """The next float64: the threshold that a score of `value` is just above."""
    return float(np.nextafter(value, -np.inf))
