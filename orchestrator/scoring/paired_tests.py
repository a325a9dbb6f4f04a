"""Tests of two models on the same pictures: DeLong's for ROC-AUC, McNemar's for hits, and how seeds are merged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats


@dataclass(frozen=True)
class PairedTest:
    """One test of two models on the same pictures."""

    difference: float
    """First minus second: of ROC-AUC, or of the share of right answers."""
    error: float | None
    """The standard error of the difference; None where the test needs none."""
    p: float | None
    """Two-sided; None where the test can't be made."""


def delong(first: NDArray[np.float64], second: NDArray[np.float64], labels: NDArray[np.int64]) -> PairedTest:
    """DeLong's test of two correlated ROC-AUCs.

    `first`, `second` (N,): the anomaly scores that two models give the same N pictures; `labels` (N,): 1 anomalous, 0
    normal. Ties count one half. The variance is that of DeLong, DeLong and Clarke-Pearson 1988, by the midranks of Sun
    and Xu 2014: O(N log N). It takes pictures as independent. Where it is 0, p is 1 for equal ROC-AUCs, else None.

    Raises ValueError where shapes differ, a score is not finite, or a class has fewer than two pictures.
    """
    scores = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)])
    if scores.ndim != 2 or scores.shape[1] != len(labels) or not np.isfinite(scores).all():
        raise ValueError(f"Scores must be finite and one a label; got {scores.shape} for {len(labels)} labels.")
    anomalous = labels == 1
    m, n = int(anomalous.sum()), int((~anomalous).sum())
    if min(m, n) < 2:
        raise ValueError(f"DeLong's test needs two pictures of each class; there are {m} anomalous and {n} normal.")
    ranks = stats.rankdata(scores, axis=1)
    positive = stats.rankdata(scores[:, anomalous], axis=1)
    negative = stats.rankdata(scores[:, ~anomalous], axis=1)
    # The share of normals below each anomaly, and of anomalies above each normal picture: (2, m) and (2, n).
    above = (ranks[:, anomalous] - positive) / n
    below = 1 - (ranks[:, ~anomalous] - negative) / m
    areas = above.mean(axis=1)
    covariance = np.cov(above) / m + np.cov(below) / n
    difference = float(areas[0] - areas[1])
    # Rounding can leave a trace where both models rank alike.
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= 1e-15:
        return PairedTest(difference, 0.0, 1.0 if abs(difference) < 1e-12 else None)
    error = float(np.sqrt(variance))
    return PairedTest(difference, error, float(2 * stats.norm.sf(abs(difference) / error)))


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """McNemar's exact test (McNemar 1947) of two classifiers' hits on the same pictures.

    `first`, `second` (N,): whether each picture's answer is right. Only pictures on which they differ count, each as a
    throw of a fair coin; with none, p is 1. Raises ValueError where shapes differ or there is no picture.
    """
    if first.shape != second.shape or first.ndim != 1 or not len(first):
        raise ValueError(f"Hits must be one a picture for both models; got {first.shape} and {second.shape}.")
    gained, lost = int((first & ~second).sum()), int((~first & second).sum())
    p = float(stats.binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return PairedTest((gained - lost) / len(first), None, p)


def merged_p(p_values: Sequence[float]) -> float | None:
    """One p-value of several that may depend on each other in any way: twice their median, at most 1.

    Valid under any dependence (Rüger 1978; Vovk and Wang 2020, "Combining p-values via averaging"). It is small only
    where at least half of the p-values are. One p-value is itself; none give None.
    """
    if len(p_values) < 2:
        return float(p_values[0]) if p_values else None
    return float(min(1.0, 2 * np.median(p_values)))
