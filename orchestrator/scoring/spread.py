"""How far a mean would move with other seeds and other test pictures, or over repeated splits with other splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from orchestrator.scoring.evidence import Evidence

FEWEST_SOURCES = 10
"""Where several pictures come of one source, fewer sources than this bear no interval: their spread is not known."""
ROUNDING = 1e-12
"""A spread below this share of the values' size is rounding, not variation."""


@dataclass(frozen=True)
class Spread:
    """The variances of a mean over seeds, or over repeated splits."""

    repeats: int
    """How many seeds there are; of repeated splits, how many of these."""
    of_repeats: float | None
    """From training with other seeds, s² / S, or all that other splits would change; None: not known."""
    of_pictures: float | None = None
    """From testing on other pictures, all that the bootstrap gives; None: not known."""
    shared: float = 0.0
    """The part of `of_pictures` that `of_repeats` holds too: each seed's own answers on these pictures."""
    freedom: float = np.inf
    """The degrees of freedom of `of_pictures`."""
    floor: float = 0.0
    """What `of_pictures` counts for at least."""
    remark: str = ""
    """What is not known, in words."""
    refused: bool = False
    """Whether too little is known for any interval."""

    @property
    def known(self) -> bool:
        """Whether an interval can be made of it."""
        return not self.refused and not (self.of_repeats is None and self.of_pictures is None)

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return self._width(1.0, 1.0, 1.0)

    def half_width(self, alpha: float) -> float:
        """Half the width of the interval that leaves out the truth with chance `alpha`.

        sqrt(t² a + u² (b − i)): a from seeds, t Student's quantile with S − 1 degrees of freedom, b from pictures, u
        that with theirs. The seed changes training and the draw changes the test set: two sources, whose variances add
        (Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks"). i is what both hold and
        counts once. The whole is never below u² b: seeds that agree by chance take nothing from what pictures show.
        """
        student = -special.stdtrit(self.repeats - 1, alpha / 2) if self.of_repeats else 0.0
        normal = -special.ndtri(alpha / 2)
        of_pictures = -special.stdtrit(self.freedom, alpha / 2) if np.isfinite(self.freedom) else normal
        return self._width(float(student), float(of_pictures), float(normal))

    def _width(self, student: float, of_pictures: float, normal: float) -> float:
        seeds, pictures = student**2 * (self.of_repeats or 0.0), self.of_pictures or 0.0
        floor = normal**2 * self.floor
        apart = max(of_pictures**2 * max(pictures - self.shared, 0.0), floor)
        return float(np.sqrt(max(seeds + apart, of_pictures**2 * pictures)))


def spread(evidence: Evidence, floor: float = 0.0) -> Spread:
    """What seeds and pictures leave open. `floor`: the least variance that so many pictures leave."""
    values = evidence.values
    resampled = None if evidence.resampled is None else evidence.resampled.known
    alike = float(np.ptp(values)) <= ROUNDING * float(np.abs(values).max())
    of_seeds = None if len(values) < 2 else 0.0 if alike else float(values.var(ddof=1)) / len(values)
    remarks = []
    if of_seeds is None:
        remarks.append("one seed: the interval leaves out the variation from training")
    if resampled is None:
        remarks.append("no test scores: the interval leaves out the choice of test pictures")
        return Spread(len(values), of_seeds, remark="; ".join(remarks))
    sources, variance = resampled.sources, resampled.variance
    if of_seeds == 0 and resampled.same_for_every_seed:
        remarks.append("every seed gave the same: the interval is of the test pictures alone")
    if sources.alone:
        remarks.append("a class has one source picture: the interval leaves out what another would give")
    if variance <= ROUNDING**2 and not floor:
        remarks.append(
            "no other draw of these test pictures gives another figure, so the interval is too narrow: more pictures "
            "are needed to tell"
        )
    few = sources.clustered and len(sources.strata) < FEWEST_SOURCES
    if few:
        number = len(sources.strata)
        remarks = [
            f"no interval: these test pictures come from {number} source picture{'s' if number > 1 else ''}, and with "
            f"fewer than {FEWEST_SOURCES} none is to be trusted"
        ]
    return Spread(
        len(values),
        of_seeds,
        variance,
        resampled.interaction if of_seeds else 0.0,
        resampled.degrees_of_freedom,
        floor,
        "; ".join(remarks),
        few,
    )
