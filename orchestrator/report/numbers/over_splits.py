"""Evaluated cells of several splits to what is known of a metric over all of them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.records import TrialRecord
from orchestrator.report.numbers.predictions import read_scores
from orchestrator.report.numbers.run_data import RunData
from orchestrator.scoring.evidence import Scale
from orchestrator.scoring.repeated_splits import SplitEvidence


def evidence_over_splits(
    data: RunData, cells: Mapping[int, Sequence[TrialRecord]], metric: str
) -> SplitEvidence | None:
    """What is known of one metric of one variant, by its completed `cells` of each split's number; None where no cell
    has it."""
    figures = {
        number: {cell.seed: cell.metrics[metric] for cell in of_split if metric in cell.metrics}
        for number, of_split in cells.items()
    }
    figures = {number: found for number, found in figures.items() if found}
    if not figures:
        return None
    scale = Scale.of(metric, data.bounds_of(metric), tested_labels(data))
    return SplitEvidence(figures, max(_tested_share(one) for one in data.evaluated_splits), scale)


@lru_cache(maxsize=4)
def tested_labels(data: RunData) -> NDArray[np.int64] | None:
    """(N,): the class of each picture that any of the run's splits tests on; None where the scores of one can't be
    read."""
    labels: dict[bytes, int] = {}
    for one in data.evaluated_splits:
        groups = [*one.completed.values(), *one.ablated.values()]
        cells = (cell for records in groups for cell in records if cell.status == "completed")
        kept = next((found for cell in cells if (found := read_scores(one, [cell])[0]) is not None), None)
        if kept is None:
            return None
        labels |= dict(zip(kept.paths.tolist(), kept.labels.tolist(), strict=True))
    return np.array(list(labels.values()), dtype=np.int64)


def _tested_share(data: RunData) -> float:
    """The share of the data that a split tests on, as `Split.tested` has it."""
    tested = data.split.get("tested")
    if isinstance(tested, float) and 0 < tested < 1:
        return tested
    parts = [part for _, part in data.split.get("pictures") or [] if part is not None]
    return parts.count("test") / len(parts) if parts else 0.5
