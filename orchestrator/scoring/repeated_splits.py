"""Intervals and tests over repeated splits, whose training sets overlap: Nadeau and Bengio's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.scoring.comparisons import Comparison, inverted, share_above
from orchestrator.scoring.evidence import Scale
from orchestrator.scoring.intervals import LEVEL, Estimate, drawn_in, ends_of
from orchestrator.scoring.spread import ROUNDING, Spread
from trainables.interface import Mode


@dataclass(frozen=True)
class SplitEvidence:
    """All that is known of one metric of one variant over the splits of one data set."""

    by_split: Mapping[int, Mapping[int, float]]
    """Number of the split -> seed -> figure on its test part."""
    tested: float
    """The share of the data that a split tests on."""
    scale: Scale
    """Of all pictures that any split tests on."""

    def of_splits(self, numbers: Sequence[int]) -> NDArray[np.float64]:
        """(J,): the mean over seeds on each of these splits."""
        return np.array([np.mean(list(self.by_split[number].values())) for number in numbers], dtype=np.float64)


def estimate_over_splits(evidence: SplitEvidence) -> Estimate:
    """The mean over splits with its 95 % interval, on the logit scale where the metric has bounds.

    The half-width is t sqrt((1/J + q / (1 - q)) s²): s² the variance over J splits, t Student's quantile with J − 1
    degrees of freedom, q the share that a split tests on. Splits share most of what they train on, so that s² / J alone
    is too small; q / (1 − q), test pictures to training pictures, makes up for it (Nadeau and Bengio 2003, "Inference
    for the generalization error"; of repeated cross-validation Bouckaert and Frank 2004). A figure that is the same on
    every split varies at least as a share of all answers that were ever given does.
    """
    values = evidence.of_splits(list(evidence.by_split))
    mean, bounds, worth = float(values.mean()), evidence.scale.bounds, evidence.scale.worth
    # As many answers as one split's interval counts, see `intervals.estimate`.
    answers = 2 * worth if worth else 0.0
    share = drawn_in(mean, bounds, answers)
    floor = share * (1 - share) / answers * (bounds[1] - bounds[0]) ** 2 if answers else 0.0
    found = _spread(values, evidence.tested, floor)
    seeds = max(len(one) for one in evidence.by_split.values())
    if not found.known:
        return Estimate(mean, np.nan, np.nan, seeds, with_pictures=True, remark=found.remark, splits=len(values))
    low, high = ends_of(mean, found.half_width(1 - LEVEL), bounds, share)
    return Estimate(mean, low, high, seeds, with_pictures=True, remark=found.remark, splits=len(values))


def paired_over_splits(variant: SplitEvidence, baseline: SplitEvidence, mode: Mode) -> Comparison:
    """The difference of two on the splits and seeds that both have, not corrected yet.

    The corrected resampled t test of Nadeau and Bengio (2003): its p is the α at which the half-width of the interval
    is |Δ|. No test is made with fewer than two splits.
    """
    common = {
        number: sorted(variant.by_split[number].keys() & baseline.by_split[number].keys())
        for number in sorted(variant.by_split.keys() & baseline.by_split.keys())
    }
    common = {number: seeds for number, seeds in common.items() if seeds}
    if not common:
        nothing = Estimate(np.nan, np.nan, np.nan, 0, with_pictures=False)
        return Comparison(nothing, Spread(0, None), None, None, "no split in common with the baseline")
    differences, above = [], []
    for number, seeds in common.items():
        ours, theirs = (np.array([one.by_split[number][seed] for seed in seeds]) for one in (variant, baseline))
        apart = float(np.mean(ours - theirs))
        differences.append(0.0 if abs(apart) <= ROUNDING * float(np.abs([ours, theirs]).max()) else apart)
        above.append(share_above(ours[None], theirs[None]))
    values = np.array(differences)
    mean, better = float(values.mean()), float(np.mean(above))
    tested = max(variant.tested, baseline.tested)
    # Two models that differ are told apart by one picture at least.
    found = _spread(values, tested, variant.scale.picture**2 if values.any() else 0.0)
    half = found.half_width(1 - LEVEL) if found.known else np.nan
    difference = Estimate(
        mean,
        mean - half,
        mean + half,
        max(len(seeds) for seeds in common.values()),
        with_pictures=True,
        remark=found.remark,
        splits=len(values),
    )
    why = ""
    if not found.known:
        why = "fewer than two splits in common with the baseline"
    elif not found.error:
        why = "the same result as the baseline on every split" if not mean else "every split gave the same difference"
    p = None if why else inverted(found, mean)
    return Comparison(difference, found, p, better if mode == "max" else 1 - better, why)


def _spread(values: NDArray[np.float64], tested: float, floor: float) -> Spread:
    """What other splits would change of a mean over these. `floor`: the least that so many pictures leave open,
    which is known and not estimated from few splits."""
    if len(values) < 2:
        return Spread(len(values), None, remark="one split: the interval would leave out what others give")
    variance = float(values.var(ddof=1)) * (1 / len(values) + tested / (1 - tested))
    if np.ptp(values) <= ROUNDING * float(np.abs(values).max()):
        variance = 0.0
    student, normal = stats.t.ppf(1 - (1 - LEVEL) / 2, len(values) - 1), stats.norm.ppf(1 - (1 - LEVEL) / 2)
    if student**2 * variance < normal**2 * floor:
        return Spread(len(values), 0.0, floor=floor)
    return Spread(len(values), variance)
