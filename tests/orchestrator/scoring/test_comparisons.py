"""One p a comparison: it inverts the interval, counts seeds and pictures once, and alone decides."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from orchestrator.scoring.bootstrap import resample_metrics
from orchestrator.scoring.comparisons import Comparison, corrected, detectable, holm, inverted, paired
from orchestrator.scoring.evidence import Evidence, Scale
from orchestrator.scoring.paired_tests import mcnemar
from orchestrator.scoring.spread import Spread

PICTURES = 150


def model(hits: np.ndarray, seeds: Sequence[int] | None = None, groups: np.ndarray | None = None) -> Evidence:
    """Accuracy of S models (S, N) that answered pictures of two classes rightly or not."""
    labels = np.arange(hits.shape[1]) % 2
    scores = np.stack([np.where(hits == (labels == place), 0.9, 0.1) for place in (0, 1)], axis=2)
    groups = np.arange(hits.shape[1]) if groups is None else groups
    found = resample_metrics(scores, labels, ("a", "b"), groups, 1_000)["accuracy"]
    figures = dict(zip(range(len(hits)) if seeds is None else seeds, hits.mean(axis=1).tolist(), strict=True))
    return Evidence(figures, found, Scale.of("accuracy", (0.0, 1.0), labels))


def random_model(right: float, seed: int, seeds: int = 5, pictures: int = PICTURES) -> Evidence:
    return model(np.random.default_rng(seed).random((seeds, pictures)) < right)


def test_p_is_the_level_whose_interval_reaches_zero() -> None:
    one = paired(random_model(0.8, 1), random_model(0.7, 2), "max")
    assert one.p is not None
    assert one.spread.half_width(one.p) == pytest.approx(abs(one.difference.mean), rel=1e-6)
    assert (one.p < 0.05) == (one.difference.low > 0 or one.difference.high < 0)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.03, 0.1, 0.3])
def test_interval_and_p_never_disagree(shift: float) -> None:
    for seed in range(5):
        one = paired(random_model(0.6 + shift, seed), random_model(0.6, seed + 50), "max")
        assert one.p is not None
        assert (one.p < 0.05) == (one.difference.low > 0 or one.difference.high < 0)


def test_with_no_spread_over_pictures_it_is_the_paired_t_test() -> None:
    differences = [0.02, 0.011, 0.013, -0.004, 0.02]
    found = Spread(5, float(np.var(differences, ddof=1)) / 5, 0.0)
    assert inverted(found, float(np.mean(differences))) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_with_no_spread_over_seeds_it_is_the_z_test() -> None:
    assert inverted(Spread(5, 0.0, 0.01**2), 0.02) == pytest.approx(2 * stats.norm.sf(2))


def test_a_model_without_randomness_is_tested_by_its_pictures() -> None:
    """A deterministic Δ of .2 on 1,000 pictures, and the same with one picture of one seed changed: one sensible p."""
    generator = np.random.default_rng(0)
    base = generator.random(1_000) < 0.6
    better = base | (generator.random(1_000) < 0.5)
    first, second = np.tile(better, (5, 1)), np.tile(base, (5, 1))
    exact = paired(model(first), model(second), "max")
    first[2, np.flatnonzero(~base)[0]] ^= True
    nearly = paired(model(first), model(second), "max")
    assert exact.p is not None
    assert nearly.p is not None
    # Of five seeds, a hair's breadth is Student's with 4 degrees of freedom: its far tail is heavy.
    assert exact.p < nearly.p < 1e-9
    assert corrected({"x": nearly}, "max")["x"].outcome == "better"
    words = corrected({"x": exact}, "max")["x"].explanation
    assert words == "significantly better, of the test pictures alone: no seed changes it"


def test_few_discordant_pictures_are_judged_like_mcnemars() -> None:
    for gained in range(1, 9):
        base = np.arange(100) < 60
        better = base.copy()
        better[60 : 60 + gained] = True
        one = paired(model(np.tile(better, (3, 1))), model(np.tile(base, (3, 1))), "max")
        exact = mcnemar(better, base).p
        assert one.p is not None
        assert exact is not None
        assert (one.p < 0.05) <= (exact < 0.13), gained


def test_seeds_that_agree_by_chance_take_nothing_from_the_pictures() -> None:
    generator = np.random.default_rng(0)
    hits = np.stack([generator.permutation(np.arange(100) < 70) for _ in range(5)])
    other = np.stack([generator.permutation(np.arange(100) < 60) for _ in range(5)])
    one = paired(model(hits), model(other), "max")
    assert one.spread.of_repeats == 0
    assert one.spread.of_pictures is not None
    assert one.spread.half_width(0.05) >= 1.96 * math.sqrt(one.spread.of_pictures)


def test_holm_by_hand() -> None:
    # Holm 1979: the smallest p times 3, the next times 2, the last times 1, never falling.
    assert holm([0.04, 0.001, 0.021]) == [pytest.approx(0.042), pytest.approx(0.003), pytest.approx(0.042)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_verdict_is_the_corrected_p_alone() -> None:
    def one(p: float) -> Comparison:
        """A difference of that p."""
        width = stats.norm.isf(p / 2)
        spread = Spread(5, 0.0, (0.1 / width) ** 2)
        found = paired(random_model(0.8, 1), random_model(0.7, 2), "max")
        return Comparison(found.difference, spread, p, 0.9, "")

    found = corrected({"a": one(0.01), "b": one(0.02), "c": one(0.04)}, "max")
    assert [found[name].p_corrected for name in "abc"] == [pytest.approx(p) for p in (0.03, 0.04, 0.04)]
    assert {one.outcome for one in found.values()} == {"better"}
    assert {one.outcome for one in corrected({"a": one(0.01)}, "min").values()} == {"worse"}
    more = corrected({"a": one(0.01), "b": one(0.02), "c": one(0.04), **{f"x{k}": one(0.5) for k in range(7)}}, "max")
    assert more["a"].outcome == "not significant"
    assert more["a"].explanation == "not significant after correction for 10 comparisons"
    assert more["a"].comparisons == 10
    assert more["x1"].explanation == "not significant"


def test_only_common_seeds_are_paired() -> None:
    hits = np.random.default_rng(5).random((3, PICTURES)) < 0.7
    one = paired(model(hits, seeds=[4, 1, 9]), model(hits[::-1], seeds=[9, 1, 7]), "max")
    assert one.difference.seeds == 2
    assert one.difference.mean == pytest.approx(0)
    assert one.p is None
    assert one.why == "the same result as the baseline with every seed, on every picture"


@pytest.mark.parametrize(
    ("seeds", "scores", "words"),
    [
        ([0], True, "fewer than two seeds in common with the baseline"),
        ([7, 8], True, "no seed in common with the baseline"),
        ([0, 1], False, "the test scores of both on the same pictures are not there"),
    ],
)
def test_why_there_is_no_test(seeds: list[int], scores: bool, words: str) -> None:
    ours, base = random_model(0.8, 1, len(seeds)), random_model(0.7, 2)
    ours = Evidence(
        dict(zip(seeds, ours.by_seed.values(), strict=True)), ours.resampled if scores else None, ours.scale
    )
    one = corrected({"x": paired(ours, base, "max"), "y": paired(random_model(0.9, 3), base, "max")}, "max")
    assert (one["x"].p, one["x"].outcome) == (None, "no test")
    assert one["x"].explanation.startswith(f"no test: {words}")
    assert one["y"].comparisons == 1  # a test that was not made is not corrected for


def test_few_sources_bear_no_test() -> None:
    hits = np.random.default_rng(0).random((2, 3, 90)) < 0.7
    ours, base = (model(one, groups=np.arange(90) // 10) for one in hits)
    one = paired(ours, base, "max")
    assert one.p is None
    assert "from 9 source pictures" in one.why


def test_the_probability_of_improvement() -> None:
    better, base = random_model(0.9, 1), random_model(0.6, 2)
    assert paired(better, base, "max").probability == pytest.approx(1, abs=0.01)
    assert paired(better, base, "min").probability == pytest.approx(0, abs=0.01)
    assert paired(base, base, "max").probability == pytest.approx(0.5, abs=0.05)
    alone = Evidence({0: 0.7, 1: 0.8}), Evidence({0: 0.75, 1: 0.8})
    assert paired(*alone, "max").probability == pytest.approx((0 + 0 + 1 + 0.5) / 4)


def test_the_detectable_difference_is_found_as_often_as_told() -> None:
    found = Spread(5, 0.01**2, 0.02**2)
    size = detectable(found, 4)
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(20_000):
        value = generator.normal(size, found.error)
        hits += abs(value) > found.half_width(0.05 / 4)
    assert hits / 20_000 == pytest.approx(0.8, abs=0.01)
    assert math.isnan(detectable(Spread(1, None, 0.1), 2))
