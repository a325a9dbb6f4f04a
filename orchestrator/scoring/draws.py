"""The draws of the bootstrap over pictures: how much each picture weighs in each resampled test set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
"""Of metrics of whole pictures."""
PIXEL_DRAWS = FEW_DRAWS = 1_000
"""Of metrics of pixels, each of which takes histograms of all pictures; of those that are drawn one by one."""
PATIENCE = 20
"""How many draws may be thrown away for each that is wanted."""
# Keeps one chunk of weights at 8 MB whatever the number of pictures, with hundreds of draws for a loop over pictures.
_CHUNK_CELLS = 1 << 20
# Draws are kept for the next model up to this many counts: 64 MB, such as 10,000 draws of 6,000 pictures.
_KEPT_CELLS = 1 << 26


@dataclass(frozen=True, eq=False)
class Sources:
    """The source pictures of N test pictures, and the strata that they are drawn within."""

    groups: NDArray[np.int64]
    """(N,): the source of each picture, from 0 without gaps."""
    strata: NDArray[np.int64]
    """(G,): the stratum of each source, from 0 without gaps."""

    @classmethod
    def of(cls, groups: NDArray[np.int64], labels: NDArray[np.int64]) -> "Sources":
        """`groups` (N,) numbers from 0 without gaps; `labels` (N,) the classes.

        A source's stratum is the class that most of its pictures have, so that each draw holds as many of each class as
        the test part does.
        """
        _, labels = np.unique(labels, return_inverse=True)
        counts = np.zeros((int(groups.max()) + 1, int(labels.max()) + 1), dtype=np.int64)
        np.add.at(counts, (groups, labels), 1)
        _, strata = np.unique(counts.argmax(axis=1), return_inverse=True)
        return cls(groups.astype(np.int64), strata.astype(np.int64))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many sources each stratum holds."""
        return np.bincount(self.strata)

    @property
    def clustered(self) -> bool:
        """Whether several pictures come from one source."""
        return len(self.strata) < len(self.groups)

    @property
    def alone(self) -> int:
        """How many strata hold one source, which no draw can vary."""
        return int((self.sizes == 1).sum())

    @property
    def firsts(self) -> NDArray[np.int64]:
        """(G,): a picture of each source."""
        return np.unique(self.groups, return_index=True)[1]


def picture_weights(
    sources: Sources,
    draws: int = DRAWS,
    seed: int = 0,
    needed: Sequence[NDArray[np.bool_]] = (),
    width: int = 0,
) -> Iterator[NDArray[np.float64]]:
    """Chunks (chunk, N) of the `draws` resampled test sets: the weight that each of N pictures has in it.

    Whole sources are drawn with replacement, so that patches of one picture stay together (the cluster bootstrap:
    Davison and Hinkley 1997, section 3.8), from each stratum of m sources m − 1, each of which weighs m / (m − 1): so
    the spread over draws has no downward bias, which in small strata would be large (Rao and Wu 1988, "Resampling
    inference with complex survey data"). Each draw's weights add up to those of the test part, stratum by stratum, if
    sources are of one size. A stratum's only source is in every draw. The draws depend on sources, seed and `needed`
    alone: so differences between models are paired.

    `needed`: picture sets, each (N,) bool with a True. A draw that misses one of them wholly, so that a metric would
    have no value on it, is drawn again: the bootstrap is then that of test sets on which the metric exists.
    `width`: the widest row of what the caller computes for each draw, which makes the chunks smaller.
    """
    assert all(rows.any() for rows in needed), "a set without pictures is in no draw"
    scale = _scale(sources)[sources.groups]
    for counts in picture_counts(sources, draws, seed, needed, width):
        yield counts * scale


def picture_counts(
    sources: Sources,
    draws: int = DRAWS,
    seed: int = 0,
    needed: Sequence[NDArray[np.bool_]] = (),
    width: int = 0,
) -> Iterator[NDArray[np.integer]]:
    """The same draws as `picture_weights` gives, as the number of times that each picture stands in each."""
    chunk = max(1, _CHUNK_CELLS // max(len(sources.groups), width))
    if draws * len(sources.groups) > _KEPT_CELLS:
        yield from _drawn(sources, draws, seed, needed, chunk)
        return
    parts = (sources.groups.tobytes(), sources.strata.tobytes())
    every = _kept(*parts, draws, seed, tuple(rows.tobytes() for rows in needed))
    for start in range(0, draws, chunk):
        yield every[start : start + chunk]


def _scale(sources: Sources) -> NDArray[np.float64]:
    """(G,): what one drawing of each source weighs."""
    sizes = sources.sizes[sources.strata]
    return np.divide(sizes, sizes - 1, out=np.ones(len(sizes)), where=sizes > 1)


@lru_cache(maxsize=2)
def _kept(
    groups: bytes, strata: bytes, draws: int, seed: int, needed: tuple[bytes, ...]
) -> NDArray[np.unsignedinteger]:
    """All draws (draws, N) in little memory: every model and seed of a run is judged on the same ones."""
    sources = Sources(np.frombuffer(groups, dtype=np.int64), np.frombuffer(strata, dtype=np.int64))
    sets = [np.frombuffer(rows, dtype=np.bool_) for rows in needed]
    chunk = max(1, _CHUNK_CELLS // len(sources.groups))
    parts = _drawn(sources, draws, seed, sets, chunk)
    return np.concatenate([part.astype(np.uint8 if part.max() < 256 else np.uint32) for part in parts])


def _drawn(
    sources: Sources, draws: int, seed: int, needed: Sequence[NDArray[np.bool_]], chunk: int
) -> Iterator[NDArray[np.int64]]:
    """The draws as counts, at most `chunk` at a time; the same ones whatever the chunk."""
    generator = np.random.default_rng(seed)
    total = len(sources.strata)
    # Of each stratum its members, and how many of them are drawn.
    members = [np.flatnonzero(sources.strata == stratum) for stratum in range(len(sources.sizes))]
    taken = [max(1, len(one) - 1) for one in members]
    patience = PATIENCE * draws
    while draws > 0:
        number = min(chunk, draws)
        places = generator.random((number, sum(taken)))
        rows, start = np.arange(number)[:, None] * total, 0
        chosen = []
        for one, many in zip(members, taken, strict=True):
            chosen.append(one[(places[:, start : start + many] * len(one)).astype(np.int64)] + rows)
            start += many
        drawn = np.concatenate(chosen, axis=1)
        counts = np.bincount(drawn.ravel(), minlength=number * total).reshape(number, total)[:, sources.groups]
        for pictures in needed if patience > 0 else ():
            counts = counts[counts[:, pictures].any(axis=1)]
        patience -= number - len(counts)
        if len(counts):
            draws -= len(counts)
            yield counts
