"""Anomaly scores, maps and a threshold to metrics, over all pictures and for each kind of anomaly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.confusion_counts import check_detection, check_threshold
from orchestrator.scoring.defects import countable, pixel_ranks, pixels
from orchestrator.scoring.judged import Detected
from orchestrator.scoring.metric_table import Metric, graded

if TYPE_CHECKING:
    from trainables.interface import Pictures


def grade_detection(
    scores: NDArray[np.floating],
    labels: NDArray[np.int64],
    threshold: float | None,
    maps: NDArray[np.floating] | None = None,
    masks: Pictures | None = None,
    masked: NDArray[np.bool_] | None = None,
    *,
    own: Sequence[Metric] = (),
) -> dict[str, float]:
    """Every metric of detection, and one's `own`, that is defined, by name, in the order of tables.

    `scores` (N,), higher is stranger; `labels` (N,), 0 normal and 1 anomalous; a score above `threshold` is called an
    anomaly. ROC-AUC and average precision (both scikit-learn's) need both classes; the others at a threshold as in
    `rates`; the pixel metrics need maps (N, H, W) and masks (N, H, W) of the same size, and a pixel of either sort in
    the pictures that `countable` counts. What is undefined is left out. Raises ValueError where input breaks a rule.
    """
    scores, labels = check_detection(scores, labels)
    check_threshold(threshold)
    ranks = None
    if maps is not None and masks is not None:
        maps = _one_a_score(maps, scores)
        ranks = pixel_ranks(pixels(maps, masks, countable(maps, masks, masked, labels).rows))
    return graded("detection", Detected(scores, labels, threshold, maps, masks, masked, ranks), own)


def per_kind(
    scores: NDArray[np.floating],
    labels: NDArray[np.int64],
    kinds: Sequence[str],
    threshold: float | None,
    maps: NDArray[np.floating] | None = None,
    masks: Pictures | None = None,
    masked: NDArray[np.bool_] | None = None,
    *,
    own: Sequence[Metric] = (),
) -> dict[str, dict[str, float]]:
    """The metrics of each kind of anomaly against all normals, and `pictures`, how many of the kind there are.

    `kinds` (N,) names the kind of each picture; those of normals do not matter. Kinds come in the order of the
    alphabet; the rest is as in `grade_detection`.
    """
    scores, labels = check_detection(scores, labels)
    check_threshold(threshold)
    if len(kinds) != len(labels):
        raise ValueError(f"There must be one kind a label, {len(labels)}; got {len(kinds)}.")
    names = np.array(kinds, dtype=object)
    normal = labels == 0
    counted = None
    if maps is not None and masks is not None:
        maps = _one_a_score(maps, scores)
        counted = countable(maps, masks, masked, labels).rows
        background = pixels(maps, masks, counted[normal[counted]])
    found: dict[str, dict[str, float]] = {}
    for kind in sorted({str(name) for name in names[~normal]}):
        of_kind = ~normal & (names == kind)
        rows = np.flatnonzero(normal | of_kind)
        judged = Detected(scores[rows], labels[rows], threshold)
        if maps is not None and masks is not None and counted is not None:
            ranks = pixel_ranks(pixels(maps, masks, counted[of_kind[counted]]), background)
            known = None if masked is None else masked[rows]
            judged = replace(judged, maps=maps[rows], masks=masks[rows], masked=known, pixels=ranks)
        found[kind] = {"pictures": float(of_kind.sum()), **graded("detection", judged, own)}
    return found


def _one_a_score(maps: NDArray[np.floating], scores: NDArray[np.float64]) -> NDArray[np.floating]:
    if len(maps) != len(scores):
        raise ValueError(f"There must be one map a score, {len(scores)}; got {len(maps)}.")
    return np.asarray(maps)
