"""What is known of one metric of one variant on the test part: its figures, its draws, and what values it can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.metric_table import METRICS, Worth
from orchestrator.scoring.resampled import Resampled


@dataclass(frozen=True)
class Scale:
    """What values a metric can take, and how finely its test pictures can tell them apart."""

    bounds: tuple[float, float] = (-np.inf, np.inf)
    worth: float | None = None
    """How many yes-or-no answers the figure is worth at most; None: it is not of that kind, or not known."""
    picture: float = 0.0
    """How far one picture can move the figure; 0: not known."""
    proportion: bool = False
    """Whether it is plainly the share of `worth` pictures that were answered rightly."""

    @classmethod
    def of(cls, metric: str, bounds: tuple[float, float], labels: NDArray[np.int64] | None) -> Scale:
        """`labels` (N,): the classes of the test pictures, of which 1 is anomalous in detection; None: not known."""
        row = METRICS.get(metric)
        worth = 0.0 if row is None or row.worth is None or labels is None else worth_of(row.worth, labels)
        if not worth or row is None or labels is None:
            return cls(bounds)
        return cls(bounds, worth, 1 / (len(labels) if row.worth == "classes" else worth), row.proportion)


def worth_of(kind: Worth, labels: NDArray[np.int64]) -> float:
    """How many yes-or-no answers a figure of pictures with these labels is worth at most.

    `classes`: the mean over C classes of a share of each one's n pictures varies as one share of C² / Σ 1/n answers.
    """
    if kind == "anomalies":
        return float((labels == 1).sum())
    if kind == "normals":
        return float((labels == 0).sum())
    if kind == "classes":
        _, counts = np.unique(labels, return_counts=True)
        return float(len(counts) ** 2 / (1 / counts).sum())
    return float(len(labels))


@dataclass(frozen=True)
class Evidence:
    """All that is known of one metric of one variant, or of a difference of two."""

    by_seed: Mapping[int, float]
    resampled: Resampled | None = None
    """Its columns in the order of `by_seed`; None: the scores were not kept."""
    scale: Scale = Scale()

    @property
    def values(self) -> NDArray[np.float64]:
        """(S,). ValueError where there is none, or one that is not finite."""
        values = np.array(list(self.by_seed.values()), dtype=np.float64)
        if len(values) == 0 or not np.isfinite(values).all():
            raise ValueError(f"There must be at least one finite value a seed; got {values.tolist()}.")
        return values

    def of_seeds(self, seeds: Sequence[int]) -> Evidence:
        """What is known of some of the seeds, in that order."""
        order = list(self.by_seed)
        resampled = None if self.resampled is None else self.resampled.of_seeds([order.index(seed) for seed in seeds])
        return Evidence({seed: self.by_seed[seed] for seed in seeds}, resampled, self.scale)
