"""A few vectors that stand for many, and the nearest of them."""

import numpy as np
import torch
from torch import Tensor

PROJECTED = 64
"""Dimensions in which the greedy choice measures distances (as in arXiv 2106.08265, section 3.2)."""
AT_A_TIME = 512
"""Vectors that others are compared with at a time: 32,768 patches of eight pictures then hold 64 MB of distances."""


def greedy_k_centre(vectors: Tensor, size: int, generator: np.random.Generator) -> Tensor:
    """The rows of `size` vectors out of (N, C), chosen one after the other as the furthest from all chosen before.

    Distances are measured after a random projection to 64 dimensions, which makes each choice a pass over N x 64
    numbers. The first is drawn. Of copies of one vector only one is chosen while others are left.
    """
    assert 1 <= size <= len(vectors)
    if vectors.shape[1] > PROJECTED:
        drawn = generator.standard_normal((vectors.shape[1], PROJECTED)).astype(np.float32) / np.sqrt(PROJECTED)
        vectors = vectors @ torch.from_numpy(drawn.astype(np.float32)).to(vectors.device)
    vectors = vectors - vectors.mean(dim=0)  # far from the origin, squares would drown their differences
    squares = vectors.square().sum(dim=1)
    chosen = torch.empty(size, dtype=torch.int64, device=vectors.device)
    chosen[0] = int(generator.integers(len(vectors)))
    # Squared distances to the nearest chosen vector; -1 for a chosen one, so that none is chosen twice.
    left = torch.full((len(vectors),), torch.inf, device=vectors.device)
    for number in range(size):
        if number:
            chosen[number] = left.argmax()
        row = chosen[number]
        distances = (squares - 2 * (vectors @ vectors[row]) + squares[row]).clamp_(min=0)
        torch.minimum(left, distances, out=left)
        left[row] = -1
    return chosen


def nearest(vectors: Tensor, among: Tensor) -> tuple[Tensor, Tensor]:
    """(distances (N,), rows (N,)): the L2 distance of each vector (N, C) to the nearest of `among` (K, C); which."""
    centre, centred, squares = _centred(among)
    moved = vectors - centre
    smallest, rows = list[Tensor](), list[Tensor]()
    for begin in range(0, len(among), AT_A_TIME):
        block = slice(begin, begin + AT_A_TIME)
        values = squares[block] - 2 * (moved @ centred[block].T)
        smallest.append(values.amin(dim=1))
        rows.append(values.argmin(dim=1) + begin)
    best = torch.stack(smallest).argmin(dim=0, keepdim=True)
    found = torch.stack(rows).gather(0, best)[0]
    # Differences first: the sum of squares and products that chose the row loses digits where vectors are close.
    return torch.linalg.vector_norm(vectors - among[found], dim=1), found


def around(vectors: Tensor, among: Tensor, count: int) -> Tensor:
    """(N, count): the rows of `among` (K, C) that are nearest to each vector (N, C)."""
    centre, centred, squares = _centred(among)
    values = squares - 2 * ((vectors - centre) @ centred.T)
    return values.topk(min(count, len(among)), largest=False).indices


def _centred(among: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of `among`, its vectors from there, and their squared lengths: far from the origin, squares drown."""
    centre = among.mean(dim=0)
    centred = among - centre
    return centre, centred, centred.square().sum(dim=1)
