"""Intervals against closed forms, exact limits, and degenerate repeats."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import special, stats

from orchestrator.scoring.bootstrap import resample_detection, resample_metrics
from orchestrator.scoring.draws import Sources
from orchestrator.scoring.evidence import Evidence, Scale, worth_of
from orchestrator.scoring.intervals import estimate
from orchestrator.scoring.metric_table import METRICS
from orchestrator.scoring.resampled import Resampled
from orchestrator.scoring.spread import Spread

VALUES = [0.81, 0.84, 0.79, 0.86, 0.80]
UNIT = Scale((0.0, 1.0))


def by_seed(values: Sequence[float]) -> dict[int, float]:
    return dict(enumerate(values))


def sources(count: int, each: int = 1) -> Sources:
    return Sources.of(np.arange(count * each) // each, np.zeros(count * each, dtype=np.int64))


def drawn(values: np.ndarray, pictures: int = 400) -> Resampled:
    """Draws (draws, S) of independent pictures of one class."""
    return Resampled(values, sources(pictures))


def answers(right: Sequence[Sequence[bool]], groups: np.ndarray | None = None) -> Evidence:
    """Accuracy of S models that answered N pictures of two classes rightly or not."""
    hits = np.array(right)
    labels = np.arange(hits.shape[1]) % 2
    scores = np.stack([np.where(hits == (labels == place), 0.9, 0.1) for place in (0, 1)], axis=2)
    groups = np.arange(hits.shape[1]) if groups is None else groups
    found = resample_metrics(scores, labels, ("a", "b"), groups, 1_000)["accuracy"]
    return Evidence(by_seed(hits.mean(axis=1)), found, Scale.of("accuracy", (0.0, 1.0), labels))


def test_without_bounds_and_pictures_it_is_students() -> None:
    found = estimate(Evidence(by_seed(VALUES)))
    low, high = stats.t.interval(0.95, 4, loc=np.mean(VALUES), scale=stats.sem(VALUES))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert not found.with_pictures
    assert "leaves out the choice of test pictures" in found.remark


def test_both_sources_add_up_on_the_raw_scale() -> None:
    # Student's table: t(.975, 4) = 2.776; pictures with 399 degrees of freedom: 1.966.
    same = np.random.default_rng(0).normal(0.82, 0.01, (100_000, 1)).repeat(5, axis=1)
    found = estimate(Evidence(by_seed(VALUES), drawn(same)))
    half = math.hypot(2.776 * np.std(VALUES, ddof=1) / math.sqrt(5), 1.966 * 0.01)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=2e-3)
    assert found.remark == ""


def test_what_seeds_and_pictures_share_counts_once() -> None:
    """Seeds that differ by nothing but their own answers: the whole variance is σ²/(n S), not twice that."""
    generator = np.random.default_rng(3)
    hits = generator.random((8, 500)) < 0.8
    found = estimate(answers(hits.tolist()))
    alone = hits.mean(axis=1).std(ddof=1) / math.sqrt(8)
    half = stats.t.ppf(0.975, 7) * alone
    assert found.high - found.low == pytest.approx(2 * half, rel=0.35)


def test_one_seed_has_the_pictures_only_and_says_so() -> None:
    found = estimate(answers([[True] * 80 + [False] * 20]))
    assert found.low == pytest.approx(stats.binom.interval(0.95, 100, 0.8)[0] / 100, abs=0.02)
    assert "one seed" in found.remark


def test_one_seed_without_scores_has_no_interval() -> None:
    found = estimate(Evidence({0: 0.82}, None, UNIT))
    assert found.mean == 0.82
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_a_bounded_figure_stays_within_its_bounds_without_being_cut() -> None:
    found = estimate(Evidence(by_seed([0.99, 0.9, 1.0]), None, UNIT))
    assert 0 < found.low < 0.9
    assert found.high < 1.0
    middle = (special.logit(found.low) + special.logit(found.high)) / 2
    assert middle == pytest.approx(special.logit(found.mean))


@pytest.mark.parametrize("seeds", [1, 5])
def test_six_of_six_right_has_the_exact_limit(seeds: int) -> None:
    found = estimate(answers([[True] * 6] * seeds))
    assert (found.low, found.high) == (pytest.approx(0.025 ** (1 / 6)), 1.0)
    assert found.low == pytest.approx(stats.binomtest(6, 6).proportion_ci().low)
    none = estimate(answers([[False] * 6] * seeds))
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 6)))


def test_a_perfect_model_on_six_pictures_has_no_narrow_macro_f1() -> None:
    labels = np.arange(6) % 2
    scores = np.stack([1.0 - labels, labels], axis=1)[None] * 0.8 + 0.1
    found = resample_metrics(scores, labels, ("a", "b"), np.arange(6), 500)["macro_f1"]
    one = estimate(Evidence({0: 1.0}, found, Scale.of("macro_f1", (0.0, 1.0), labels)))
    assert one.high == 1.0
    assert 0.4 < one.low < 0.65


def test_a_perfect_ranking_is_not_known_to_be_always_perfect() -> None:
    labels = np.r_[np.zeros(45, dtype=np.int64), np.ones(5, dtype=np.int64)]
    found = resample_detection(labels[None] + 0.0, labels, np.arange(50), None, 500)["roc_auc"]
    one = estimate(Evidence({0: 1.0}, found, Scale.of("roc_auc", (0.0, 1.0), labels)))
    assert one.high == 1.0
    assert 0.6 < one.low < 0.95


def test_a_model_without_randomness_says_so() -> None:
    found = estimate(answers([[True] * 80 + [False] * 20] * 4))
    assert "every seed gave the same: the interval is of the test pictures alone" in found.remark
    one = estimate(answers([[True] * 80 + [False] * 20]))
    assert (found.low, found.high) == (pytest.approx(one.low), pytest.approx(one.high))


def test_few_sources_bear_no_interval() -> None:
    hits = (np.random.default_rng(0).random((3, 90)) < 0.7).tolist()
    few = estimate(answers(hits, np.arange(90) // 10))
    assert math.isnan(few.low)
    assert few.remark == (
        "no interval: these test pictures come from 9 source pictures, and with fewer than 10 none is to be trusted"
    )
    assert not math.isnan(estimate(answers(hits, np.arange(90) // 9)).low)
    assert not math.isnan(estimate(answers([row[:9] for row in hits])).low)  # nine pictures, each its own source


def test_few_sources_widen_the_interval() -> None:
    hits = (np.random.default_rng(0).random((1, 120)) < 0.7).tolist()
    alone, together = estimate(answers(hits)), estimate(answers(hits, np.arange(120) // 10))
    assert together.high - together.low > alone.high - alone.low


def test_a_rare_class_has_few_degrees_of_freedom() -> None:
    generator = np.random.default_rng(1)
    labels = np.r_[np.zeros(500, dtype=np.int64), np.ones(5, dtype=np.int64)]
    scores = generator.normal(size=(1, 505)) + labels
    found = resample_detection(scores, labels, np.arange(505), None)["roc_auc"]
    assert 3.5 < found.degrees_of_freedom < 6
    even = resample_detection(scores[:, 100:], np.arange(405) % 2, np.arange(405), None)["roc_auc"]
    assert even.degrees_of_freedom > 200


def test_influences_are_those_of_delong() -> None:
    """Σ U² is the variance, and that over draws is DeLong's: three ways to one number."""
    generator = np.random.default_rng(4)
    labels = np.arange(300) % 3 == 0
    scores = generator.normal(size=300) + labels
    found = resample_detection(scores[None], labels.astype(np.int64), np.arange(300), None)["roc_auc"]
    assert found.influence is not None
    above = (scores[labels][:, None] > scores[~labels]).astype(float)
    delong = above.mean(axis=1).var(ddof=1) / 100 + above.mean(axis=0).var(ddof=1) / 200
    assert found.variance == pytest.approx(delong, rel=0.05)
    noise = 300 * found.variance / 10_000
    assert (found.influence**2).sum() - noise == pytest.approx(delong, rel=0.05)


@pytest.mark.parametrize("values", [[], [math.nan], [0.5, math.inf]])
def test_values_that_are_none(values: list[float]) -> None:
    with pytest.raises(ValueError, match="at least one finite value a seed"):
        estimate(Evidence(by_seed(values)))


def test_a_class_with_one_source_is_told() -> None:
    labels = np.r_[np.zeros(30, dtype=np.int64), 1]
    found = resample_detection(labels[None] + 0.0, labels, np.arange(31), None, 100)["roc_auc"]
    one = estimate(Evidence({0: 1.0}, found, Scale.of("roc_auc", (0.0, 1.0), labels)))
    assert "a class has one source picture" in one.remark


def test_what_pictures_are_worth() -> None:
    labels = np.array([0] * 45 + [1] * 5)
    assert worth_of("pictures", labels) == 50
    assert (worth_of("anomalies", labels), worth_of("normals", labels)) == (5, 45)
    assert worth_of("classes", labels) == pytest.approx(4 / (1 / 45 + 1 / 5))
    assert {row.worth for row in METRICS.values() if row.pixel} == {None}


def test_the_interval_grows_as_alpha_falls() -> None:
    found = Spread(5, 0.001, 0.002, 0.0005, 40.0)
    widths = [found.half_width(alpha) for alpha in (1.0, 0.5, 0.05, 1e-3, 1e-9, 1e-30, 1e-99)]
    assert widths[0] == 0
    assert all(before < after for before, after in itertools.pairwise(widths))
    assert np.isfinite(widths).all()
