"""Grey, and pictures shared out among fewer pixels."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Grey from RGB, ITU-R BT.601."""


def area_weights(pixels: int, side: int) -> NDArray[np.float64]:
    """(side, pixels): how much of each pixel lies in each of `side` equal stretches; rows sum to 1."""
    edges = np.linspace(0, pixels, side + 1)
    starts = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts)
    weights: NDArray[np.float64] = np.clip(overlap, 0, None) * (side / pixels)
    return weights


def grey(pictures: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) in a floating-point type -> (B, H, W, 1)."""
    return pictures @ pictures.new_tensor(LUMA)[:, None]
