"""A few vectors that stand for many, and the nearest of them."""

import numpy as np
import torch
from torch import Tensor

PROJECTED = 64
"""Dimensions in which the greedy choice measures distances (as in arXiv 2106.08265, section 3.2)."""
BLOCK = 2**24
"""Distances held at a time: 64 MB."""


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
    centre = among.mean(dim=0)
    centred = among - centre
    squares = centred.square().sum(dim=1)
    rows = torch.cat(
        [
            (squares - 2 * ((block - centre) @ centred.T)).argmin(dim=1)
            for block in torch.split(vectors, max(1, BLOCK // len(among)))
        ]
    )
    # Differences first: the sum of squares and products that chose the row loses digits where vectors are close.
    return torch.linalg.vector_norm(vectors - among[rows], dim=1), rows
