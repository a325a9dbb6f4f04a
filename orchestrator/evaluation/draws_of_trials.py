"""The metric of a search on draws of the validation pictures, for all its trials at once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orchestrator.artifacts.records import TrialRecord
from orchestrator.scoring.bootstrap import resample_detection, resample_metrics, resample_value
from orchestrator.scoring.draws import Sources
from orchestrator.scoring.judged import Classified, Detected
from orchestrator.scoring.metric_table import METRICS, Metric
from orchestrator.scoring.resampled import Resampled
from trainables.interface import Samples

DRAWS = 2_000
"""They tell a p of .05 to ±.01; a search may have a thousand trials, and each costs as much as a seed on test."""


def draws_of_trials(
    trials: Sequence[TrialRecord],
    scores: Sequence[NDArray[np.float64]],
    samples: Samples,
    metric: str,
    own: Sequence[Metric] = (),
) -> Resampled | None:
    """(draws, T), whole source pictures together, each draw the same for all T trials; None where the metric has none.

    `scores`: each trial's, (N,) or (N, C), of the N validation `samples`. A metric at a threshold is drawn at each
    trial's own, fitted to all of validation.
    """
    stacked = np.stack(scores)
    groups = np.unique(samples.groups, return_inverse=True)[1] if samples.groups else np.arange(len(samples))
    lines = [None if one.threshold is None else one.threshold.value for one in trials]
    if metric in METRICS and METRICS[metric].task == "classification":
        return resample_metrics(stacked, samples.labels, samples.classes, groups, DRAWS).get(metric)
    if metric in METRICS:
        known = np.array([np.nan if line is None else line for line in lines])
        thresholds = known if METRICS[metric].thresholded else None
        return resample_detection(stacked, samples.labels, groups, thresholds, DRAWS).get(metric)
    row = next(one for one in own if one.name == metric)
    drawn = []
    for one, line in zip(stacked, lines, strict=True):
        judged: Classified | Detected
        if row.task == "classification":
            judged = Classified(one, samples.labels, samples.classes)
        else:
            judged = Detected(one, samples.labels, line)
        drawn.append(resample_value(row, judged, groups))
    values = np.stack(drawn, axis=1)
    return Resampled(values, Sources.of(groups, samples.labels)) if len(values) else None
