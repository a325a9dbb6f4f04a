"""The bootstrap over test pictures: how far a metric would move on another test set of the same size."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from orchestrator.scoring.metrics import check_scores

DRAWS = 2_000
# Keeps one chunk of weights at 32 MB whatever the number of pictures.
_CHUNK_CELLS = 1 << 22


def macro_metrics(confusions: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Metrics (...) of confusion counts (..., C, C) with true classes in rows; 0 where a class has no count."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    true, predicted = confusions.sum(axis=-1), confusions.sum(axis=-2)

    def share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)

    return {
        "accuracy": share(hits.sum(axis=-1), true.sum(axis=-1)),
        "macro_precision": share(hits, predicted).mean(axis=-1),
        "macro_recall": share(hits, true).mean(axis=-1),
        "macro_f1": share(2 * hits, true + predicted).mean(axis=-1),
    }


def resample_metrics(
    scores: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: Sequence[str],
    groups: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, NDArray[np.float64]]:
    """Every classification metric on bootstrap draws of the pictures: (draws, S) by name.

    `scores` (S, N, C) are the S seeds' class probabilities of the same N pictures, `labels` (N,) their classes,
    `groups` (N,) numbers from 0 without gaps: the source picture of each. Whole groups are drawn with replacement, as
    many as there are, so that patches of one picture stay together (the cluster bootstrap: Davison and Hinkley 1997,
    section 3.8). A draw is the same for all S seeds, and for every call with the same groups, draws and seed: so
    differences between models are paired. A class that a draw misses counts 0, as it does in `grade`.
    """
    seeds, count, _ = scores.shape
    probabilities = np.stack([check_scores(one, labels, classes) for one in scores])
    cells = labels * len(classes) + probabilities.argmax(axis=2)
    truth = np.take_along_axis(probabilities, np.broadcast_to(labels, (seeds, count))[:, :, None], axis=2)[:, :, 0]
    # scikit-learn's clipping in log_loss.
    losses = -np.log(np.clip(truth, np.finfo(np.float64).eps, 1.0)).T

    size = len(classes) ** 2
    columns = (cells + np.arange(seeds)[:, None] * size).T.ravel()
    rows = np.repeat(np.arange(count), seeds)
    indicator = sparse.csr_array((np.ones(count * seeds), (rows, columns)), shape=(count, seeds * size)).T.tocsr()

    generator = np.random.default_rng(seed)
    groups_total = int(groups.max()) + 1
    parts: list[dict[str, NDArray[np.float64]]] = []
    for start in range(0, draws, chunk := max(1, _CHUNK_CELLS // max(count, groups_total))):
        number = min(chunk, draws - start)
        drawn = generator.integers(groups_total, size=(number, groups_total))
        drawn += np.arange(number)[:, None] * groups_total
        counts = np.bincount(drawn.ravel(), minlength=number * groups_total).reshape(number, groups_total)
        weights = counts[:, groups].astype(np.float64)
        confusions = (indicator @ weights.T).T.reshape(number, seeds, len(classes), len(classes))
        metrics = macro_metrics(confusions)
        metrics["log_loss"] = (weights @ losses) / weights.sum(axis=1, keepdims=True)
        parts.append(metrics)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
