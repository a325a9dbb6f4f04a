"""Validation scores to metrics and a threshold: how a run judges its trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.records import ThresholdChoice
from orchestrator.scoring.judged import Detected
from orchestrator.scoring.metric_table import Metric, metrics_of
from orchestrator.scoring.metrics import grade
from orchestrator.scoring.thresholds import ThresholdMetric, choose, folds_of, held_out

if TYPE_CHECKING:
    # Only for the types: a report is written without torch.
    from trainables.interface import Prediction, Samples, Task


@dataclass(frozen=True)
class Judge:
    """Grades the validation scores of one run. What it says of a threshold depends on these scores alone."""

    task: Task
    strategies: tuple[str, ...] = ()
    """Detection: the threshold strategies that are compared."""
    metric: ThresholdMetric = "balanced_accuracy"
    """By which the best strategy is chosen."""
    own: tuple[Metric, ...] = ()
    """Metrics of one's own."""
    cross_fit: bool = False
    """Detection: whether metrics at a threshold are cross-fitted, since trials are chosen by one of them: at a
    threshold that is fitted to the very scores, a strategy that fits labels flatters itself."""

    def __call__(self, prediction: Prediction, samples: Samples, strategy: str | None = None) -> dict[str, float]:
        """Every metric that is defined here; those with a threshold at `strategy`'s, or else at the best one's."""
        threshold = self.threshold(prediction.scores, samples, strategy)
        found = self._graded(prediction, samples, threshold)
        if threshold is None or not threshold.folds or not self.cross_fit:
            return found
        found |= self._cross_fitted(prediction.scores, samples, threshold.strategy)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def folds(self, samples: Samples) -> int:
        """By how many folds this judge cross-fits metrics at a threshold; 0: not at all."""
        return folds_of(samples.labels, _groups(samples)) if self.cross_fit else 0

    def _graded(self, prediction: Prediction, samples: Samples, threshold: ThresholdChoice | None) -> dict[str, float]:
        return grade(
            prediction,
            samples.labels,
            samples.classes,
            self.task,
            threshold=None if threshold is None else threshold.value,
            masks=None if samples.masks is None else samples.masks[np.arange(len(samples))],
            masked=samples.masked,
            own=self.own,
        )

    def _cross_fitted(self, scores: NDArray[np.float64], samples: Samples, strategy: str) -> dict[str, float]:
        """The metrics at a threshold, each score judged by one that was fitted without its fold; the mean over all
        divisions into folds. Of one that some division does not define, NaN."""
        held = held_out(strategy, scores, samples.labels, groups=_groups(samples))
        judged = [Detected(above, samples.labels, 0.0) for above in held]
        found = {}
        for metric in (*metrics_of(self.task), *self.own):
            if metric.thresholded and metric.value is not None:
                values = [metric.value(one) for one in judged]
                known = [value for value in values if value is not None and math.isfinite(value)]
                whole = len(known) == len(values)
                found[metric.name] = math.fsum(known) / len(known) if whole else math.nan
        return found

    def threshold(
        self, scores: NDArray[np.float64], samples: Samples, strategy: str | None = None
    ) -> ThresholdChoice | None:
        """The given strategy, or the best one, fitted to the scores (N,) of validation samples; None to classify."""
        if self.task == "classification":
            return None
        strategies = self.strategies if strategy is None else (strategy,)
        choice = choose(scores, samples.labels, strategies, self.metric, groups=_groups(samples))
        folds = choice.folds if choice.compared else None
        return ThresholdChoice(strategy=choice.strategy, value=choice.value, folds=folds)


def _groups(samples: Samples) -> NDArray[np.int64] | None:
    """(N,): the number of each one's source picture; None where each is its own."""
    return np.unique(samples.groups, return_inverse=True)[1] if samples.groups else None
