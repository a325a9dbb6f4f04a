"""What one model of a variant did on the test part, counted picture by picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.numbers.predictions import read_scores
from orchestrator.report.numbers.run_data import RunData


@dataclass(frozen=True)
class Found:
    """So many of so many, and the fewest and most over the variant's seeds."""

    count: int
    of: int
    fewest: int
    most: int


@dataclass(frozen=True)
class PlainCounts:
    """The counts of the seed that lies in the middle by the ranking's metric, with their spread over all seeds."""

    record: TrialRecord
    """The cell that is counted."""
    seeds: int
    caught: Found | None = None
    """Detection: anomalies above the threshold."""
    false_alarms: Found | None = None
    """Detection: normal pictures above it."""
    right: Found | None = None
    """Classification: pictures whose class was named."""
    largest_class: tuple[str, int] | None = None
    """Classification: the class with the most test pictures, and how many."""
    hardest: tuple[str, int, int] | None = None
    """Classification: the class of which the smallest share was named, how many were, and how many there are."""
    reason: str = ""
    """Why nothing is counted."""


def middle_cell(data: RunData, cells: Sequence[TrialRecord]) -> TrialRecord:
    """The cell with the median of the ranking's metric; of two in the middle the worse."""
    known = [one for one in cells if data.metric in one.metrics] or list(cells)
    sign = 1 if data.mode == "max" else -1
    ranked = sorted(known, key=lambda one: (sign * one.metrics.get(data.metric, 0.0), one.seed))
    return ranked[(len(ranked) - 1) // 2]


def plain_counts(data: RunData, cells: Sequence[TrialRecord]) -> PlainCounts:
    """`cells`: a variant's completed ones, at least one."""
    middle = middle_cell(data, cells)
    return _detection(data, cells, middle) if data.task == "detection" else _classification(cells, middle)


def _detection(data: RunData, cells: Sequence[TrialRecord], middle: TrialRecord) -> PlainCounts:
    kept, reason = read_scores(data, cells)
    lines = {one.seed: one.threshold.value for one in cells if one.threshold is not None}
    if kept is None or not all(math.isfinite(lines.get(seed, math.nan)) for seed in kept.seeds):
        return PlainCounts(middle, len(cells), reason=reason or "no threshold was kept")
    above = {seed: scores > lines[seed] for seed, scores in zip(kept.seeds, kept.scores, strict=True)}
    found = []
    for label in (1, 0):
        ours = kept.labels == label
        by_seed = {seed: int((flagged & ours).sum()) for seed, flagged in above.items()}
        found.append(_found(by_seed, middle.seed, int(ours.sum())))
    return PlainCounts(middle, len(cells), caught=found[0], false_alarms=found[1])


def _classification(cells: Sequence[TrialRecord], middle: TrialRecord) -> PlainCounts:
    matrices = {one.seed: np.array(one.confusion, dtype=np.int64) for one in cells if one.confusion}
    names = list(middle.per_class)
    ours = matrices.get(middle.seed)
    if ours is None or ours.shape != (len(names), len(names)) or not ours.sum():
        return PlainCounts(middle, len(cells), reason="what was taken for what was not kept")
    right = {seed: int(np.trace(one)) for seed, one in matrices.items()}
    sizes, hits = ours.sum(axis=1), np.diag(ours)
    known = np.flatnonzero(sizes)
    worst = int(known[np.argmin(hits[known] / sizes[known])])
    largest = int(sizes.argmax())
    return PlainCounts(
        middle,
        len(cells),
        right=_found(right, middle.seed, int(sizes.sum())),
        largest_class=(names[largest], int(sizes[largest])),
        hardest=(names[worst], int(hits[worst]), int(sizes[worst])),
    )


def _found(by_seed: dict[int, int], seed: int, of: int) -> Found:
    return Found(by_seed[seed], of, min(by_seed.values()), max(by_seed.values()))
