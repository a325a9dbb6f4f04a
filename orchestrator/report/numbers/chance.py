"""What guessing would score."""

from orchestrator.report.numbers.run_data import RunData

_OF_SCORES = {"roc_auc": 0.5, "balanced_accuracy": 0.5, "pixel_roc_auc": 0.5}
"""Of detection, whatever the shares of normals and anomalies are."""


def chance_of(data: RunData) -> float | None:
    """By the ranking's metric; None where that is not known."""
    row = data.metric_row(data.metric)
    if data.mode == "min":
        return None
    if data.task == "detection":
        return _OF_SCORES.get(data.metric)
    return 1 / len(data.classes) if data.classes and row is not None and row.guessed else None
