"""Mean curves and their bands, against scikit-learn's curves and a bootstrap by hand."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from orchestrator.scoring.curve_bands import RATES, curve_bands
from orchestrator.scoring.draws import Sources, picture_weights


def example(seeds: int = 3, count: int = 80, ties: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(4)
    labels = (np.arange(count) % 3 == 0).astype(np.int64)
    scores = draws.normal(size=(seeds, count)) + 1.2 * labels
    return (np.round(scores, 0) if ties else scores), labels, np.arange(count) // 4


@pytest.mark.parametrize("ties", [False, True])
def test_the_mean_is_that_of_the_seeds_own_curves(ties: bool) -> None:
    scores, labels, groups = example(ties=ties)
    ((roc, precision),) = curve_bands([scores], labels, groups, draws=20)
    rates, found = zip(*(roc_curve(labels, one)[:2] for one in scores), strict=True)
    # np.interp takes the last of equal rates, which is the highest.
    expected = np.mean([np.interp(RATES, x, y) for x, y in zip(rates, found, strict=True)], axis=0)
    np.testing.assert_allclose(roc.mean, expected, atol=1e-9)
    by_hand = []
    for one in scores:
        precisions, recalls, _ = precision_recall_curve(labels, one)
        first = [recalls[recalls >= recall - 1e-9].min() for recall in RATES[1:]]
        by_hand.append([precisions[recalls == recall].max() for recall in first])
    np.testing.assert_allclose(precision.mean, np.mean(by_hand, axis=0), atol=1e-9)


def test_the_band_is_that_of_resampled_pictures() -> None:
    scores, labels, groups = example(seeds=1)
    ((roc, _),) = curve_bands([scores], labels, groups, draws=200, seed=7)
    curves = []
    for weights in picture_weights(Sources.of(groups, labels), 200, 7, [labels == 1, labels == 0]):
        for row in weights:
            x, y, _ = roc_curve(labels, scores[0], sample_weight=row)
            curves.append(np.interp(RATES, x, y))
    low, high = np.percentile(curves, (2.5, 97.5), axis=0)
    np.testing.assert_allclose(roc.low, low, atol=1e-9)
    np.testing.assert_allclose(roc.high, high, atol=1e-9)


def test_seeds_that_differ_widen_the_band() -> None:
    scores, labels, groups = example(seeds=1, count=240)
    worse = scores - 1.2 * labels
    ((alone, _),) = curve_bands([scores], labels, groups)
    ((both, _),) = curve_bands([np.concatenate([scores, worse])], labels, groups)
    assert (both.high - both.low).mean() > 1.3 * (alone.high - alone.low).mean()


def test_draws_are_the_same_for_all_models_and_each_time() -> None:
    scores, labels, groups = example()
    first, second = curve_bands([scores, -scores], labels, groups, draws=50)
    (alone,) = curve_bands([scores], labels, groups, draws=50)
    for ours, theirs in zip(first, alone, strict=True):
        np.testing.assert_array_equal(ours.low, theirs.low)
        np.testing.assert_array_equal(ours.high, theirs.high)
    assert second[0].mean.mean() < 0.5 < first[0].mean.mean()


def test_a_perfect_and_a_constant_score() -> None:
    labels = np.array([0, 1] * 10)
    groups = np.arange(20)
    perfect, constant = curve_bands([labels[None].astype(float), np.ones((1, 20))], labels, groups, draws=30)
    for curve in perfect:
        assert (curve.low == 1).all()
        assert (curve.mean == 1).all()
    np.testing.assert_allclose(constant[0].mean, RATES)
    np.testing.assert_allclose(constant[1].mean, 0.5)
    assert roc_auc_score(labels, np.ones(20)) == 0.5


def test_scores_that_are_none_are_refused() -> None:
    scores, labels, groups = example()
    scores[1, 3] = np.nan
    with pytest.raises(ValueError, match="finite"):
        curve_bands([scores], labels, groups)
