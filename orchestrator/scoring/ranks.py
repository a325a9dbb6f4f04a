"""Ranks of methods over several data sets: Friedman's test, Nemenyi's critical difference, groups that don't differ."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.scoring.comparisons import SIGNIFICANCE
from trainables.interface import Mode

LEAST = 3
"""Fewer methods or fewer data sets are not tested: Friedman's test needs three methods, and two blocks show nothing."""


@dataclass(frozen=True)
class RankTest:
    """What ranks over data sets say of `methods`."""

    methods: tuple[str, ...]
    blocks: int
    """The number of data sets."""
    ranks: dict[str, float]
    """Average rank by method, best (1 is first) to worst; equal figures share their mean rank."""
    chi2: float
    """Friedman's statistic with the correction for ties, as `scipy.stats.friedmanchisquare` has it; NaN where every
    method is equal on every data set, as are the two below."""
    f: float
    """Iman and Davenport's F of it; infinite where every data set gives the same order."""
    p: float
    """Of F with (k − 1, (k − 1)(N − 1)) degrees of freedom."""
    critical_difference: float
    """Average ranks that lie further apart than this differ significantly (Nemenyi)."""
    pairs: NDArray[np.float64]
    """(k, k): Nemenyi's p of each pair, in the order of `ranks`; 1 on the diagonal."""
    groups: tuple[tuple[str, ...], ...]
    """Methods, best first, that lie no further apart than the critical difference; each group as large as it can be."""

    @property
    def significant(self) -> bool:
        """Whether the methods differ at all; only then may pairs be told apart."""
        return self.p < SIGNIFICANCE


def rank_test(figures: Mapping[str, Sequence[float]], mode: Mode) -> RankTest:
    """Rank k methods on each of N data sets, test whether they differ at all, and which pairs do.

    `figures`: by method, one figure a data set, in the same order for all. `mode`: which way a figure is better.
    Friedman's test (1937) corrected for ties; F_F = (N − 1) χ² / (N (k − 1) − χ²) (Iman and Davenport 1980), which is
    less conservative. Nemenyi's test (1963) after it: CD = q √(k (k + 1) / (6 N)), q the .95 quantile of the
    studentized range of k means with infinite degrees of freedom, over √2 (Demšar 2006, "Statistical comparisons of
    classifiers over multiple data sets"). Where every data set gives the same strict order F has no value, and p is
    exact: (1 / k!)^(N − 1) (Conover 1999, section 5.8). ValueError below `LEAST` methods or data sets, or where a
    figure is missing.
    """
    names = list(figures)
    table = np.array([list(figures[name]) for name in names], dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < LEAST or not np.isfinite(table).all():
        raise ValueError(
            f"A test of ranks needs at least {LEAST} methods with a finite figure on each of at least {LEAST} data "
            f"sets; this is {' × '.join(map(str, table.shape))}."
        )
    k, blocks = table.shape
    ranked = stats.rankdata(-table if mode == "max" else table, axis=0)
    means = ranked.mean(axis=1)
    order = np.argsort(means, kind="stable")
    ranks = {names[place]: float(means[place]) for place in order}
    chi2 = float(stats.friedmanchisquare(*ranked).statistic) if np.ptp(ranked, axis=0).any() else math.nan
    f, p = iman_davenport(chi2, blocks, k)
    difference = critical_difference(k, blocks)
    return RankTest(
        tuple(names), blocks, ranks, chi2, f, p, difference, _nemenyi(means[order], blocks), _groups(ranks, difference)
    )


def iman_davenport(chi2: float, blocks: int, methods: int) -> tuple[float, float]:
    """F and its p of Friedman's χ² over N blocks and k methods; NaN of NaN."""
    if math.isnan(chi2):
        return math.nan, math.nan
    rest = blocks * (methods - 1) - chi2
    if rest <= 1e-9 * chi2:
        return math.inf, float(math.factorial(methods)) ** (1 - blocks)
    f = (blocks - 1) * chi2 / rest
    return f, float(stats.f.sf(f, methods - 1, (methods - 1) * (blocks - 1)))


def critical_difference(methods: int, blocks: int) -> float:
    """Nemenyi's at .05, in ranks."""
    quantile = float(stats.studentized_range.ppf(1 - SIGNIFICANCE, methods, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(methods * (methods + 1) / (6 * blocks))


def _nemenyi(means: NDArray[np.float64], blocks: int) -> NDArray[np.float64]:
    """(k, k) p-values of average ranks (k,) over N data sets: of the studentized range of k means, as the critical
    difference is its quantile."""
    k = len(means)
    apart = np.abs(means[:, None] - means) / math.sqrt(k * (k + 1) / (6 * blocks))
    p = np.asarray(stats.studentized_range.sf(apart * math.sqrt(2), k, np.inf), dtype=np.float64)
    np.fill_diagonal(p, 1.0)
    return p


def _groups(ranks: Mapping[str, float], difference: float) -> tuple[tuple[str, ...], ...]:
    """The largest runs of neighbours whose first and last lie no further apart than `difference`."""
    names, values = list(ranks), list(ranks.values())
    found: list[tuple[str, ...]] = []
    reached = 0
    for first in range(len(names)):
        last = max(place for place in range(first, len(names)) if values[place] - values[first] <= difference)
        if last + 1 > reached and last > first:
            found.append(tuple(names[first : last + 1]))
        reached = max(reached, last + 1)
    return tuple(found)
