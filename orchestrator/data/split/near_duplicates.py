"""Near-duplicates: what differs by no more than another compression, a move of one pixel, or a little light.

Two pictures are near-duplicates where, of their grey values at 32 x 32, one moved by at most a pixel and both without
their means, the one times a factor of 0.9 to 1.1 leaves an error of at most 3 grey levels RMS and of 16 anywhere. A
strong contrast of the less contrasted of the two allows in proportion. Two series are where they have equally many
values, nearly the same spread, and what is left of their standardised values is 0.03 RMS and 0.16 anywhere.

The bound anywhere tells plots apart, which are all white with a line. It was set on real data: of 1.6 million pairs of
pictures of plots it takes one for near-duplicates, of two lines that are all but straight, and of 750,000 pairs of
series none; JPEG again at 75, a pixel and 5 % of brightness all stay below.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from orchestrator.data.files.sight import PICTURE_BYTES, POINTS, SIDE, lengths_and_scales, moves_of, views_at

MOST_ERROR = {True: 3.0, False: 0.03}
"""RMS, of pictures (True) in grey levels, of series in standard deviations."""
OF_CONTRAST = {True: 0.16, False: 0.0}
"""The share of a picture's standard deviation that may be left where that is more."""
PEAK = 16 / 3
"""How much larger than this RMS the error may be anywhere."""
GAIN = 0.1
BLOCK, LOOK, CHUNK = 256, 2**15, 1024
"""Pictures whose distances to all others are known at once, pairs that are looked at in the projection, and in full."""
FREQUENCIES = 8

Rows = NDArray[np.int64]
Open = Callable[[Rows, Rows], NDArray[np.bool_]]
Take = Callable[[Rows, Rows, NDArray[np.float64]], None]


class Packed(Protocol):
    """The views of N files, read when they are asked for: (n, bytes) at some rows."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: Rows, /) -> NDArray[np.uint8]: ...


class Partners(NamedTuple):
    """Of each of N files, a near-duplicate in another part."""

    rows: Rows
    """(N,): -1 where there is none."""
    errors: NDArray[np.float64]
    """(N,): the error that is left between the two, in MOST_ERROR's units."""


def near_groups(views: Packed, sights: Rows) -> Rows:
    """(N,): a number for each set of files that near-duplicates connect, those of equal `sights` (N,) among them."""
    first, numbers = np.unique(sights, return_index=True, return_inverse=True)[1:]
    labels = np.arange(len(first), dtype=np.int64)

    def take(left: Rows, right: Rows, errors: NDArray[np.float64]) -> None:
        edges = coo_array((np.ones(len(left)), (labels[left], labels[right])), shape=(len(labels), len(labels)))
        labels[:] = connected_components(edges, directed=False)[1][labels]

    _search(_Projected.of(views, first), lambda left, right: labels[left] != labels[right], take)
    return labels[numbers]


def partners_elsewhere(views: Packed, sights: Rows, parts: Rows) -> Partners:
    """A near-duplicate of each file that shows something else and is in another part; `parts` (N,), negative: in none.

    Of several, nearly the nearest.
    """
    kept = np.flatnonzero(parts >= 0)
    places = np.stack([sights[kept], parts[kept]])
    first, numbers = np.unique(places, axis=1, return_index=True, return_inverse=True)[1:]
    rows = kept[first]
    found, errors = np.full(len(rows), -1), np.full(len(rows), np.inf)
    seen, part = sights[rows], parts[rows]

    def open_pairs(left: Rows, right: Rows) -> NDArray[np.bool_]:
        other: NDArray[np.bool_] = (part[left] != part[right]) & (seen[left] != seen[right])
        return other & ((found[left] < 0) | (found[right] < 0))

    def take(left: Rows, right: Rows, lost: NDArray[np.float64]) -> None:
        for one, other in ((left, right), (right, left)):
            order = np.argsort(-lost, kind="stable")  # of several for one, the last and nearest stays
            one, other, error = one[order], other[order], lost[order]
            nearer = error < errors[one]
            found[one[nearer]], errors[one[nearer]] = other[nearer], error[nearer]

    _search(_Projected.of(views, rows), open_pairs, take)
    partners = Partners(np.full(len(parts), -1), np.full(len(parts), np.inf))
    partners.rows[kept] = np.where(found >= 0, rows[found], -1)[numbers.ravel()]
    partners.errors[kept] = errors[numbers.ravel()]
    return partners


class _Projected(NamedTuple):
    """Views at some rows, projected so that no two come to lie further apart than they are."""

    views: Packed
    rows: Rows
    groups: tuple[Rows, ...]
    """Places among `rows` that can be near-duplicates of one another: series of one length, all pictures."""
    unmoved: NDArray[np.float32]
    """(n, K + 1), the last of which is 1."""
    moved: NDArray[np.float32]
    """(n, moves, K + 1), the last of which is minus half the square of the others."""
    reach: NDArray[np.float32]
    """(n,): how far from an unmoved one another can lie that is a near-duplicate."""
    allowed: NDArray[np.float64]
    """(n,): the RMS that may be left."""
    scales: NDArray[np.float64]
    dimensions: int
    """D, of the views."""

    @classmethod
    def of(cls, views: Packed, rows: Rows) -> "_Projected":
        length = views[rows[:1]].shape[1]
        moves, pictures = moves_of(length), length == PICTURE_BYTES
        basis = _basis(pictures)
        count, size = len(rows), basis.shape[1]
        unmoved, moved = np.ones((count, size + 1), np.float32), np.empty((count, moves, size + 1), np.float32)
        norms, lengths, scales = np.empty(count), np.empty(count, dtype=np.int64), np.empty(count)
        for start in range(0, count, CHUNK):
            here = slice(start, start + CHUNK)
            packed = views[rows[here]]
            lengths[here], scales[here] = lengths_and_scales(packed)
            for move in range(moves):
                values = views_at(packed, np.full(len(packed), move))
                moved[here, move, :-1] = values @ basis
                if move == moves // 2:
                    norms[here] = np.sqrt(np.square(values).sum(axis=1))
                    unmoved[here, :-1] = moved[here, move, :-1]
        moved[..., -1] = -0.5 * np.square(moved[..., :-1]).sum(axis=2)
        root = np.sqrt(basis.shape[0])
        allowed = np.maximum(MOST_ERROR[pictures], OF_CONTRAST[pictures] * norms / root)
        # |a - b| <= |a - g b| + |1 - g| |b|, and |b| <= (|a| + |a - g b|) / g.
        reach = allowed * root + GAIN * (norms + allowed * root) / (1 - GAIN)
        groups = tuple(np.flatnonzero(lengths == one) for one in np.unique(lengths))
        return cls(views, rows, groups, unmoved, moved, reach.astype(np.float32) * 1.001, allowed, scales, len(basis))

    def may_be_near(self, left: Rows, right: Rows, move: int) -> NDArray[np.bool_]:
        """(n,): whether what is left in the projection alone is not too much already, which is cheap to say."""
        lost = _lost(self.unmoved[left, :-1], self.moved[right, move, :-1])
        allowed = 1.001 * np.minimum(self.allowed[left], self.allowed[right])
        near: NDArray[np.bool_] = np.square(lost).sum(axis=1) <= self.dimensions * np.square(allowed)
        return near

    def errors(self, left: Rows, right: Rows, moves: Rows) -> NDArray[np.float64]:
        """(n,): what is left between each pair, right moved so; infinite where they are no near-duplicates."""
        middle = np.full(len(left), self.moved.shape[1] // 2)
        one = views_at(self.views[self.rows[left]], middle)
        other = views_at(self.views[self.rows[right]], moves)
        lost = np.abs(_lost(one, other))
        errors = np.sqrt(np.square(lost).mean(axis=1)).astype(np.float64)
        allowed = np.minimum(self.allowed[left], self.allowed[right])
        low, high = (choose(self.scales[left], self.scales[right]) for choose in (np.minimum, np.maximum))
        near = (errors <= allowed) & (lost.max(axis=1) <= PEAK * allowed) & (low >= (1 - GAIN) * high)
        return np.where(near, errors, np.inf)


def _lost(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, D): what is left of each row where another one, times the best factor that is allowed, is taken from it."""
    squares = np.maximum(np.einsum("nd,nd->n", other, other), 1e-9)
    gain = np.clip(np.einsum("nd,nd->n", one, other) / squares, 1 - GAIN, 1 + GAIN)
    left: NDArray[np.float32] = one - gain[:, None] * other
    return left


def _basis(pictures: bool) -> NDArray[np.float32]:
    """(D, K): directions at right angles: of pictures the 8 x 8 lowest spatial frequencies, of series all there are."""
    if not pictures:
        return np.eye(POINTS, dtype=np.float32)
    waves = dct(np.eye(SIDE), norm="ortho", axis=0)[:FREQUENCIES]
    basis: NDArray[np.float32] = np.kron(waves, waves)[1:].T.astype(np.float32)  # without the mean, which is 0
    return basis


def _search(
    projected: _Projected,
    open_pairs: Open,
    take: Take,
) -> None:
    """Hand all near-duplicates among `open_pairs`, which `take` may close, to `take`: places among the rows, errors.

    Memory is bounded by blocks and chunks, however many pairs are alike.
    """
    moves = projected.moved.shape[1]
    order = sorted(range(moves), key=lambda move: abs(move - moves // 2))
    for group in projected.groups:
        for start in range(0, len(group) - 1, BLOCK):
            block, later = group[start : start + BLOCK], group[start:]
            limits = 0.5 * (np.square(projected.unmoved[block, :-1]).sum(axis=1) - projected.reach[block] ** 2)
            for move in order:
                closeness = projected.unmoved[block] @ projected.moved[later, move].T - limits[:, None]
                left, right = np.nonzero(closeness >= 0)
                above = right > left
                close = closeness[left[above], right[above]]
                left, right = block[left[above]], later[right[above]]
                nearest = np.argsort(-close, kind="stable")
                left, right = left[nearest], right[nearest]
                for step in range(0, len(left), LOOK):
                    one, other = _open(open_pairs, left[step : step + LOOK], right[step : step + LOOK])
                    likely = projected.may_be_near(one, other, move)
                    _compare(projected, one[likely], other[likely], move, open_pairs, take)


def _compare(
    projected: _Projected,
    left: Rows,
    right: Rows,
    move: int,
    open_pairs: Open,
    take: Take,
) -> None:
    """Hand those of these pairs that are near-duplicates to `take`, as long as they are open."""
    for step in range(0, len(left), CHUNK):
        one, other = _open(open_pairs, left[step : step + CHUNK], right[step : step + CHUNK])
        if len(one):
            errors = projected.errors(one, other, np.full(len(one), move))
            near = np.isfinite(errors)
            take(one[near], other[near], errors[near])


def _open(open_pairs: Open, left: Rows, right: Rows) -> tuple[Rows, Rows]:
    still = open_pairs(left, right)
    return left[still], right[still]
