"""DeLong and McNemar against brute force, scipy and printed values, and the merging of p-values."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.scoring.comparisons import holm
from orchestrator.scoring.paired_tests import delong, mcnemar, merged_p


def brute_force(scores: list[np.ndarray], labels: np.ndarray) -> tuple[float, float]:
    """The definition of DeLong et al. 1988 over every pair of pictures: the difference and its variance."""
    structural = []
    for one in scores:
        pairs = np.array(
            [[(x > y) + 0.5 * (x == y) for y in one[labels == 0].tolist()] for x in one[labels == 1].tolist()]
        )
        structural.append((pairs.mean(), pairs.mean(axis=1), pairs.mean(axis=0)))
    (area, v10, v01), (other, w10, w01) = structural
    m, n = len(v10), len(v01)

    def covariance(a: np.ndarray, b: np.ndarray, at: float, bt: float) -> float:
        return sum((x - at) * (y - bt) for x, y in zip(a, b, strict=True)) / (len(a) - 1)

    s10 = [[covariance(a, b, at, bt) for b, bt in ((v10, area), (w10, other))] for a, at in ((v10, area), (w10, other))]
    s01 = [[covariance(a, b, at, bt) for b, bt in ((v01, area), (w01, other))] for a, at in ((v01, area), (w01, other))]
    variance = sum(s[0][0] + s[1][1] - 2 * s[0][1] for s in (np.array(s10) / m, np.array(s01) / n))
    return float(area - other), float(variance)


@pytest.mark.parametrize("tied", [False, True])
def test_delong_is_the_definition(tied: bool) -> None:
    generator = np.random.default_rng(4)
    labels = (np.arange(61) % 3 == 0).astype(np.int64)
    common = generator.normal(0, 1, 61)
    scores = [common + generator.normal(0, 1, 61) + skill * labels for skill in (1.3, 0.6)]
    if tied:
        scores = [np.round(one) for one in scores]
        assert len(np.unique(scores[0])) < 12
    difference, variance = brute_force(scores, labels)
    found = delong(*scores, labels)
    assert found.difference == pytest.approx(difference)
    assert found.error == pytest.approx(math.sqrt(variance))
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(difference) / math.sqrt(variance)))
    turned = delong(scores[1], scores[0], labels)
    assert (turned.difference, turned.p) == (pytest.approx(-difference), pytest.approx(found.p))


def test_delong_by_hand() -> None:
    # Normals 1, 2; anomalies 3, 0 (AUC 1/2) and 3, 4 (AUC 1): V10 is (1, 0), V01 (1/2, 1/2) for the first, constant
    # for the second. Variance: var(1, 0)/2 + 0 = 1/4, so z = -1 and p = 0.3173, the normal tail beyond one sigma.
    labels = np.array([0, 0, 1, 1])
    found = delong(np.array([1.0, 2, 3, 0]), np.array([1.0, 2, 3, 4]), labels)
    assert (found.difference, found.error) == (-0.5, pytest.approx(0.5))
    assert found.p == pytest.approx(0.3173, abs=5e-5)


def test_delong_holds_its_level() -> None:
    """Under the null the p-values are uniform: near 5 % of them lie below .05."""
    generator = np.random.default_rng(8)
    labels = (np.arange(120) % 2).astype(np.int64)
    below = 0
    for _ in range(600):
        common = generator.normal(0, 1, 120) + labels
        found = delong(common + generator.normal(0, 1, 120), common + generator.normal(0, 1, 120), labels)
        below += found.p is not None and found.p < 0.05
    assert 0.025 < below / 600 < 0.08


def test_delong_without_variance() -> None:
    labels = np.array([0, 0, 1, 1])
    right, wrong = np.array([0.0, 0, 1, 1]), np.array([1.0, 1, 0, 0])
    assert delong(right, right * 5, labels).p == 1.0
    assert (delong(right, wrong, labels).difference, delong(right, wrong, labels).p) == (1.0, None)
    constant = np.zeros(4)
    assert (delong(constant, constant, labels).difference, delong(constant, constant, labels).p) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("first", "labels", "words"),
    [
        ([1.0, 2, 3], [0, 1, 1, 0], "one a label"),
        ([1.0, 2, math.nan, 3], [0, 1, 1, 0], "finite"),
        ([1.0, 2, 3, 4], [0, 0, 0, 1], "1 anomalous and 3 normal"),
        ([1.0, 2, 3, 4], [0, 0, 0, 0], "0 anomalous"),
    ],
)
def test_delong_refuses(first: list[float], labels: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        delong(np.array(first), np.array(first), np.array(labels))


def hits(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat([True, True, False, False], [both, first, second, neither]), np.repeat(
        [True, False, True, False], [both, first, second, neither]
    )


def test_mcnemar_is_the_binomial_test_of_the_differing() -> None:
    for first, second in itertools.product((0, 1, 6, 21), (2, 9)):
        found = mcnemar(*hits(40, first, second, 13))
        assert found.p == pytest.approx(stats.binomtest(first, first + second).pvalue)
        assert found.difference == pytest.approx((first - second) / (53 + first + second))


def test_mcnemar_of_printed_tables() -> None:
    # Agresti, Categorical Data Analysis (2nd ed., table 10.1): 150 and 86 changed their mind; z² = 17.36, p < .001.
    assert (mcnemar(*hits(794, 150, 86, 570)).p or 1) < 1e-4
    # Ten differing pictures, all one way: 2 · 2^-10.
    assert mcnemar(*hits(5, 10, 0, 5)).p == pytest.approx(2**-9)
    assert mcnemar(*hits(5, 0, 0, 5)).p == 1.0


def test_mcnemar_refuses() -> None:
    with pytest.raises(ValueError, match="one a picture"):
        mcnemar(np.array([True]), np.array([True, False]))
    with pytest.raises(ValueError, match="one a picture"):
        mcnemar(np.array([], dtype=bool), np.array([], dtype=bool))


def test_merged_p_is_twice_the_median() -> None:
    assert merged_p([0.01, 0.02, 0.9]) == pytest.approx(0.04)
    assert merged_p([0.01, 0.03]) == pytest.approx(0.04)
    assert merged_p([0.6, 0.7, 0.8]) == 1.0
    assert merged_p([0.03]) == 0.03
    assert merged_p([]) is None


def test_merged_p_is_valid_under_the_worst_dependence() -> None:
    """Three p-values of which two are small together: the case in which the bound 2 · median is nearly reached."""
    generator = np.random.default_rng(2)
    level, small = 0.05, 0.0
    for _ in range(4_000):
        # Each is uniform: below level/2 they come in pairs, and the third is elsewhere.
        u, lonely = generator.random(), generator.integers(3)
        if u < 1.5 * level / 2:
            p = generator.uniform(0, level / 2, 3)
            p[lonely] = generator.uniform(level / 2, 1)
        else:
            p = generator.uniform(level / 2, 1, 3)
        small += (merged_p(p.tolist()) or 0) <= level
    assert 0.02 < small / 4_000 <= level


def test_holm_by_hand() -> None:
    # Holm 1979: .01 · 4, .02 · 3, .03 · 2, .04 · 1, then made not to fall.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []
