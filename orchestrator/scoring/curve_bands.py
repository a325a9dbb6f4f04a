"""ROC and precision-recall curves, averaged over seeds, and bands: how far other seeds and pictures move them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.confusion_counts import check_detection
from orchestrator.scoring.draws import Sources, picture_weights

DRAWS = 500
"""Enough for the 2.5th and 97.5th percentiles of a drawn band."""
RATES = np.linspace(0.0, 1.0, 201)
"""False-positive rates of ROC curves; recalls of precision-recall curves, but for 0, where precision is undefined."""
_EDGES = (2.5, 97.5)
# Sums of weights, and the grid's recalls times them, are off by less than this.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Band:
    """A curve over `RATES`, or over `RATES[1:]`, with its 95 % pointwise band."""

    mean: NDArray[np.float64]
    """Over seeds, on the test pictures as they are."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class _Sorted:
    """One seed's scores from the highest down; equal ones are one step."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    """Where each step begins in `order`."""


def curve_bands(
    models: Sequence[NDArray[np.float64]],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
) -> list[tuple[Band, Band]]:
    """Of each model, its ROC curve over `RATES` and its precision-recall curve over `RATES[1:]`.

    `models`: scores (S, N) each, of the same N pictures, S of each model's own; `labels` (N,) 0 or 1, both of them
    there; `groups` as in `Sources`. A draw of the band is one training with one of the seeds, drawn with equal
    chance, tested on a bootstrap draw of whole source pictures; the band is between the 2.5th and 97.5th percentile at
    each rate (Macskassy and Provost 2004, vertical averaging). Draws are the same for all models.
    Between two thresholds a true-positive rate is interpolated, which mixing them reaches; precision is that of the
    first threshold that has the recall, since no mixture reaches a line (Davis and Goadrich 2006).
    """
    anomalous = labels == 1
    checked = [np.stack([check_detection(one, labels)[0] for one in scores]) for scores in models]
    sorted_ = [[_sorted(one) for one in scores] for scores in checked]
    once = np.ones((1, len(labels)))
    means = [np.mean([_curves(one, anomalous, once)[0] for one in seeds], axis=0) for seeds in sorted_]
    drawn: list[list[NDArray[np.float64]]] = [[] for _ in models]
    generator = np.random.default_rng((seed, 1))
    for weights in picture_weights(Sources.of(groups, labels), draws, seed, [anomalous, ~anomalous]):
        place = generator.random(len(weights))
        for seeds, parts in zip(sorted_, drawn, strict=True):
            chosen = (place * len(seeds)).astype(np.int64)
            parts += [_curves(one, anomalous, weights[chosen == row]) for row, one in enumerate(seeds)]
    edges = [np.percentile(np.concatenate(parts), _EDGES, axis=0) for parts in drawn]
    return [_parted(mean, low, high) for mean, (low, high) in zip(means, edges, strict=True)]


def _parted(mean: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Band, Band]:
    split = len(RATES)
    return Band(mean[:split], low[:split], high[:split]), Band(mean[split:], low[split:], high[split:])


def _sorted(scores: NDArray[np.float64]) -> _Sorted:
    order = np.argsort(-scores, kind="stable")
    return _Sorted(order, np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0]))


def _curves(one: _Sorted, anomalous: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(draws, 2 G − 1): true-positive rates over `RATES`, then precisions over `RATES[1:]`, of weights (draws, N)."""
    ordered, positive = weights[:, one.order], anomalous[one.order]
    hits, alarms = (
        np.cumsum(np.add.reduceat(ordered * part, one.starts, axis=1), axis=1) for part in (positive, ~positive)
    )
    curves = np.empty((len(weights), 2 * len(RATES) - 1))
    for row, (found, false) in enumerate(zip(hits, alarms, strict=True)):
        curves[row, : len(RATES)] = _true_rates(found, false)
        place = np.searchsorted(found, RATES[1:] * found[-1] - _ROUNDING)
        curves[row, len(RATES) :] = found[place] / (found[place] + false[place])
    return curves


def _true_rates(found: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    """The highest true-positive rate at each false-positive rate, mixtures of two thresholds included."""
    x, y = np.r_[0.0, false] / false[-1], np.r_[0.0, found] / found[-1]
    before = np.searchsorted(x, RATES + _ROUNDING / false[-1], side="right") - 1
    after = np.minimum(before + 1, len(x) - 1)
    width = x[after] - x[before]
    share = np.divide(RATES - x[before], width, out=np.zeros_like(width), where=width > 0)
    rates: NDArray[np.float64] = y[before] + np.clip(share, 0.0, 1.0) * (y[after] - y[before])
    return rates
