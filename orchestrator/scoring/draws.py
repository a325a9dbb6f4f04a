"""The draws of the bootstrap over pictures: how often each picture stands in each resampled test set."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS = 2_000
# Keeps one chunk of weights at 2 MB whatever the number of pictures: what is computed from it stays in cache.
_CHUNK_CELLS = 1 << 18


def picture_weights(
    groups: NDArray[np.int64],
    draws: int = DRAWS,
    seed: int = 0,
    needed: Sequence[NDArray[np.bool_]] = (),
    width: int = 0,
) -> Iterator[NDArray[np.float64]]:
    """Chunks (chunk, N) of the `draws` resampled test sets: the number of times that each of N pictures is in it.

    `groups` (N,) numbers from 0 without gaps: the source picture of each. Whole groups are drawn with replacement, as
    many as there are, so that patches of one picture stay together (the cluster bootstrap: Davison and Hinkley 1997,
    section 3.8). The draws depend on groups, seed and `needed` alone: so differences between models are paired.

    `needed`: picture sets, each (N,) bool with a True. A draw that misses one of them wholly, so that a metric would
    have no value on it, is drawn again: the bootstrap is then that of test sets on which the metric exists.
    `width`: the widest row of what the caller computes for each draw, which makes the chunks smaller.
    """
    assert all(rows.any() for rows in needed), "a set without pictures is in no draw"
    generator = np.random.default_rng(seed)
    total = int(groups.max()) + 1
    chunk = max(1, _CHUNK_CELLS // max(len(groups), total, width))
    while draws > 0:
        number = min(chunk, draws)
        drawn = generator.integers(total, size=(number, total))
        drawn += np.arange(number)[:, None] * total
        counts = np.bincount(drawn.ravel(), minlength=number * total).reshape(number, total)
        weights = counts[:, groups].astype(np.float64)
        for rows in needed:
            weights = weights[weights[:, rows].any(axis=1)]
        if len(weights):
            draws -= len(weights)
            yield weights
