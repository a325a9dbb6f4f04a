"""Which metrics there are, for which task, and which way is better."""

from dataclasses import dataclass
from typing import Literal

from trainables.interface import Task


@dataclass(frozen=True)
class Metric:
    """One number that a prediction is judged by."""

    name: str
    task: Task
    mode: Literal["max", "min"]
    """Which way is better."""
    meaning: str
    """One line for lists and captions."""
    thresholded: bool = False
    """Whether it needs a threshold."""
    pixel: bool = False
    """Whether it needs anomaly maps, and masks to judge them by."""


def _classification(name: str, mode: Literal["max", "min"], meaning: str) -> Metric:
    return Metric(name=name, task="classification", mode=mode, meaning=meaning)


def _detection(name: str, meaning: str, thresholded: bool = False, pixel: bool = False) -> Metric:
    return Metric(name, "detection", "max", meaning, thresholded, pixel)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _classification("macro_f1", "max", "F1 of each class, averaged with equal weight"),
        _classification("accuracy", "max", "share of samples whose most probable class is the true one"),
        _classification("macro_precision", "max", "precision of each class, averaged with equal weight"),
        _classification("macro_recall", "max", "recall of each class, averaged with equal weight"),
        _classification("log_loss", "min", "mean negative log probability of the true class, in nats"),
        _detection("roc_auc", "chance that an anomaly scores higher than a normal sample"),
        _detection("average_precision", "precision averaged over the anomalies, from the highest score down"),
        _detection("balanced_accuracy", "mean of TPR and TNR at the threshold", thresholded=True),
        _detection("f1", "F1 of the anomalies at the threshold", thresholded=True),
        _detection("tpr", "share of anomalies above the threshold", thresholded=True),
        _detection("tnr", "share of normal samples not above the threshold", thresholded=True),
        _detection("pixel_roc_auc", "chance that a defect pixel scores higher than a normal one", pixel=True),
        _detection("pro_auc", "mean share of each defect region found, over pixel FPR 0 to 0.3", pixel=True),
    )
}
"""Every metric by name, in the order of tables."""


def metrics_of(task: Task) -> list[Metric]:
    """The metrics of one task, in the order of tables."""
    return [metric for metric in METRICS.values() if metric.task == task]


def metric_mode(name: str) -> Literal["max", "min"]:
    """Which way a metric is better; unknown ones that name a loss or an error are better when smaller."""
    if name in METRICS:
        return METRICS[name].mode
    return "min" if "loss" in name or "error" in name else "max"
