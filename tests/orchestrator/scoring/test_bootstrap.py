"""The vectorised bootstraps against slow ones that ask scikit-learn for every draw."""

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    recall_score,
    roc_auc_score,
)

from orchestrator.scoring import draws, judged
from orchestrator.scoring.bootstrap import resample_detection, resample_metrics
from orchestrator.scoring.draws import Sources, picture_weights
from orchestrator.scoring.judged import DrawnClasses
from orchestrator.scoring.metric_table import metrics_of
from orchestrator.scoring.metrics import confusion, grade
from trainables.interface import Prediction

CLASSES = ("a", "b", "c")


def example(count: int = 60, seeds: int = 2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(7)
    labels = generator.integers(3, size=count)
    labels[:3] = [0, 1, 2]
    scores = generator.dirichlet(np.ones(3), size=(seeds, count))
    scores[:, np.arange(count), labels] += 0.4
    return scores / scores.sum(axis=2, keepdims=True), labels


def test_macro_metrics_agree_with_grade() -> None:
    scores, labels = example()
    prediction = Prediction(scores[0])
    counts = np.array(confusion(prediction, labels, CLASSES), dtype=float)
    graded = grade(prediction, labels, CLASSES)
    drawn = DrawnClasses(counts[None, None], np.array([[graded["log_loss"]]]))
    for metric in metrics_of("classification"):
        assert metric.resampled is not None
        (value,) = metric.resampled(drawn)[0]
        assert value == pytest.approx(graded[metric.name])


def weighted_grade(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """scikit-learn's classification metrics of weighted pictures."""
    predicted = scores.argmax(axis=1)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(3), average="macro", zero_division=0, sample_weight=weights
    )
    return {
        "accuracy": accuracy_score(labels, predicted, sample_weight=weights),
        "macro_precision": precision,
        "macro_recall": recall,
        "macro_f1": f1,
        "log_loss": log_loss(labels, scores, labels=np.arange(3), sample_weight=weights),
    }


def test_each_draw_is_the_metric_of_the_weighted_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = example()
    groups = np.arange(60) // 3  # patches of twenty source pictures
    present = [labels == label for label in range(3)]
    (weights,) = picture_weights(Sources.of(groups, labels), 25, 3, present)
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 60 * 7)  # several chunks, the last one short
    resampled = resample_metrics(scores, labels, CLASSES, groups, draws=25, seed=3)
    for draw, row in enumerate(weights):
        for seed in range(2):
            for name, value in weighted_grade(scores[seed], labels, row).items():
                assert resampled[name].values[draw, seed] == pytest.approx(value), name
    assert {one.influence.shape for one in resampled.values() if one.influence is not None} == {(20, 2)}


def test_standard_error_of_accuracy_is_the_binomial_one() -> None:
    count = 400
    labels = np.zeros(count, dtype=np.int64)
    scores = np.tile([0.9, 0.1], (1, count, 1))
    scores[0, :100] = [0.1, 0.9]
    resampled = resample_metrics(scores, labels, ("a", "b"), np.arange(count))["accuracy"]
    assert resampled.values.mean() == pytest.approx(0.75, abs=0.005)
    # Of Rao and Wu's draws it has no bias: the sample variance over n, with n - 1.
    assert np.sqrt(resampled.variance) == pytest.approx(np.sqrt(0.75 * 0.25 / (count - 1)), rel=0.03)


def test_small_samples_have_no_bias() -> None:
    labels = np.zeros(5, dtype=np.int64)
    scores = np.tile([0.9, 0.1], (1, 5, 1))
    scores[0, :2] = [0.1, 0.9]
    found = resample_metrics(scores, labels, ("a", "b"), np.arange(5))["accuracy"]
    assert found.variance == pytest.approx(np.array([0, 0, 1, 1, 1]).var(ddof=1) / 5, rel=0.05)


def test_draws_hold_as_many_of_each_class_as_the_test_part() -> None:
    """Answers that depend on the class alone vary with nothing: no draw has another balance."""
    labels = np.repeat([0, 1], [90, 10])
    scores = np.tile([0.9, 0.1], (1, 100, 1))
    found = resample_metrics(scores, labels, ("a", "b"), np.arange(100), 200)["accuracy"]
    np.testing.assert_allclose(found.values, 0.9, rtol=1e-12)


def test_patches_of_one_picture_widen_the_error() -> None:
    labels = np.zeros(400, dtype=np.int64)
    scores = np.tile([0.9, 0.1], (1, 400, 1))
    scores[0, :100] = [0.1, 0.9]
    alone = resample_metrics(scores, labels, ("a", "b"), np.arange(400))["accuracy"].values.std()
    together = resample_metrics(scores, labels, ("a", "b"), np.arange(400) // 4)["accuracy"].values.std()
    assert together == pytest.approx(2 * alone, rel=0.1)


def test_the_same_draws_for_every_model() -> None:
    scores, labels = example()
    once = resample_metrics(scores, labels, CLASSES, np.arange(60), draws=50)
    again = resample_metrics(scores[1:], labels, CLASSES, np.arange(60), draws=50)
    for name in once:
        np.testing.assert_allclose(once[name].values[:, 1], again[name].values[:, 0], rtol=1e-12)
    other = resample_metrics(scores, labels, CLASSES, np.arange(60), draws=50, seed=1)
    assert (once["accuracy"].values != other["accuracy"].values).any()


def test_bad_scores_are_named() -> None:
    scores, labels = example()
    scores[1, 4, 0] = np.nan
    with pytest.raises(ValueError, match="must be finite"):
        resample_metrics(scores, labels, CLASSES, np.arange(60))


def detection_example(count: int = 24, seeds: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, labels, and source pictures of three patches, of which two hold the anomalies."""
    generator = np.random.default_rng(5)
    groups = np.arange(count) // 3
    labels = np.where(groups < 2, generator.integers(2, size=count), 0)
    labels[0] = 1
    scores = generator.integers(9, size=(seeds, count)) + 2.0 * labels
    return scores, labels, groups


def weighted_detection(
    scores: np.ndarray, labels: np.ndarray, threshold: float, weights: np.ndarray
) -> dict[str, float]:
    """scikit-learn's detection metrics of weighted pictures."""
    called = scores > threshold
    tpr, tnr = (recall_score(labels, called, pos_label=side, sample_weight=weights) for side in (1, 0))
    return {
        "roc_auc": roc_auc_score(labels, scores, sample_weight=weights),
        "average_precision": average_precision_score(labels, scores, sample_weight=weights),
        "balanced_accuracy": (tpr + tnr) / 2,
        "f1": f1_score(labels, called, sample_weight=weights),
        "tpr": tpr,
        "tnr": tnr,
    }


def test_each_detection_draw_is_the_metric_of_the_weighted_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels, groups = detection_example()
    thresholds = np.array([3.0, 5.0, 4.5])
    sources, needed = Sources.of(groups, labels), [labels == 1, labels == 0]
    weights = np.concatenate(list(picture_weights(sources, 40, 3, needed)))
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 24 * 7)
    resampled = resample_detection(scores, labels, groups, thresholds, draws=40, seed=3)
    for draw, row in enumerate(weights):
        for seed in range(3):
            slow = weighted_detection(scores[seed], labels, thresholds[seed], row)
            assert set(slow) == set(resampled)
            for name, value in slow.items():
                assert resampled[name].values[draw, seed] == pytest.approx(value, abs=1e-6), name
    assert {one.values.shape for one in resampled.values()} == {(40, 3)}


@pytest.mark.parametrize("levels", [12, 100_000])
def test_single_precision_counts_as_well_as_double(monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    generator = np.random.default_rng(8)
    labels = (np.arange(900) % 3 == 0).astype(np.int64)
    scores = generator.integers(levels, size=(2, 900)) + levels / 4 * labels
    single = resample_detection(scores, labels, np.arange(900), None, draws=30)
    monkeypatch.setattr(judged, "_EXACT", 0)
    double = resample_detection(scores, labels, np.arange(900), None, draws=30)
    for name in ("roc_auc", "average_precision"):
        np.testing.assert_allclose(single[name].values, double[name].values, rtol=0, atol=5e-6)
    assert np.ptp(double["roc_auc"].values) > 0.01


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100])
def test_running_sums_are_those_of_cumsum(rows: int) -> None:
    columns = np.random.default_rng(2).integers(9, size=(120, 3)).astype(np.float32)
    order = np.random.default_rng(3).permutation(120)[:rows]
    found = judged._running(columns, order)
    assert not found[0].any()
    assert np.array_equal(found[1 : rows + 1], np.cumsum(columns[order], axis=0))


def test_the_size_of_a_chunk_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels, groups = detection_example()
    whole = resample_detection(scores, labels, groups, np.full(3, 4.0), draws=60)
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 1)
    for name, one in resample_detection(scores, labels, groups, np.full(3, 4.0), draws=60).items():
        np.testing.assert_allclose(one.values, whole[name].values, rtol=1e-6, atol=1e-6)


def test_one_class_alone_has_the_rate_of_that_class() -> None:
    scores, labels, groups = detection_example()
    assert list(resample_detection(scores, labels * 0, groups, np.full(3, 4.0), draws=5)) == ["tnr"]
    assert list(resample_detection(scores, labels * 0 + 1, groups, np.full(3, 4.0), draws=5)) == ["f1", "tpr"]


def test_without_thresholds_only_the_ranking_is_judged() -> None:
    scores, labels, groups = detection_example()
    assert list(resample_detection(scores, labels, groups, None, draws=5)) == ["roc_auc", "average_precision"]
    for thresholds in (np.full(2, 4.0), np.array([1.0, np.nan, 2.0])):
        with pytest.raises(ValueError, match="one finite threshold a seed, 3"):
            resample_detection(scores, labels, groups, thresholds)


def test_standard_error_of_tpr_is_the_binomial_one() -> None:
    labels = np.repeat([0, 1], 400)
    scores = np.zeros((1, 800))
    scores[0, 400:700] = 1.0
    resampled = resample_detection(scores, labels, np.arange(800), np.array([0.5]))
    assert resampled["tpr"].values.std(ddof=1) == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.06)
    assert (resampled["tnr"].values == 1).all()
