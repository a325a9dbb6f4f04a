"""Detection metrics against scikit-learn and counting, for all pictures and for each kind of anomaly."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from orchestrator.scoring.detection import (
    grade_detection,
    per_kind,
)
from orchestrator.scoring.metric_table import metrics_of
from orchestrator.scoring.thresholds import at_threshold

KINDS = np.array(["good"] * 6 + ["crack"] * 4 + ["hole"] * 2)
LABELS = (KINDS != "good").astype(np.int64)


def example(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    masks = np.zeros((12, 9, 9), dtype=np.uint8)
    masks[6:10, 1:4, 2:5] = 255
    masks[10:, 6:8, :2] = 255
    masks[10, 0, 0] = 255
    maps = (generator.integers(12, size=masks.shape) + (masks > 0) * 3).astype(np.float32)
    return maps.max(axis=(1, 2)) + generator.integers(3, size=12).astype(float), maps, masks


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_in_the_order_of_the_table(seed: int) -> None:
    scores, maps, masks = example(seed)
    found = grade_detection(scores, LABELS, 13.0, maps, masks)
    assert list(found) == [metric.name for metric in metrics_of("detection")]
    assert all(type(value) is float for value in found.values())
    assert found["roc_auc"] == pytest.approx(roc_auc_score(LABELS, scores), abs=1e-12)
    assert found["average_precision"] == pytest.approx(average_precision_score(LABELS, scores), abs=1e-12)
    assert found["pixel_roc_auc"] == pytest.approx(roc_auc_score(masks.ravel() > 0, maps.ravel()), abs=1e-12)
    for name, value in at_threshold(scores, LABELS, 13.0).items():
        assert found[name] == value


def test_what_is_undefined_is_absent() -> None:
    scores, maps, masks = example()
    ranking = ["roc_auc", "average_precision"]
    assert list(grade_detection(scores, LABELS, None)) == ranking
    assert list(grade_detection(scores, LABELS, None, maps)) == ranking
    assert list(grade_detection(scores, LABELS, None, None, masks)) == ranking
    assert list(grade_detection(scores, LABELS, None, maps, masks, np.zeros(12, dtype=bool))) == ranking
    assert list(grade_detection(scores[:6], LABELS[:6], 13.0, maps[:6], masks[:6])) == ["tnr"]
    assert list(grade_detection(scores[6:], LABELS[6:], 13.0)) == ["f1", "tpr"]


def test_an_anomaly_with_an_empty_mask_is_left_out() -> None:
    """Its defect is somewhere in it: its pixels are neither normal nor defect."""
    scores, maps, masks = example()
    masks[7] = 0
    known = np.arange(12) != 7
    assert grade_detection(scores, LABELS, None, maps, masks) == grade_detection(
        scores, LABELS, None, maps, masks, known
    )


@pytest.mark.parametrize("masked", [None, np.arange(12) % 5 != 2])
def test_each_kind_stands_against_all_normals(masked: np.ndarray | None) -> None:
    scores, maps, masks = example()
    found = per_kind(scores, LABELS, KINDS.tolist(), 13.0, maps, masks, masked)
    assert list(found) == ["crack", "hole"]
    for kind, pictures in (("crack", 4), ("hole", 2)):
        rows = (kind == KINDS) | (LABELS == 0)
        known = None if masked is None else masked[rows]
        alone = grade_detection(scores[rows], LABELS[rows], 13.0, maps[rows], masks[rows], known)
        assert found[kind].pop("pictures") == pictures
        assert found[kind] == pytest.approx(alone, abs=1e-12)
        assert list(found[kind]) == list(alone)


def test_kinds_need_no_normals_and_no_masks() -> None:
    scores, _, _ = example()
    found = per_kind(scores[6:], LABELS[6:], KINDS[6:].tolist(), 13.0)
    assert {kind: list(values) for kind, values in found.items()} == {
        "crack": ["pictures", "f1", "tpr"],
        "hole": ["pictures", "f1", "tpr"],
    }
    assert per_kind(scores[:6], LABELS[:6], KINDS[:6].tolist(), 13.0) == {}
    with pytest.raises(ValueError, match="one kind a label, 12; got 1"):
        per_kind(scores, LABELS, ["good"], None)


def test_shapes_that_do_not_fit() -> None:
    scores, maps, masks = example()
    with pytest.raises(ValueError, match="one map a score, 12; got 11"):
        grade_detection(scores, LABELS, None, maps[:11], masks)
    with pytest.raises(ValueError, match=r"must both be \(N, H, W\)"):
        grade_detection(scores, LABELS, None, maps, masks[:, :5])
    with pytest.raises(ValueError, match="one entry of masked"):
        grade_detection(scores, LABELS, None, maps, masks, np.ones(3, dtype=bool))
    maps[3, 0, 0] = np.nan
    with pytest.raises(ValueError, match="Maps must be finite; 1 of 12 are not, row 3"):
        grade_detection(scores, LABELS, None, maps, masks)
