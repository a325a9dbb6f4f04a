"""Cuts of scores against counting, and every rule that scores and labels can break."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from orchestrator.scoring.confusion_counts import check_detection, cuts, just_below, rates
from orchestrator.scoring.thresholds import at_threshold, best_possible


def tied(seed: int, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=count)
    labels[:2] = [0, 1]
    return generator.integers(8, size=count) / 7 + labels * 0.2, labels


def test_every_cut_is_counted_and_none_is_missing() -> None:
    scores, labels = tied(0)
    every = cuts(scores, labels)
    assert len(every.thresholds) == len(np.unique(scores)) + 1
    for threshold, hits, false_alarms in zip(every.thresholds, every.hits, every.false_alarms, strict=True):
        assert hits == ((scores > threshold) & (labels == 1)).sum()
        assert false_alarms == ((scores > threshold) & (labels == 0)).sum()
    assert len({tuple(scores > threshold) for threshold in every.thresholds}) == len(every.thresholds)


@pytest.mark.parametrize("seed", range(4))
def test_metrics_at_a_threshold_are_scikit_learns(seed: int) -> None:
    scores, labels = tied(seed)
    for threshold in (*np.unique(scores), -1.0, 0.31, 2.0):
        called = (scores > threshold).astype(int)
        assert at_threshold(scores, labels, threshold) == pytest.approx(
            {
                "balanced_accuracy": balanced_accuracy_score(labels, called),
                "f1": f1_score(labels, called, zero_division=0),
                "tpr": recall_score(labels, called),
                "tnr": recall_score(labels, called, pos_label=0),
            },
            abs=1e-12,
        )


def test_what_is_undefined_is_left_out() -> None:
    assert at_threshold(np.array([1.0, 2.0]), np.array([0, 0]), 1.5) == {"tnr": 0.5}
    assert at_threshold(np.array([1.0, 2.0]), np.array([1, 1]), 1.5) == {"f1": pytest.approx(2 / 3), "tpr": 0.5}
    with pytest.raises(ValueError, match="threshold must be finite"):
        at_threshold(np.array([1.0]), np.array([0]), np.nan)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1", "tpr", "tnr"])
def test_the_upper_bound_is_reached_and_never_passed(metric: str) -> None:
    for seed in range(4):
        scores, labels = tied(seed)
        most, threshold = best_possible(scores, labels, metric)
        assert at_threshold(scores, labels, threshold)[metric] == most
        fine = np.linspace(-0.1, 1.3, 500)
        assert most >= max(at_threshold(scores, labels, value)[metric] for value in fine)
        higher = fine[fine > threshold]
        assert not any(
            at_threshold(scores, labels, value)[metric] == most
            for value in higher
            if not _same(scores, value, threshold)
        )


def _same(scores: np.ndarray, one: float, other: float) -> bool:
    return np.array_equal(scores > one, scores > other)


def test_an_upper_bound_needs_a_metric_with_a_threshold_and_both_classes() -> None:
    with pytest.raises(ValueError, match="has a roc_auc: there are balanced_accuracy, f1, tpr, tnr"):
        best_possible(*tied(0), "roc_auc")
    with pytest.raises(ValueError, match="has a balanced_accuracy: there are tnr"):
        best_possible(np.array([1.0, 2.0]), np.array([0, 0]))


def test_neighbouring_floats_are_still_cut_apart() -> None:
    for low in (1.0, np.nextafter(1.0, 0), 5e-324, -5e-324, 1e308):
        scores = np.array([low, np.nextafter(low, np.inf)])
        every = cuts(scores, np.array([0, 1]))
        assert ((scores > every.thresholds[1]) == [False, True]).all()
        assert np.isfinite(every.thresholds).all()


def test_equal_scores_have_two_cuts() -> None:
    every = cuts(np.full(3, 0.5), np.array([0, 1, 1]))
    assert every.thresholds.tolist() == [just_below(0.5), 0.5]
    assert every.hits.tolist() == [2, 0]
    assert every.best(np.array([1.0, 1.0])) == 1


def test_rates_of_arrays_are_rates_of_each() -> None:
    found = rates(np.array([1, 2]), np.array([0, 3]), np.array([2, 2]), np.array([4, 4]))
    assert found["tpr"].tolist() == [0.5, 1.0]
    assert found["tnr"].tolist() == [1.0, 0.25]
    assert found["f1"].tolist() == [2 / 3, 4 / 7]


@pytest.mark.parametrize(
    ("scores", "labels", "rule"),
    [
        ([1.0, np.nan], [0, 1], "must be finite; 1 of 2 are not, row 1"),
        ([np.inf, 1.0], [0, 1], "must be finite"),
        ([1.0], [0, 1], r"must be \(N,\) = \(2,\)"),
        ([[1.0, 2.0]], [0, 1], r"must be \(N,\)"),
        ([1.0, 2.0], [0, 2], "row 1 holds 2"),
        ([], [], "at least 1"),
    ],
)
def test_a_broken_rule_is_named(scores: list[float], labels: list[int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        check_detection(np.array(scores), np.array(labels))
