"""Whether the best of many trials leads a reference by more than chance explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.scoring.evidence import Evidence
from orchestrator.scoring.resampled import Resampled
from orchestrator.scoring.spread import spread


@dataclass(frozen=True)
class Lead:
    """The lead of one trial over the reference, as the largest of several."""

    value: float
    """In the metric; above 0 where the trial is better."""
    error: float | None = None
    """Its standard error over source pictures; None: not known."""
    p: float | None = None
    """One-sided: the chance that the largest of as many leads is so many standard errors where no trial is better than
    the reference. None where it can't be told."""
    why: str = ""
    """Why it can't; empty where it can."""


def largest_lead(
    figures: NDArray[np.float64], resampled: Resampled, reference: int, sign: int, picture: float = 0.0
) -> Lead:
    """The lead of the best of T trials over the one at `reference`, judged as the best of T − 1.

    `figures` (T,) and `resampled`, (draws, T), are of the same T trials and the same pictures; `sign` is 1 where more
    is better, −1 where less is. `picture`: how far one picture can move a figure, the least standard error of a lead.

    Each lead is divided by its standard error, and the best one's compared with the largest on each draw, every lead
    centred on its mean over the draws: what the largest is where there is nothing but chance (single-step maxT,
    Westfall and Young 1993, "Resampling-based multiple testing"; for the choice of models White 2000, "A reality check
    for data snooping", studentized as in Hansen 2005, "A test for superior predictive ability"). Trials that answer
    alike count as little more than one, as with Bonferroni they would not. Leads that rest on few sources are known as
    badly as few numbers: the best one's is taken through Student's t, by its degrees of freedom, to the normal deviate
    that is as rare.
    """
    leads = sign * (figures - figures[reference])
    best = int(leads.argmax())
    lead = float(leads[best])
    if best == reference or lead <= 0:
        return Lead(lead, why="no trial has a better figure")
    rows = np.isfinite(resampled.values).all(axis=1)
    known = resampled.of_seeds([best]).minus(resampled.of_seeds([reference]))
    found = spread(Evidence({0: lead}, known), picture**2)
    if found.of_pictures is None or rows.sum() < 2:
        return Lead(lead, why="the figure is not defined on draws of the validation pictures")
    if found.refused:
        number = len(resampled.sources.strata)
        return Lead(lead, why=f"the validation pictures come from {number} source pictures, too few for a test")
    if resampled.sources.alone:
        return Lead(lead, found.error, why="a class of the validation part has one source picture")
    if found.error == 0:
        return Lead(lead, 0.0, why="every draw of the validation pictures gives the same lead")
    apart = sign * (resampled.values[rows] - resampled.values[rows][:, [reference]])
    apart = np.delete(apart, reference, axis=1)
    apart -= apart.mean(axis=0)
    errors = np.maximum(apart.std(axis=0, ddof=1), picture)
    largest = np.divide(apart, errors, out=np.zeros_like(apart), where=errors > 0).max(axis=1)
    reached = lead / found.error
    if np.isfinite(found.freedom):
        reached = float(stats.norm.isf(stats.t.sf(reached, found.freedom)))
    # The trial's own data are one draw among those of chance (Davison and Hinkley 1997, section 4.2).
    return Lead(lead, found.error, float((1 + (largest >= reached).sum()) / (1 + len(largest))))
