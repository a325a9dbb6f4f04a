"""The draws of the bootstrap over pictures: how often each picture stands in each resampled test set."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
"""Of metrics of whole pictures."""
PIXEL_DRAWS = FEW_DRAWS = 1_000
"""Of metrics of pixels, each of which takes histograms of all pictures; of those that are drawn one by one."""
# Keeps one chunk of weights at 8 MB whatever the number of pictures, with hundreds of draws for a loop over pictures.
_CHUNK_CELLS = 1 << 20
# Draws are kept for the next model up to this many counts: 64 MB, such as 10,000 draws of 6,000 pictures.
_KEPT_CELLS = 1 << 26


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
    total = int(groups.max()) + 1
    chunk = max(1, _CHUNK_CELLS // max(len(groups), total, width))
    if draws * len(groups) > _KEPT_CELLS:
        for counts in _drawn(groups, draws, seed, needed, chunk):
            yield counts.astype(np.float64)
        return
    every = _kept(groups.astype(np.int64).tobytes(), draws, seed, tuple(rows.tobytes() for rows in needed))
    for start in range(0, draws, chunk):
        yield every[start : start + chunk].astype(np.float64)


@lru_cache(maxsize=2)
def _kept(groups: bytes, draws: int, seed: int, needed: tuple[bytes, ...]) -> NDArray[np.unsignedinteger]:
    """All draws (draws, N) in little memory: every model and seed of a run is judged on the same ones."""
    of = np.frombuffer(groups, dtype=np.int64)
    sets = [np.frombuffer(rows, dtype=np.bool_) for rows in needed]
    chunk = max(1, _CHUNK_CELLS // max(len(of), int(of.max()) + 1))
    parts = _drawn(of, draws, seed, sets, chunk)
    return np.concatenate([part.astype(np.uint8 if part.max() < 256 else np.uint32) for part in parts])


def _drawn(
    groups: NDArray[np.int64], draws: int, seed: int, needed: Sequence[NDArray[np.bool_]], chunk: int
) -> Iterator[NDArray[np.int64]]:
    """The draws as counts, at most `chunk` at a time; the same ones whatever the chunk."""
    generator = np.random.default_rng(seed)
    total = int(groups.max()) + 1
    while draws > 0:
        number = min(chunk, draws)
        drawn = generator.integers(total, size=(number, total))
        drawn += np.arange(number)[:, None] * total
        counts = np.bincount(drawn.ravel(), minlength=number * total).reshape(number, total)[:, groups]
        for rows in needed:
            counts = counts[counts[:, rows].any(axis=1)]
        if len(counts):
            draws -= len(counts)
            yield counts
