"""What a metric is computed from: the scores of some pictures beside what is true of them, as they are or resampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.confusion_counts import rates, verdict_rates
from orchestrator.scoring.defects import PixelRanks

if TYPE_CHECKING:
    # Only for the types: a report is written without torch.
    from trainables.interface import Pictures

Floats = NDArray[np.float64]
# Up to this, single precision holds sums of weights to 1e-6 of themselves.
_EXACT = 1 << 23
# Rows that are summed up at a time.
_BLOCK = 32


@dataclass(frozen=True)
class Classified:
    """Class probabilities of N pictures, and their classes."""

    probabilities: Floats
    """(N, C), rows that sum to one."""
    labels: NDArray[np.int64]
    """(N,), indexes into `classes`."""
    classes: Sequence[str]

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """(N,): the most probable class, the first of equals."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @cached_property
    def macro(self) -> tuple[float, float, float]:
        """Precision, recall and F1, averaged over `classes` with equal weight (scikit-learn's, `zero_division=0`)."""
        from sklearn.metrics import precision_recall_fscore_support  # seconds, which a wrong key should not cost

        precision, recall, f1, _ = precision_recall_fscore_support(
            self.labels, self.predicted, labels=np.arange(len(self.classes)), average="macro", zero_division=0
        )
        return float(precision), float(recall), float(f1)

    def at(self, rows: NDArray[np.int64]) -> Classified:
        """The pictures at some rows, of which one may stand there several times."""
        return Classified(self.probabilities[rows], self.labels[rows], self.classes)


@dataclass(frozen=True)
class Detected:
    """Anomaly scores of N pictures, which of them are anomalies, and where the line is drawn."""

    scores: Floats
    """(N,), higher is stranger."""
    labels: NDArray[np.int64]
    """(N,), 0 normal and 1 anomalous."""
    threshold: float | None = None
    """Scores above it are called anomalies."""
    maps: NDArray[np.floating] | None = None
    """(N, H, W), higher is stranger."""
    masks: Pictures | None = None
    """(N, H, W): 255 where a defect is."""
    masked: NDArray[np.bool_] | None = None
    """(N,): where the mask is known; None: everywhere."""
    pixels: PixelRanks | None = None
    """How the defect pixels of the pictures that count rank among the normal ones; None: not known."""

    @cached_property
    def both(self) -> bool:
        """Whether there are normals and anomalies."""
        return 0 < int(self.labels.sum()) < len(self.labels)

    @cached_property
    def rates(self) -> dict[str, float]:
        """TPR, TNR, F1 and balanced accuracy at the threshold, those that are defined."""
        return {} if self.threshold is None else verdict_rates(self.scores > self.threshold, self.labels)

    def at(self, rows: NDArray[np.int64]) -> Detected:
        """The pictures at some rows, of which one may stand there several times; without maps."""
        return Detected(self.scores[rows], self.labels[rows], self.threshold)


@dataclass(frozen=True)
class DrawnClasses:
    """The predictions of S seeds on many draws of the pictures."""

    confusions: NDArray[np.float64]
    """(draws, S, C, C) weighted counts, true classes in rows."""
    losses: NDArray[np.float64]
    """(draws, S): the mean negative log probability of the true class."""

    @cached_property
    def hits(self) -> NDArray[np.float64]:
        """(draws, S, C): how many of each class were found."""
        return np.diagonal(self.confusions, axis1=-2, axis2=-1)

    @cached_property
    def true(self) -> NDArray[np.float64]:
        """(draws, S, C): how many of each class there are."""
        counts: NDArray[np.float64] = self.confusions.sum(axis=-1)
        return counts

    @cached_property
    def predicted(self) -> NDArray[np.float64]:
        """(draws, S, C): how many were taken for each class."""
        counts: NDArray[np.float64] = self.confusions.sum(axis=-2)
        return counts

    @staticmethod
    def share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
        """part / whole; 0 where a class has no count."""
        return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


@dataclass(frozen=True)
class DrawnAnomalies:
    """The anomaly scores of S seeds on many draws of the pictures."""

    scores: NDArray[np.float64]
    """(S, N)."""
    anomalous: NDArray[np.bool_]
    """(N,)."""
    weights: NDArray[np.float64]
    """(draws, N): what each picture weighs in each draw."""
    above: NDArray[np.bool_] | None
    """(S, N): which scores lie above their seed's threshold; None: there is none."""

    @cached_property
    def totals(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How many anomalies and normals each draw holds, (draws, 1) each."""
        anomalies = (self.weights @ self.anomalous)[:, None]
        return anomalies, self.weights.sum(axis=1, keepdims=True) - anomalies

    @cached_property
    def ranked(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """ROC-AUC and average precision, (draws, S) each; None without both classes."""
        if not self.anomalous.any() or self.anomalous.all():
            return None
        return _ranked(self.scores, self.anomalous, self.weights, *self.totals)

    @cached_property
    def rates(self) -> dict[str, NDArray[np.float64]]:
        """What the thresholds give, (draws, S) by name; none without them."""
        if self.above is None:
            return {}
        hits, false_alarms = (
            self.weights @ (self.above & rows).T.astype(np.float64) for rows in (self.anomalous, ~self.anomalous)
        )
        return rates(hits, false_alarms, *self.totals)


def _ranked(
    scores: NDArray[np.float64],
    anomalous: NDArray[np.bool_],
    weights: NDArray[np.float64],
    anomalies: NDArray[np.float64],
    normals: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ROC-AUC and average precision (scikit-learn's definition of both), (draws, S); equal scores are one step.

    To some 1e-6, as single precision holds the weights.
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
    return 1 - np.stack(missed, axis=1) / (anomalies * normals), np.stack(precision, axis=1) / anomalies


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
