"""Differences of variants: one interval, one p and one verdict each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from orchestrator.scoring.evidence import Evidence, Scale
from orchestrator.scoring.intervals import LEVEL, Estimate
from orchestrator.scoring.spread import ROUNDING, Spread, spread
from trainables.interface import Mode

SIGNIFICANCE = 0.05
POWER = 0.8
# Below it a p is that of rounding.
_LEAST_P = 1e-99
# Pairs of seeds over all draws that are looked at: those of 1,000 draws with 10 seeds, which tell a share to 2 points.
_SOME_DRAWS = 100_000


@dataclass(frozen=True)
class Comparison:
    """One variant against another, the baseline, paired by seed and on the same test pictures."""

    difference: Estimate
    """Variant minus baseline."""
    spread: Spread
    """Of the difference."""
    p: float | None
    """Two-sided: the `alpha` whose interval of the difference just reaches 0; None where no test can be made."""
    probability: float | None
    """That the variant with another seed beats the baseline with another seed on other test pictures; a tie counts half
    (the probability of improvement of Bouthillier et al. 2021). None without a common seed."""
    why: str
    """Why no test can be made; empty where it can."""
    p_corrected: float | None = None
    """After Holm, over `comparisons` tests."""
    comparisons: int = 0
    outcome: Literal["better", "worse", "not significant", "no test"] = "no test"
    explanation: str = ""
    """The outcome in words."""


def paired(variant: Evidence, baseline: Evidence, mode: Mode) -> Comparison:
    """The difference of two on the seeds that both have, not corrected yet.

    Their draws must be of the same pictures. The p-value is that which inverts the interval: the α at which its
    half-width is |Δ|, so that interval and p never disagree, and seeds and pictures count jointly in both. Without the
    scores, or with one seed, no test is made: one part of what could explain the difference would be left out.
    """
    seeds = sorted(variant.by_seed.keys() & baseline.by_seed.keys())
    if not seeds:
        nothing = Estimate(np.nan, np.nan, np.nan, 0, with_pictures=False)
        return Comparison(nothing, Spread(0, None), None, None, "no seed in common with the baseline")
    ours, theirs = variant.of_seeds(seeds), baseline.of_seeds(seeds)
    differences = {seed: ours.by_seed[seed] - theirs.by_seed[seed] for seed in seeds}
    size = float(np.abs([*ours.values, *theirs.values]).max())
    values = np.array(list(differences.values()))
    if np.ptp(values) <= ROUNDING * size:
        differences = dict.fromkeys(seeds, float(values.mean()))
    known = ours.resampled is not None and theirs.resampled is not None
    resampled = ours.resampled.minus(theirs.resampled) if known else None  # type: ignore[union-attr, arg-type]
    # A difference rests on the pictures that two models tell apart; one of them is the least that can be said of it.
    mean = float(np.mean(list(differences.values())))
    one_picture = ours.scale.picture**2 if resampled is not None and (mean or resampled.variance) else 0.0
    found = spread(Evidence(differences, resampled, Scale()), one_picture)
    half = found.half_width(1 - LEVEL) if found.known else np.nan
    difference = Estimate(mean, mean - half, mean + half, len(seeds), found.of_pictures is not None, found.remark)
    better = _probability(ours, theirs, mode)
    why = _why_untested(found, mean)
    return Comparison(difference, found, None if why else inverted(found, mean), better, why)


def _why_untested(found: Spread, mean: float) -> str:
    if found.refused:
        return found.remark
    if found.repeats < 2:
        return "fewer than two seeds in common with the baseline"
    if found.of_pictures is None:
        return "the test scores of both on the same pictures are not there, so other pictures can't be asked"
    if found.of_pictures == 0 and not found.of_repeats:
        if mean == 0:
            return "the same result as the baseline with every seed, on every picture"
        if not found.floor:
            return "every seed and every draw of the test pictures gave the same difference"
    return ""


def inverted(found: Spread, mean: float) -> float:
    """The α at which the half-width of the interval is |mean|: 1 for a mean of 0, and never below 1e-99."""

    def beyond(exponent: float) -> float:
        return found.half_width(float(np.exp(exponent))) - abs(mean)

    least = float(np.log(_LEAST_P))
    if mean == 0 or beyond(0.0) >= 0:
        return 1.0
    return float(np.exp(optimize.brentq(beyond, least, 0.0))) if beyond(least) > 0 else _LEAST_P


def corrected(found: Mapping[str, Comparison], modes: Mapping[str, Mode] | Mode) -> dict[str, Comparison]:
    """The same after Holm's correction (1979) over all of them that have a p, with their verdicts.

    `modes`: which way is better, of each or of all. A difference is called better or worse where its corrected p is
    below .05, and by nothing else.
    """
    p_values = {name: one.p for name, one in found.items() if one.p is not None}
    after = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    tests = len(p_values)
    return {
        name: _judged(
            replace(one, p_corrected=after.get(name), comparisons=tests),
            modes if isinstance(modes, str) else modes[name],
        )
        for name, one in found.items()
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979) for their number, in the same order.

    The smallest of m is multiplied by m, the next by m − 1, and so on; none becomes smaller than one before it.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    after = np.empty_like(given)
    after[order] = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)).clip(max=1.0)
    return [float(p) for p in after]


def detectable(found: Spread, tests: int) -> float:
    """The difference that such a comparison finds with chance POWER as the first that Holm lets count of `tests`.

    NaN where it is not known.
    """
    if not found.known or found.repeats < 2:
        return float("nan")
    # Over splits nothing but their own spread is known, and of few of them that is not known well.
    beyond = stats.norm.ppf(POWER) if found.of_pictures is not None else stats.t.ppf(POWER, found.repeats - 1)
    return found.half_width(SIGNIFICANCE / max(1, tests)) + float(beyond) * found.error


def _judged(comparison: Comparison, mode: Mode) -> Comparison:
    p = comparison.p_corrected
    if p is None:
        return replace(comparison, outcome="no test", explanation=f"no test: {comparison.why}")
    if p >= SIGNIFICANCE:
        alone = comparison.p is not None and comparison.p < SIGNIFICANCE
        words = f"not significant after correction for {comparison.comparisons} comparisons" if alone else ""
        return replace(comparison, outcome="not significant", explanation=words or "not significant")
    way: Literal["better", "worse"] = "better" if (comparison.difference.mean > 0) == (mode == "max") else "worse"
    by_pictures = not comparison.spread.of_repeats and not comparison.difference.splits
    alone_words = ", of the test pictures alone: no seed changes it" if by_pictures else ""
    return replace(comparison, outcome=way, explanation=f"significantly {way}{alone_words}")


def _probability(ours: Evidence, theirs: Evidence, mode: Mode) -> float:
    """Over all pairs of seeds and all draws on which both are known; without draws, over pairs of seeds."""
    first, second = ours.values[None], theirs.values[None]
    if ours.resampled is not None and theirs.resampled is not None:
        mine, its = ours.resampled.values, theirs.resampled.values
        rows = np.flatnonzero(np.isfinite(mine).all(axis=1) & np.isfinite(its).all(axis=1))
        rows = rows[: max(1, _SOME_DRAWS // mine.shape[1] ** 2)]
        if len(rows):
            first, second = mine[rows], its[rows]
    above = share_above(first, second)
    return above if mode == "max" else 1 - above


def share_above(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Of (draws, S) and (draws, S): how often one of the first lies above one of the second of the same draw."""
    apart = first[:, :, None] - second[:, None, :]
    return float((apart > ROUNDING).mean() + (np.abs(apart) <= ROUNDING).mean() / 2)
