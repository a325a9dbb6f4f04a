"""Models that answer together: on what scale each one's scores count, how much each weighs, and their mean. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from trainables.interface import Task

Floats = NDArray[np.float64]
ROUNDS = 50
"""Of greedy selection: weights are multiples of a part of at most so many."""
GAP = 1e-6
"""Weights are fitted until their log loss is at most so far from the least there is."""
MOST_STEPS = 10_000
LEAST = 1e-12
"""What a probability counts for at least, so that one model's 0 can't make the loss infinite."""
NORMAL = 1.4826
"""The standard deviation of normally distributed scores by their median absolute deviation."""


class Weighted(Protocol):
    """How one model's scores count."""

    @property
    def weight(self) -> float:
        """Its share; those of all members sum to one."""

    @property
    def center(self) -> float:
        """Detection: the score that counts as 0."""

    @property
    def scale(self) -> float:
        """Detection: how far above it a score counts as 1."""


def combined(member_scores: Sequence[NDArray[np.floating]], members: Sequence[Weighted], task: Task) -> Floats:
    """The weighted mean of the members' class probabilities, each (N, C); or of their anomaly scores, each (N,), after
    each was put on its own scale: (score − center) / scale."""
    found: Floats = np.zeros(np.shape(member_scores[0]), dtype=np.float64)
    for scores, member in zip(member_scores, members, strict=True):
        own = np.asarray(scores, dtype=np.float64)
        found += member.weight * ((own - member.center) / member.scale if task == "detection" else own)
    return found


def own_scale(scores: Floats, labels: NDArray[np.int64]) -> tuple[float, float]:
    """Where a detector's scores of normal validation pictures lie, and how far they spread.

    The median, and the median absolute deviation by NORMAL, which a few odd normal pictures move little (Leys et al.
    2013); where more than half of the scores are the same, so that this is 0, the standard deviation. ValueError where
    all are the same: nothing says then how far another score lies from them.
    """
    normal = scores[labels == 0]
    if not len(normal):
        raise ValueError("validation holds no normal picture, by whose scores this one's could be put on a scale")
    center = float(np.median(normal))
    scale = NORMAL * float(np.median(np.abs(normal - center))) or float(normal.std())
    if not np.isfinite(scale) or scale <= abs(center) * np.finfo(np.float64).eps:
        raise ValueError(
            f"all {len(normal)} normal validation pictures have the same score, so nothing says how far another lies "
            "from it"
        )
    return center, scale


def by_log_loss(probabilities: Sequence[Floats], labels: NDArray[np.int64]) -> Floats:
    """The weights (M,), none negative, with sum one, whose mean of the members' probabilities (N, C) has the least log
    loss.

    Found by expectation maximisation, as for the shares of a mixture (Smyth and Wolpert 1999, "Linearly combining
    density estimators via stacking"). The loss is convex: it is within GAP of the least where no member's probability
    of the true classes is on average more than 1 + GAP times the mean's.
    """
    true = np.stack([np.maximum(one[np.arange(len(labels)), labels], LEAST) for one in probabilities])
    weights: Floats = np.full(len(true), 1 / len(true))
    for _ in range(MOST_STEPS):
        ratio = (true / (weights @ true)).mean(axis=1)
        if ratio.max() <= 1 + GAP:
            break
        weights = weights * ratio
        weights /= weights.sum()
    return weights


def by_selection(scores: Sequence[Floats], value: Callable[[Floats], float]) -> Floats:
    """The weights (M,) by which the mean of the members' scores (N,) has a high `value` (Caruana et al. 2004, "Ensemble
    selection from libraries of models").

    A member a round is taken into the bag, any of them again and again: the one with which the bag's mean has the
    highest value, of equals the one that is best alone, then the one that was taken least. What stands is the last of
    the rounds with the highest value: where nothing tells the members apart, all weigh about the same.
    """
    alone = [value(one) for one in scores]
    taken, best = np.zeros(len(scores), dtype=np.int64), (-np.inf, np.zeros(len(scores)))
    total: Floats = np.zeros(len(scores[0]))
    for number in range(1, ROUNDS + 1):
        values = [value((total + one) / number) for one in scores]
        place = max(range(len(scores)), key=lambda one: (values[one], alone[one], -taken[one]))
        taken[place] += 1
        total = total + scores[place]
        if values[place] >= best[0]:
            best = values[place], taken / number
    return best[1]
