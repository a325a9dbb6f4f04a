"""The vectorised bootstraps against slow ones that call `grade` on every draw."""

import numpy as np
import pytest

from orchestrator.scoring import draws, judged
from orchestrator.scoring.bootstrap import resample_detection, resample_metrics
from orchestrator.scoring.detection import grade_detection
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


def test_each_draw_is_the_metric_of_the_drawn_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels = example()
    groups = np.arange(60) // 3  # patches of twenty source pictures
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 60 * 7)  # several chunks, the last one short
    resampled = resample_metrics(scores, labels, CLASSES, groups, draws=25, seed=3)

    generator = np.random.default_rng(3)
    drawn = np.concatenate([generator.integers(20, size=(n, 20)) for n in (7, 7, 7, 4)])
    for draw, chosen in enumerate(drawn):
        rows = np.concatenate([np.flatnonzero(groups == group) for group in chosen])
        for seed in range(2):
            slow = grade(Prediction(scores[seed][rows]), labels[rows], CLASSES)
            for name, value in slow.items():
                assert resampled[name][draw, seed] == pytest.approx(value), name


def test_standard_error_of_accuracy_is_the_binomial_one() -> None:
    count = 400
    labels = np.zeros(count, dtype=np.int64)
    scores = np.tile([0.9, 0.1], (1, count, 1))
    scores[0, :100] = [0.1, 0.9]
    resampled = resample_metrics(scores, labels, ("a", "b"), np.arange(count))
    assert resampled["accuracy"].mean() == pytest.approx(0.75, abs=0.005)
    assert resampled["accuracy"].std(ddof=1) == pytest.approx(np.sqrt(0.75 * 0.25 / count), rel=0.06)


def test_patches_of_one_picture_widen_the_error() -> None:
    labels = np.zeros(400, dtype=np.int64)
    scores = np.tile([0.9, 0.1], (1, 400, 1))
    scores[0, :100] = [0.1, 0.9]
    alone = resample_metrics(scores, labels, ("a", "b"), np.arange(400))["accuracy"].std()
    together = resample_metrics(scores, labels, ("a", "b"), np.arange(400) // 4)["accuracy"].std()
    assert together == pytest.approx(2 * alone, rel=0.1)


def test_the_same_draws_for_every_model() -> None:
    scores, labels = example()
    once = resample_metrics(scores, labels, CLASSES, np.arange(60), draws=50)
    again = resample_metrics(scores[1:], labels, CLASSES, np.arange(60), draws=50)
    for name in once:
        np.testing.assert_allclose(once[name][:, 1], again[name][:, 0], rtol=1e-12)
    other = resample_metrics(scores, labels, CLASSES, np.arange(60), draws=50, seed=1)
    assert (once["accuracy"] != other["accuracy"]).any()


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


def test_each_detection_draw_is_the_metric_of_the_drawn_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels, groups = detection_example()
    thresholds = np.array([3.0, 5.0, 4.5])
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 24 * 7)
    resampled = resample_detection(scores, labels, groups, thresholds, draws=40, seed=3)

    generator = np.random.default_rng(3)
    drawn = [rows_of(chosen, groups) for chosen in generator.integers(8, size=(400, 8))]
    kept = [rows for rows in drawn if 0 < labels[rows].sum() < len(rows)]
    assert len(kept) < len(drawn)  # some draws hold no anomaly, and are drawn again
    for draw, rows in enumerate(kept[:40]):
        for seed in range(3):
            slow = grade_detection(scores[seed][rows], labels[rows], thresholds[seed])
            assert set(slow) == set(resampled)
            for name, value in slow.items():
                precise = 1e-6 if name == "average_precision" else 1e-12
                assert resampled[name][draw, seed] == pytest.approx(value, abs=precise), name
    assert {values.shape for values in resampled.values()} == {(40, 3)}


@pytest.mark.parametrize("levels", [12, 100_000])
def test_single_precision_counts_as_exactly_as_double(monkeypatch: pytest.MonkeyPatch, levels: int) -> None:
    generator = np.random.default_rng(8)
    labels = (np.arange(900) % 3 == 0).astype(np.int64)
    scores = generator.integers(levels, size=(2, 900)) + levels / 4 * labels
    single = resample_detection(scores, labels, np.arange(900), None, draws=30)
    monkeypatch.setattr(judged, "_EXACT", 0)
    double = resample_detection(scores, labels, np.arange(900), None, draws=30)
    np.testing.assert_allclose(single["roc_auc"], double["roc_auc"], rtol=0, atol=1e-15)
    np.testing.assert_allclose(single["average_precision"], double["average_precision"], rtol=0, atol=1e-6)
    assert np.ptp(double["roc_auc"]) > 0.01


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 100])
def test_running_sums_are_those_of_cumsum(rows: int) -> None:
    columns = np.random.default_rng(2).integers(9, size=(120, 3)).astype(np.float32)
    order = np.random.default_rng(3).permutation(120)[:rows]
    found = judged._running(columns, order)
    assert not found[0].any()
    assert np.array_equal(found[1 : rows + 1], np.cumsum(columns[order], axis=0))


def rows_of(chosen: np.ndarray, groups: np.ndarray) -> np.ndarray:
    return np.concatenate([np.flatnonzero(groups == group) for group in chosen])


def test_the_size_of_a_chunk_changes_no_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, labels, groups = detection_example()
    whole = resample_detection(scores, labels, groups, np.full(3, 4.0), draws=60)
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 1)
    for name, values in resample_detection(scores, labels, groups, np.full(3, 4.0), draws=60).items():
        np.testing.assert_allclose(values, whole[name], rtol=1e-6 if name == "average_precision" else 1e-12)


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
    assert resampled["tpr"].std(ddof=1) == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.06)
    assert (resampled["tnr"] == 1).all()
