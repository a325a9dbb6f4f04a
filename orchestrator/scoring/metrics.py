"""Scores and labels to metrics: the only place where a prediction is graded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from orchestrator.artifacts.records import ClassScores
from orchestrator.scoring.detection import grade_detection
from orchestrator.scoring.judged import Classified
from orchestrator.scoring.metric_table import METRICS, Metric, graded

if TYPE_CHECKING:
    # Only for the types: a report is written without torch.
    from trainables.interface import Pictures, Prediction, Task

# Softmax in half precision leaves row sums this far from one.
SUM_TOLERANCE = 1e-2


def grade(
    prediction: Prediction,
    labels: NDArray[np.int64],
    classes: Sequence[str],
    task: Task = "classification",
    *,
    threshold: float | None = None,
    masks: Pictures | None = None,
    masked: NDArray[np.bool_] | None = None,
    own: Sequence[Metric] = (),
) -> dict[str, float]:
    """The metrics of `task` by name, and one's `own`, as plain floats; the same input gives the same numbers.

    Classification: every metric. `labels` (N,) index into `classes`. The predicted class is the most probable one, the
    first of equals. Macro averages run over all of `classes`; a class that is neither present nor predicted counts 0
    (scikit-learn's `zero_division=0`).
    Detection: those that are defined for these labels, `threshold`, and `masks` (N, H, W) known where `masked` (N,):
    see `grade_detection`. Raises ValueError where scores or labels break a rule.
    """
    if task == "detection":
        return grade_detection(prediction.scores, labels, threshold, prediction.maps, masks, masked, own=own)
    if task != "classification":
        known = ", ".join(sorted({metric.task for metric in METRICS.values()}))
        raise ValueError(f"Task {task!r} has no metrics. Tasks with metrics: {known}.")
    scores = check_scores(prediction.scores, labels, classes)
    return graded("classification", Classified(scores, labels, classes), own)


def per_class(prediction: Prediction, labels: NDArray[np.int64], classes: Sequence[str]) -> dict[str, ClassScores]:
    """Precision, recall, F1 and the number of true samples of each class, in the order of `classes`."""
    predicted = check_scores(prediction.scores, labels, classes).argmax(axis=1)
    columns = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), average=None, zero_division=0
    )
    return {
        name: ClassScores(precision=float(precision), recall=float(recall), f1=float(f1), support=int(support))
        for name, precision, recall, f1, support in zip(classes, *columns, strict=True)
    }


def confusion(prediction: Prediction, labels: NDArray[np.int64], classes: Sequence[str]) -> list[list[int]]:
    """Counts (C, C): rows are true classes, columns predicted ones, in the order of `classes`."""
    predicted = check_scores(prediction.scores, labels, classes).argmax(axis=1)
    counts = confusion_matrix(labels, predicted, labels=np.arange(len(classes)))
    return [[int(count) for count in row] for row in counts]


def check_scores(
    scores: NDArray[np.floating], labels: NDArray[np.int64], classes: Sequence[str]
) -> NDArray[np.float64]:
    """The class probabilities (N, C) as float64 with rows that sum to one exactly; ValueError names a broken rule."""
    scores = np.asarray(scores, dtype=np.float64)
    labels = np.asarray(labels)
    if len(classes) < 2:
        raise ValueError(f"Classification needs at least 2 classes; got {len(classes)}: {list(classes)}.")
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"Labels must be (N,) with N of at least 1; got shape {labels.shape}.")
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"Labels must be integers, the indices of classes; got {labels.dtype}.")
    if scores.shape != (len(labels), len(classes)):
        expected = (len(labels), len(classes))
        raise ValueError(f"Scores must be (N, C) = {expected}, a row a label and a column a class; got {scores.shape}.")
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        raise ValueError(
            f"Labels must lie in 0..{len(classes) - 1}; row {int(outside.argmax())} holds {int(labels[outside][0])}."
        )
    bad = ~np.isfinite(scores).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"Scores must be finite; {int(bad.sum())} of {len(scores)} rows are not, row {row} first.")
    if (scores < 0).any():
        raise ValueError(f"Class probabilities must not be negative; the least is {scores.min():.3g}.")
    sums = scores.sum(axis=1, keepdims=True)
    if (np.abs(sums - 1) > SUM_TOLERANCE).any():
        row = int(np.abs(sums[:, 0] - 1).argmax())
        raise ValueError(f"Class probabilities must sum to 1 in each row; row {row} sums to {sums[row, 0]:.6g}.")
    return np.asarray(scores / sums, dtype=np.float64)
