"""Principal components of data that need not fit into memory, by subspace iteration over batches."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Batches = Callable[[], Iterator[NDArray[np.float64]]]
"""Gives the same batches (rows, D), in the same order, each time it is called."""

PASSES = 6
OVERSAMPLING = 32
"""Directions that are followed beyond those asked for: the more, the closer the last of those asked for."""
SMALLEST_SPREAD = 1e-6
"""A direction with a smaller standard deviation, as a share of the first one's or of 1, is rounding error."""


SMALLEST_WIDTH = 16
"""Components are computed at least so many at a time, and else by doubling."""
VERSION = 1
"""To be raised whenever the same data would give others."""


class PrincipalComponents(NamedTuple):
    """Where the data lie and along what they vary most."""

    mean: NDArray[np.float64]
    """(D,)"""
    components: NDArray[np.float64]
    """(K, D), orthonormal, by falling variance. K may be smaller than asked: directions without spread are left out."""


def common_width(count: int, most: int) -> int:
    """How many components to compute where `count` are wanted of `most`: the same for many counts.

    So one decomposition serves them all, and what one count gives does not hang on which were asked for before.
    """
    width = SMALLEST_WIDTH
    while width < count:
        width *= 2
    return min(width, most)


def principal_components(batches: Batches, count: int) -> PrincipalComponents:
    """The first `count` principal components, for `count` of at most N - 1 and D.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, SIAM Review 53, section 4.5) with a fixed start, so
    that the same data give the same components: PASSES + 2 readings of the data, and memory for
    (count + OVERSAMPLING) x D numbers.
    """
    total, rows = np.zeros(0), 0
    for batch in batches():
        total = batch.sum(axis=0) + (total if rows else 0)
        rows += len(batch)
    assert 1 <= count <= min(rows - 1, len(total)), "more components than the data have"
    mean = total / rows
    width = min(count + OVERSAMPLING, rows, len(mean))
    basis, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((len(mean), width)))
    for _ in range(PASSES):
        product = np.zeros_like(basis)
        for batch in batches():
            centred = batch - mean
            product += centred.T @ (centred @ basis)
        basis, _ = np.linalg.qr(product)
    small = np.zeros((width, width))
    for batch in batches():
        reduced = (batch - mean) @ basis
        small += reduced.T @ reduced
    variances, vectors = np.linalg.eigh(small / (rows - 1))
    variances, vectors = variances[::-1][:count], vectors[:, ::-1][:, :count]
    spread = np.sqrt(variances.clip(min=0))
    kept = spread > SMALLEST_SPREAD * max(spread[0], 1.0)
    return PrincipalComponents(mean, np.ascontiguousarray((basis @ vectors[:, kept]).T))
