"""Validation scores to metrics and a threshold: how a run judges its trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.records import ThresholdChoice
from orchestrator.scoring.metric_table import Metric
from orchestrator.scoring.metrics import grade
from orchestrator.scoring.thresholds import ThresholdMetric, choose

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

    def __call__(self, prediction: Prediction, samples: Samples, strategy: str | None = None) -> dict[str, float]:
        """Every metric that is defined here; those with a threshold at `strategy`'s, or else at the best one's."""
        threshold = self.threshold(prediction.scores, samples, strategy)
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

    def threshold(
        self, scores: NDArray[np.float64], samples: Samples, strategy: str | None = None
    ) -> ThresholdChoice | None:
        """The given strategy, or the best one, fitted to the scores (N,) of validation samples; None to classify."""
        if self.task == "classification":
            return None
        strategies = self.strategies if strategy is None else (strategy,)
        groups = np.unique(samples.groups, return_inverse=True)[1] if samples.groups else None
        choice = choose(scores, samples.labels, strategies, self.metric, groups=groups)
        return ThresholdChoice(strategy=choice.strategy, value=choice.value)
