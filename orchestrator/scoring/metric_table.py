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


def _classification(name: str, mode: Literal["max", "min"], meaning: str) -> Metric:
    return Metric(name=name, task="classification", mode=mode, meaning=meaning)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _classification("macro_f1", "max", "F1 of each class, averaged with equal weight"),
        _classification("accuracy", "max", "share of samples whose most probable class is the true one"),
        _classification("macro_precision", "max", "precision of each class, averaged with equal weight"),
        _classification("macro_recall", "max", "recall of each class, averaged with equal weight"),
        _classification("log_loss", "min", "mean negative log probability of the true class, in nats"),
    )
}
"""Every metric by name, in the order of tables."""


def metrics_of(task: Task) -> list[Metric]:
    """The metrics of one task, in the order of tables."""
    return [metric for metric in METRICS.values() if metric.task == task]
