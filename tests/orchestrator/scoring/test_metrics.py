"""Metrics against counting by hand, and every rule that a prediction can break."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from orchestrator.scoring.detection import grade_detection
from orchestrator.scoring.metric_table import METRICS, metrics_of
from orchestrator.scoring.metrics import check_scores, confusion, grade, per_class
from trainables.interface import Prediction

CLASSES = ("a", "b", "c")
LABELS = np.array([0, 0, 0, 1, 1, 2])
PREDICTED = np.array([0, 0, 1, 1, 2, 1])


def certain(predicted: NDArray[np.int64], sure: float = 0.8, classes: int = 3) -> Prediction:
    scores = np.full((len(predicted), classes), (1 - sure) / (classes - 1))
    scores[np.arange(len(predicted)), predicted] = sure
    return Prediction(scores)


def test_metrics_by_hand() -> None:
    metrics = grade(certain(PREDICTED), LABELS, CLASSES)
    # a: precision 2/2, recall 2/3; b: 1/3, 1/2; c: 0/1, 0/1.
    f1 = (2 * 1 * (2 / 3) / (1 + 2 / 3), 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2), 0.0)
    assert metrics["accuracy"] == pytest.approx(3 / 6)
    assert metrics["macro_precision"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert metrics["macro_recall"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert metrics["macro_f1"] == pytest.approx(sum(f1) / 3)
    assert metrics["log_loss"] == pytest.approx(-(3 * math.log(0.8) + 3 * math.log(0.1)) / 6)


def test_metrics_are_plain_floats_in_the_order_of_the_table() -> None:
    metrics = grade(certain(PREDICTED), LABELS, CLASSES)
    assert [type(value) for value in metrics.values()] == [float] * len(metrics)
    assert list(metrics) == [metric.name for metric in metrics_of("classification")]
    assert next(iter(METRICS)) == "macro_f1"


def test_the_table_says_what_a_detection_metric_needs() -> None:
    table = {metric.name: (metric.mode, metric.thresholded, metric.pixel) for metric in metrics_of("detection")}
    assert table == {
        "roc_auc": ("max", False, False),
        "average_precision": ("max", False, False),
        "balanced_accuracy": ("max", True, False),
        "f1": ("max", True, False),
        "tpr": ("max", True, False),
        "tnr": ("max", True, False),
        "pixel_roc_auc": ("max", False, True),
        "pro_auc": ("max", False, True),
    }
    assert next(iter(table)) == "roc_auc"


def test_detection_is_graded_with_what_is_given() -> None:
    generator = np.random.default_rng(0)
    maps = generator.normal(size=(6, 5, 5)).astype(np.float32)
    masks = np.zeros((6, 5, 5), dtype=np.uint8)
    labels = np.array([0, 0, 0, 1, 1, 1])
    masks[labels == 1, 1:3, 1:3] = 255
    prediction = Prediction(maps.max(axis=(1, 2)).astype(np.float64), maps)
    classes = ("normal", "anomaly")
    metrics = grade(prediction, labels, classes, "detection", threshold=1.0, masks=masks)
    assert list(metrics) == [metric.name for metric in metrics_of("detection")]
    assert metrics == grade_detection(prediction.scores, labels, 1.0, maps, masks)
    assert list(grade(prediction, labels, classes, "detection")) == ["roc_auc", "average_precision"]


def test_a_sure_and_wrong_prediction_keeps_the_log_loss_finite() -> None:
    assert math.isfinite(grade(certain(PREDICTED, sure=1.0), LABELS, CLASSES)["log_loss"])


def test_single_precision_rows_are_taken_without_a_warning() -> None:
    generator = np.random.default_rng(0)
    scores = generator.dirichlet(np.ones(3), size=6).astype(np.float16).astype(np.float64)
    assert np.abs(scores.sum(axis=1) - 1).max() > 1e-5
    assert math.isfinite(grade(Prediction(scores), LABELS, CLASSES)["log_loss"])


def test_a_class_that_is_neither_present_nor_predicted_counts_zero() -> None:
    labels = np.array([0, 1])
    metrics = grade(certain(labels), labels, CLASSES)
    assert metrics["accuracy"] == 1.0
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    assert per_class(certain(labels), labels, CLASSES)["c"].support == 0


def test_confusion_and_per_class_by_hand() -> None:
    assert confusion(certain(PREDICTED), LABELS, CLASSES) == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]
    scores = per_class(certain(PREDICTED), LABELS, CLASSES)
    assert list(scores) == list(CLASSES)
    assert (scores["a"].precision, scores["a"].support) == (1.0, 3)
    assert scores["a"].recall == pytest.approx(2 / 3)
    assert scores["c"].f1 == 0.0


def test_equal_scores_go_to_the_first_class() -> None:
    assert confusion(Prediction(np.full((1, 3), 1 / 3)), np.array([2]), CLASSES)[2] == [1, 0, 0]


def _with(row: int, column: int, value: float) -> NDArray[np.float64]:
    scores = certain(PREDICTED).scores.copy()
    scores[row, column] = value
    return scores


@pytest.mark.parametrize(
    ("scores", "labels", "classes", "rule"),
    [
        (_with(4, 1, np.nan), LABELS, CLASSES, r"must be finite; 1 of 6 rows are not, row 4"),
        (_with(0, 0, np.inf), LABELS, CLASSES, "must be finite"),
        (certain(PREDICTED).scores[:, :2], LABELS, CLASSES, r"must be \(N, C\) = \(6, 3\).*got \(6, 2\)"),
        (certain(PREDICTED).scores[:5], LABELS, CLASSES, r"must be \(N, C\)"),
        (certain(PREDICTED).scores[:, 0], LABELS, CLASSES, r"must be \(N, C\)"),
        (_with(0, 1, -0.1), LABELS, CLASSES, "must not be negative"),
        (certain(PREDICTED).scores * 2, LABELS, CLASSES, "must sum to 1 in each row; row 0 sums to 2"),
        (certain(PREDICTED).scores, np.array([0, 0, 0, 1, 1, 3]), CLASSES, r"lie in 0\.\.2; row 5 holds 3"),
        (certain(PREDICTED).scores, LABELS.astype(float), CLASSES, "must be integers"),
        (certain(PREDICTED).scores, LABELS[:, None], CLASSES, r"must be \(N,\)"),
        (np.zeros((0, 3)), np.zeros(0, dtype=np.int64), CLASSES, "at least 1"),
        (np.ones((6, 1)), LABELS * 0, ("a",), "at least 2 classes"),
    ],
)
def test_a_broken_rule_is_named(
    scores: NDArray[np.float64], labels: NDArray[np.int64], classes: tuple[str, ...], rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        grade(Prediction(scores), labels, classes)
    with pytest.raises(ValueError, match=rule):
        check_scores(scores, labels, classes)


def test_a_task_without_metrics_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'ranking' has no metrics\. Tasks with metrics: classification, detection"):
        grade(certain(PREDICTED), LABELS, CLASSES, "ranking")  # type: ignore[arg-type]
