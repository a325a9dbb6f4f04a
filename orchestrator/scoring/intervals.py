"""The interval of a metric that was measured with several seeds on a sample of test pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from orchestrator.scoring.evidence import Evidence
from orchestrator.scoring.spread import Spread, spread

LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval, and what the interval covers."""

    mean: float
    low: float
    """NaN, as `high`, where there is nothing to make an interval from."""
    high: float
    seeds: int
    with_pictures: bool
    """Whether the interval covers the choice of test pictures."""
    remark: str = ""
    """What the interval leaves out, in words."""
    splits: int = 0
    """How many repeated splits the mean and its interval are over; 0: it is of one."""


def estimate(evidence: Evidence) -> Estimate:
    """The mean over seeds with its 95 % interval (see `Spread.half_width`).

    Of a figure between two bounds it is made on the logit scale, where it crosses neither, of the figure with half an
    answer more on either side (Agresti and Coull 1998 do so for one proportion). A figure that is worth n yes-or-no
    answers varies at least as a share of 2 n answers does: who was right on every picture is not known to be always
    right. The double is for ROC-AUCs, which vary less than the share of as many answers (Hanley and McNeil 1982), and
    for answers that are means over seeds; `benchmarks/interval_coverage.py` measures what holds with it. A share that
    is 0 or 1 with every seed has the exact limit (Clopper and Pearson 1934) where each picture is its own source: of 6
    right of 6, .54. ValueError without a finite value.
    """
    values, scale = evidence.values, evidence.scale
    mean, (low, high) = float(values.mean()), scale.bounds
    width = high - low
    answers, floor = _answers(evidence), 0.0
    share = drawn_in(mean, scale.bounds, answers)
    if answers:
        floor = share * (1 - share) / answers * width**2
        # Of one model; the mean of several that err on other pictures each varies less.
        floor *= evidence.resampled.agreement(floor / 2) if evidence.resampled else 1.0
    found = spread(evidence, floor)
    if not found.known:
        return _estimate(found, mean, np.nan, np.nan)
    half = found.half_width(1 - LEVEL)
    if answers and scale.proportion and evidence.resampled and not evidence.resampled.sources.clustered:
        exact = width * (1 - float(((1 - LEVEL) / 2) ** (2 / answers)))
        if (values == high).all():
            return _estimate(found, mean, high - exact, high)
        if (values == low).all():
            return _estimate(found, mean, low, low + exact)
    return _estimate(found, mean, *ends_of(mean, half, scale.bounds, share))


def drawn_in(mean: float, bounds: tuple[float, float], answers: float) -> float:
    """Where between its bounds a figure lies, from 0 to 1, with half of its `answers` more on either side; NaN without
    bounds."""
    low, high = bounds
    share = (mean - low) / (high - low) if np.isfinite(high - low) else np.nan
    return (share * answers + 0.5) / (answers + 1) if answers else share


def ends_of(mean: float, half: float, bounds: tuple[float, float], share: float) -> tuple[float, float]:
    """Both ends of an interval of this half-width, made on the logit scale around `share` where there are bounds."""
    low, high = bounds
    width = high - low
    if 0 < share < 1:
        middle, far = special.logit(share), half / width / (share * (1 - share))
        ends = [low + width * float(special.expit(middle + side * far)) for side in (-1, 1)]
    else:
        ends = [float(np.clip(mean + side * half, low, high)) for side in (-1, 1)]
    return min(ends[0], mean), max(ends[1], mean)


def _answers(evidence: Evidence) -> float:
    """Of how many answers the figure varies at least as the share; 0: it is of another kind, or no draws are there."""
    worth, resampled = evidence.scale.worth, evidence.resampled
    if worth is None or resampled is None:
        return 0.0
    sources = resampled.sources
    # Where all sources answered alike, they and not their patches are what was seen.
    alike = sources.clustered and not resampled.variance
    return 2 * worth * (len(sources.strata) / len(sources.groups) if alike else 1.0)


def _estimate(found: Spread, mean: float, low: float, high: float) -> Estimate:
    return Estimate(mean, low, high, found.repeats, found.of_pictures is not None, found.remark)
