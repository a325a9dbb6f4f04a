"""Intervals and tests against scipy, tables of known values, and degenerate repeats."""

import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.scoring.statistics import compare, estimate

VALUES = [0.81, 0.84, 0.79, 0.86, 0.80]


def test_interval_over_seeds_is_students() -> None:
    found = estimate(VALUES)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.picture_half_width is None
    assert "leaves out the choice of test pictures" in found.remark


def test_quantiles_are_the_printed_ones() -> None:
    # Student's table: t(.975, 4) = 2.776; the normal one: 1.960.
    found = estimate(VALUES, np.random.default_rng(0).normal(0.82, 0.01, 100_000))
    assert found.seed_half_width == pytest.approx(2.776 * np.std(VALUES, ddof=1) / math.sqrt(5), rel=1e-3)
    assert found.picture_half_width == pytest.approx(1.96 * 0.01, rel=0.01)
    assert found.half_width == pytest.approx(math.hypot(found.seed_half_width or 0, found.picture_half_width or 0))
    assert found.high - found.mean == pytest.approx(found.half_width)
    assert found.remark == ""


def test_one_seed_has_the_pictures_only_and_says_so() -> None:
    draws = np.random.default_rng(0).normal(0.82, 0.01, 1_000)
    found = estimate([0.82], draws)
    assert found.half_width == pytest.approx(1.959964 * draws.std(ddof=1))
    assert found.seed_half_width is None
    assert "one seed" in found.remark


def test_one_seed_without_scores_has_no_interval() -> None:
    found = estimate([0.82])
    assert found.mean == 0.82
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_bounds_cut_the_interval_only() -> None:
    found = estimate([0.99, 0.9, 1.0], bounds=(0.0, 1.0))
    assert found.high == 1.0
    assert found.mean + found.half_width > 1


def test_coverage_is_about_95_percent() -> None:
    generator = np.random.default_rng(11)
    seeds, pictures, hit = 5, 0.02, 0
    for _ in range(2_000):
        test_set = generator.normal(0, pictures)
        values = 0.8 + test_set + generator.normal(0, 0.01, seeds)
        found = estimate(values.tolist(), generator.normal(values.mean(), pictures, 200))
        hit += found.low <= 0.8 <= found.high
    assert 0.94 < hit / 2_000 < 0.98


@pytest.mark.parametrize("values", [[], [math.nan], [0.5, math.inf]])
def test_values_that_are_none(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one finite value a seed"):
        estimate(values)


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


BASELINE = by_seed(0.60, 0.62, 0.61, 0.63, 0.60)


def test_p_is_that_of_the_paired_t_test() -> None:
    variant = by_seed(0.62, 0.61, 0.66, 0.64, 0.65)
    found = compare({"x": (variant, None)}, BASELINE, "max")["x"]
    expected = stats.ttest_rel(list(variant.values()), list(BASELINE.values())).pvalue
    assert found.p == pytest.approx(expected)
    assert found.p_corrected == pytest.approx(expected)
    assert found.difference.mean == pytest.approx(np.mean(list(variant.values())) - np.mean(list(BASELINE.values())))


def test_holm_by_hand() -> None:
    def shifted(by: float) -> dict[int, float]:
        noise = (0.012, -0.008, 0.003, -0.011, 0.004)
        return {seed: value + by + noise[seed] for seed, value in BASELINE.items()}

    variants = {name: (shifted(by), None) for name, by in (("far", 0.2), ("near", 0.0111), ("middle", 0.0120))}
    found = compare(variants, BASELINE, "max")
    raw = {name: float(one.p or 0) for name, one in found.items()}
    assert raw["far"] < raw["middle"] < raw["near"] < 0.06
    # Holm 1979: the smallest p times 3, the next times 2, the last times 1, never falling.
    middle = 2 * raw["middle"]
    assert found["far"].p_corrected == pytest.approx(3 * raw["far"])
    assert found["middle"].p_corrected == pytest.approx(middle)
    assert found["near"].p_corrected == pytest.approx(max(middle, raw["near"]))
    assert raw["middle"] < 0.05 < middle
    assert [found[name].outcome for name in variants] == ["better", "not significant", "not significant"]
    assert {one.comparisons for one in found.values()} == {3}


def test_direction_follows_the_mode() -> None:
    variant = by_seed(0.80, 0.82, 0.80, 0.83, 0.81)
    assert compare({"x": (variant, None)}, BASELINE, "max")["x"].outcome == "better"
    assert compare({"x": (variant, None)}, BASELINE, "min")["x"].outcome == "worse"


def test_steady_over_seeds_is_not_enough_where_pictures_could_turn_it() -> None:
    variant = by_seed(0.62, 0.64, 0.63, 0.651, 0.62)
    draws = np.random.default_rng(0).normal(0.02, 0.05, 2_000)
    found = compare({"x": (variant, draws)}, BASELINE, "max")["x"]
    assert found.p_corrected is not None
    assert found.p_corrected < 0.001
    assert found.difference.low < 0 < found.difference.high
    assert found.outcome == "not significant"
    assert "other test pictures" in found.explanation


def test_only_common_seeds_are_paired() -> None:
    found = compare({"x": ({1: 0.7, 2: 0.9, 9: 0.1}, None)}, BASELINE, "max")["x"]
    assert found.difference.seeds == 2
    assert found.difference.mean == pytest.approx((0.08 + 0.29) / 2)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        ({0: 0.7}, "fewer than two seeds"),
        ({7: 0.7, 8: 0.7}, "no seed in common"),
        (BASELINE, "same result as the baseline"),
        ({seed: value + 0.1 for seed, value in BASELINE.items()}, "every seed gave the same difference"),
    ],
)
def test_no_test_is_said_in_words(variant: dict[int, float], words: str) -> None:
    other = by_seed(0.80, 0.83, 0.80, 0.83, 0.81)
    found = compare({"x": (variant, None), "other": (other, None)}, BASELINE, "max")
    assert found["x"].p is None
    assert found["x"].p_corrected is None
    assert found["x"].outcome == "no test"
    assert words in found["x"].explanation
    assert found["other"].comparisons == 1  # a test that was not made is not corrected for
