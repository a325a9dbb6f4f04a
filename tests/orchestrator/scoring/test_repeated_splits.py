"""Figures over repeated splits: Nadeau and Bengio's corrected interval and test."""

import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.scoring.comparisons import corrected, detectable
from orchestrator.scoring.evidence import Scale
from orchestrator.scoring.repeated_splits import SplitEvidence, estimate_over_splits, paired_over_splits

BOUNDED = Scale((0.0, 1.0), 600.0, 1 / 600, proportion=True)


def evidence(figures: list[list[float]], tested: float = 0.2, scale: Scale = BOUNDED) -> SplitEvidence:
    return SplitEvidence({number: dict(enumerate(seeds)) for number, seeds in enumerate(figures, 1)}, tested, scale)


def test_p_is_that_of_the_corrected_resampled_t_test() -> None:
    ours = [[0.80, 0.84], [0.78, 0.80], [0.85, 0.85], [0.79, 0.83]]
    theirs = [[0.75, 0.79], [0.78, 0.78], [0.80, 0.78], [0.76, 0.80]]
    differences = np.mean(ours, axis=1) - np.mean(theirs, axis=1)
    error = math.sqrt((1 / 4 + 0.2 / 0.8) * differences.var(ddof=1))
    found = paired_over_splits(evidence(ours), evidence(theirs), "max")
    assert found.difference.mean == pytest.approx(differences.mean())
    assert found.p == pytest.approx(2 * stats.t.sf(differences.mean() / error, 3), rel=1e-6)
    half = stats.t.ppf(0.975, 3) * error
    assert (found.difference.low, found.difference.high) == pytest.approx(
        (differences.mean() - half, differences.mean() + half)
    )
    assert (found.difference.splits, found.difference.seeds) == (4, 2)
    # Of the pairs of seeds of each split, those that ours wins, a tie half.
    pairs = zip(ours, theirs, strict=True)
    wins = np.mean([np.mean([(a > b) + (a == b) / 2 for a in one for b in other]) for one, other in pairs])
    assert found.probability == pytest.approx(wins)
    worse = paired_over_splits(evidence(ours), evidence(theirs), "min")
    assert worse.probability == pytest.approx(1 - wins)


def test_a_difference_of_every_split_is_found_and_corrected_like_any_other() -> None:
    random = np.random.default_rng(0)
    base = [[value] for value in random.normal(0.7, 0.03, 10)]
    better = [[value[0] + 0.1 + random.normal(0, 0.01)] for value in base]
    same = [[value[0] + random.normal(0, 0.01)] for value in base]
    found = {
        name: paired_over_splits(evidence(one), evidence(base), "max") for name, one in (("b", better), ("s", same))
    }
    judged = corrected(found, "max")
    assert (judged["b"].outcome, judged["s"].outcome) == ("better", "not significant")
    assert judged["b"].explanation == "significantly better"
    assert judged["b"].comparisons == 2
    size = detectable(judged["b"].spread, 2)
    error = judged["b"].spread.error
    assert size == pytest.approx((stats.t.ppf(1 - 0.0125, 9) + stats.t.ppf(0.8, 9)) * error)


def test_what_is_not_on_both_sides_does_not_count() -> None:
    ours = SplitEvidence({1: {0: 0.9, 1: 0.8}, 2: {0: 0.7}, 4: {0: 0.1}}, 0.2, BOUNDED)
    theirs = SplitEvidence({1: {0: 0.6}, 2: {0: 0.6, 1: 0.0}, 3: {0: 0.9}, 4: {5: 0.9}}, 0.2, BOUNDED)
    found = paired_over_splits(ours, theirs, "max")
    assert found.difference.mean == pytest.approx(0.2)
    assert found.difference.splits == 2
    lonely = paired_over_splits(ours, SplitEvidence({3: {0: 0.9}}, 0.2, BOUNDED), "max")
    assert (lonely.p, lonely.why) == (None, "no split in common with the baseline")
    one = paired_over_splits(ours, SplitEvidence({1: {0: 0.9}}, 0.2, BOUNDED), "max")
    assert (one.p, one.why) == (None, "fewer than two splits in common with the baseline")
    assert math.isnan(estimate_over_splits(SplitEvidence({1: {0: 0.9}}, 0.2, BOUNDED)).low)


def test_the_interval_widens_with_what_splits_share_and_never_crosses_the_bounds() -> None:
    figures = [[0.97], [0.99], [0.95], [0.98], [1.0]]
    narrow, wide = (estimate_over_splits(evidence(figures, tested)) for tested in (0.1, 0.5))
    assert 0 < wide.low < narrow.low < narrow.mean < narrow.high < 1
    loss = estimate_over_splits(evidence(figures, 0.2, Scale()))
    values = np.array(figures).ravel()
    half = stats.t.ppf(0.975, 4) * math.sqrt((1 / 5 + 0.25) * values.var(ddof=1))
    assert (loss.low, loss.high) == pytest.approx((values.mean() - half, values.mean() + half))


def test_figures_that_are_all_alike_are_not_known_for_sure() -> None:
    perfect = estimate_over_splits(evidence([[1.0], [1.0], [1.0]]))
    assert 0.9 < perfect.low < 1.0
    assert perfect.high == 1.0
    same = paired_over_splits(evidence([[0.9], [0.8]]), evidence([[0.9], [0.8]]), "max")
    assert (same.p, same.why) == (None, "the same result as the baseline on every split")
    # A difference that is the same on every split may be that of one picture.
    constant = paired_over_splits(evidence([[0.9], [0.8], [0.7]]), evidence([[0.8], [0.7], [0.6]]), "max")
    assert constant.p is not None
    assert 0 < constant.p < 0.01
    unknown = paired_over_splits(evidence([[0.9], [0.8]], 0.2, Scale()), evidence([[0.8], [0.7]], 0.2, Scale()), "max")
    assert (unknown.p, unknown.why) == (None, "every split gave the same difference")
