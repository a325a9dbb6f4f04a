"""What may be concluded from repeats: intervals of means, paired differences, corrected tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from trainables.interface import Mode

LEVEL = 0.95
SIGNIFICANCE = 0.05
# A spread below this share of the values' size is rounding, not variation.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval, and what the interval covers."""

    mean: float
    low: float
    """NaN, as `high`, where there is nothing to make an interval from."""
    high: float
    seeds: int
    seed_half_width: float | None
    """The part of the half-width that comes from training with another seed; None where it can't be known."""
    picture_half_width: float | None
    """The part that comes from testing on other pictures; None where it can't be known."""
    remark: str = ""
    """What the interval leaves out, in words."""

    @property
    def half_width(self) -> float:
        """Of the whole interval, before any cut at the metric's bounds."""
        return _combine(self.seed_half_width, self.picture_half_width)


@dataclass(frozen=True)
class Comparison:
    """One variant against the baseline, paired by seed."""

    difference: Estimate
    """Variant minus baseline."""
    p: float | None
    """Two-sided, of the paired t-test over seeds; None where no test can be made."""
    p_corrected: float | None
    """After Holm, over `comparisons` tests."""
    comparisons: int
    outcome: Literal["better", "worse", "not significant", "no test"]
    explanation: str
    """The outcome in words."""


def estimate(
    values: Sequence[float],
    resampled: NDArray[np.float64] | None = None,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """The mean of S values, one a seed, with its 95 % interval.

    `resampled` (draws,): the seed-averaged metric on bootstrap draws of the test pictures.
    Half-width = sqrt(a² + b²), where a = t(.975, S−1) · s/√S is Student's interval of the mean over seeds (s with S−1)
    and b = z(.975) · se, se the bootstrap standard error over pictures (Efron and Tibshirani 1993, chapter 6).
    The seed changes training and the draw changes the test set: two independent sources, so their variances add,
    as in Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks".
    With S = 1, a is unknown and left out, and the remark says so. `low` and `high` are cut at `bounds`.
    """
    seeds = np.asarray(values, dtype=np.float64)
    if seeds.ndim != 1 or len(seeds) == 0 or not np.isfinite(seeds).all():
        raise ValueError(f"An estimate needs at least one finite value a seed; got {list(values)}.")
    seed_part = _seed_half_width(seeds) if len(seeds) > 1 else None
    picture_part = None if resampled is None else float(stats.norm.ppf((1 + LEVEL) / 2) * resampled.std(ddof=1))
    missing = []
    if seed_part is None:
        missing.append("one seed: the interval leaves out the variation from training")
    if picture_part is None:
        missing.append("no test scores: the interval leaves out the choice of test pictures")
    elif picture_part == 0:
        missing.append(
            "no other draw of these test pictures gives another figure, so the interval is too narrow: more pictures "
            "are needed to tell"
        )
    mean, half = float(seeds.mean()), _combine(seed_part, picture_part)
    low, high = (float(np.clip(bound, *bounds)) for bound in (mean - half, mean + half))
    return Estimate(mean, low, high, len(seeds), seed_part, picture_part, "; ".join(missing))


def compare(
    variants: Mapping[str, tuple[Mapping[int, float], NDArray[np.float64] | None]],
    baseline: Mapping[int, float],
    mode: Mode,
) -> dict[str, Comparison]:
    """Each variant's paired difference to the baseline, tested, Holm-corrected over all of them.

    `variants`: by name, the metric by seed, and the bootstrap draws (draws,) of the difference of seed-averaged
    metrics, or None. `baseline`: the metric by seed. Seeds that only one side has are left out.
    The test is the paired t-test over seeds (Student 1908), the correction Holm's (1979). A difference is called better
    or worse only where the corrected p is below .05 and its interval, which includes the choice of test pictures,
    leaves out 0: the t-test alone speaks of other seeds on the same pictures.
    """
    drafts = {name: _paired(metric, resampled, baseline) for name, (metric, resampled) in variants.items()}
    tested = [name for name, draft in drafts.items() if draft is not None and draft.p is not None]
    raw = [float(draft.p) for name in tested if (draft := drafts[name]) is not None and draft.p is not None]
    corrected = dict(zip(tested, holm(raw), strict=True))
    comparisons = {}
    for name, draft in drafts.items():
        if draft is None:
            nothing = Estimate(np.nan, np.nan, np.nan, 0, None, None)
            comparisons[name] = Comparison(
                nothing, None, None, len(raw), "no test", "no seed in common with the baseline"
            )
        else:
            p = None if draft.p is None else corrected[name]
            comparisons[name] = _judged(replace(draft, p_corrected=p, comparisons=len(raw)), mode)
    return comparisons


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values after Holm's correction (1979) for their number, in the same order.

    The smallest of m is multiplied by m, the next by m − 1, and so on; none becomes smaller than one before it.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    corrected = np.empty_like(given)
    corrected[order] = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)).clip(max=1.0)
    return [float(p) for p in corrected]


def sign_test_floor(pairs: int) -> float:
    """The smallest two-sided p that a sign test of so many pairs can give: 2^(1 − pairs)."""
    return float(min(1.0, 2.0 ** (1 - pairs)))


def _paired(
    metric: Mapping[int, float], resampled: NDArray[np.float64] | None, baseline: Mapping[int, float]
) -> Comparison | None:
    """The difference and its uncorrected test, not judged yet; None without a common seed."""
    common = sorted(metric.keys() & baseline.keys())
    if not common:
        return None
    differences = np.array([metric[seed] - baseline[seed] for seed in common])
    size = max(abs(value) for seed in common for value in (metric[seed], baseline[seed]))
    if np.ptp(differences) <= _ROUNDING * size:
        differences = np.full_like(differences, differences.mean())
    p = None
    if len(common) > 1 and np.ptp(differences) > 0:
        t = differences.mean() / (differences.std(ddof=1) / np.sqrt(len(common)))
        p = float(2 * stats.t.sf(abs(t), len(common) - 1))
    return Comparison(estimate(differences.tolist(), resampled), p, None, 0, "no test", "")


def _judged(comparison: Comparison, mode: Mode) -> Comparison:
    """The outcome and its words."""
    difference, p = comparison.difference, comparison.p_corrected
    includes_zero = not (difference.low > 0 or difference.high < 0)
    if p is None:
        if difference.seeds < 2:
            words = "no test: fewer than two seeds in common with the baseline"
        elif difference.mean == 0:
            words = "no test: the same result as the baseline with every seed"
        else:
            words = "no test over seeds: every seed gave the same difference"
        return replace(comparison, outcome="no test", explanation=words)
    if p >= SIGNIFICANCE:
        return replace(comparison, outcome="not significant", explanation="not significant")
    if includes_zero:
        words = "not significant: steady over seeds, but other test pictures could turn it round"
        return replace(comparison, outcome="not significant", explanation=words)
    better = (difference.mean > 0) == (mode == "max")
    return replace(
        comparison,
        outcome="better" if better else "worse",
        explanation=f"significantly {'better' if better else 'worse'}",
    )


def _seed_half_width(seeds: NDArray[np.float64]) -> float:
    count = len(seeds)
    return float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * seeds.std(ddof=1) / np.sqrt(count))


def _combine(*parts: float | None) -> float:
    known = [part for part in parts if part is not None]
    return float(np.sqrt(sum(part**2 for part in known))) if known else float("nan")
