"""Models that answer together: their mean, each one's scale, and weights, against values worked out by hand."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from orchestrator.scoring.ensembles import by_log_loss, by_selection, combined, own_scale


@dataclass(frozen=True)
class Member:
    weight: float
    center: float = 0.0
    scale: float = 1.0


def test_probabilities_are_averaged_by_weight_and_anomaly_scores_on_scales_of_their_own() -> None:
    first, second = np.array([[0.8, 0.2], [0.5, 0.5]]), np.array([[0.4, 0.6], [0.1, 0.9]])
    mean = combined([first, second], [Member(0.75), Member(0.25)], "classification")
    np.testing.assert_allclose(mean, [[0.7, 0.3], [0.4, 0.6]], rtol=1e-15)
    scores = combined(
        [np.array([1.0, 3.0]), np.array([100.0, 400.0])], [Member(0.5, 1.0, 2.0), Member(0.5, 200.0, 50.0)], "detection"
    )
    np.testing.assert_allclose(scores, [0.5 * 0 + 0.5 * -2, 0.5 * 1 + 0.5 * 4], rtol=1e-15)


def test_a_scale_is_that_of_normal_pictures_and_an_odd_one_hardly_moves_it() -> None:
    scores, labels = np.array([1.0, 2.0, 3.0, 4.0, 1000.0, 7.0]), np.array([0, 0, 0, 0, 0, 1])
    assert own_scale(scores, labels) == (3.0, pytest.approx(1.4826))  # deviations 2, 1, 0, 1, 997


def test_where_most_scores_are_the_same_their_standard_deviation_is_the_scale() -> None:
    scores, labels = np.array([0.0, 0.0, 0.0, 4.0]), np.zeros(4, np.int64)
    assert own_scale(scores, labels) == (0.0, pytest.approx(np.sqrt(3.0)))


def test_scores_that_are_all_the_same_have_no_scale() -> None:
    with pytest.raises(ValueError, match="all 3 normal validation pictures have the same score"):
        own_scale(np.array([0.1, 0.1, 0.1, 0.7]), np.array([0, 0, 0, 1]))


def test_weights_of_the_least_log_loss_are_those_that_calculus_gives() -> None:
    # Of n pictures the first member says .9 of k and .1 of the rest, the second the other way round: w .9 + (1 - w) .1
    # is best where it is k / n.
    labels = np.zeros(10, np.int64)
    true = np.array([0.9] * 7 + [0.1] * 3)
    first, second = np.stack([true, 1 - true], axis=1), np.stack([1 - true, true], axis=1)
    weights = by_log_loss([first, second], labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] == pytest.approx((0.7 - 0.1) / 0.8, abs=1e-3)


def test_no_other_weights_have_a_lower_log_loss() -> None:
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 60)
    members = [random.dirichlet(np.ones(3) + strength * np.eye(3)[labels[0]], 60) for strength in (0.0, 1.0, 2.0)]
    members = [0.5 * one + 0.5 * np.eye(3)[np.where(random.random(60) < 0.6, labels, 0)] for one in members]

    def loss(weights: np.ndarray) -> float:
        return float(log_loss(labels, np.tensordot(weights, np.stack(members), axes=1), labels=[0, 1, 2]))

    best = loss(by_log_loss(members, labels))
    others = [loss(weights) for weights in random.dirichlet(np.ones(3), 300)]
    assert best <= min(others) + 1e-6


def test_one_probability_of_zero_makes_no_weight_infinite() -> None:
    sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    weights = by_log_loss([sure, np.full((2, 2), 0.5)], np.array([0, 0]))
    assert np.isfinite(weights).all()
    assert weights.sum() == pytest.approx(1)


def test_selection_takes_what_helps_and_leaves_what_harms() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    # Each of the first two finds one of the anomalies; together they find both. The third says the opposite.
    first, second = np.array([0, 0, 1, 0, 3, 0.0]), np.array([0, 1, 0, 0, 0, 3.0])
    third = -(first + second)
    weights = by_selection([first, second, third], lambda scores: float(roc_auc_score(labels, scores)))
    assert weights == pytest.approx([0.5, 0.5, 0.0])
    assert roc_auc_score(labels, weights @ np.stack([first, second, third])) == 1.0


def test_where_nothing_tells_members_apart_they_weigh_alike_and_the_best_alone_goes_first() -> None:
    labels, good = np.array([0, 0, 1, 1]), np.array([0.0, 0.1, 0.9, 1.0])
    bad = np.array([0.3, 0.1, 0.2, 0.0])
    value = lambda scores: float(roc_auc_score(labels, scores))  # noqa: E731
    assert by_selection([good, good + 1.0], value) == pytest.approx([0.5, 0.5])
    assert by_selection([bad, good], value) == pytest.approx([0.0, 1.0])
