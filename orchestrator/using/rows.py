"""What is said of one file."""

from typing import Literal, TypedDict

from trainables.files import as_utf8


class Row(TypedDict):
    """What came out for one file."""

    path: str
    status: Literal["ok", "failed"]
    verdict: str
    """The class: of detection, of `kept.classes` the second, where the score lies above the threshold."""
    score: float | None
    """Detection: the anomaly score."""
    probabilities: list[float]
    """Classification: in the order of `kept.classes`."""
    seconds: float
    """Reading and preparing the file, and its share of the model's time."""
    reason: str
    """Why there is no result; of a series with one, what of the file was left out or taken for granted."""
    statistics: list[float]
    """Of the picture, as `drift` compares them."""


def failed(path: str, reason: str, seconds: float) -> Row:
    """The row of a file that gave no result."""
    return Row(
        path=as_utf8(path),
        status="failed",
        verdict="",
        score=None,
        probabilities=[],
        seconds=seconds,
        reason=as_utf8(reason),
        statistics=[],
    )
