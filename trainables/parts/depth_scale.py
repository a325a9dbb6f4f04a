"""Depth maps to [0, 1], by what the training part's depth is like."""

import math

import numpy as np
from numpy.typing import NDArray

from trainables.errors import InputError
from trainables.interface import Depths, Samples

PERCENTILES = (1.0, 99.0)
MOST_VALUES = 4_000_000
"""Known values that the percentiles are taken of; of more, every second, third and so on."""
READING_BATCH = 64

DepthScale = tuple[float, float, float]
"""What becomes 0, what becomes 1, and what stands for an unknown depth, in the file's own units."""


def depth_of(samples: Samples) -> Depths:
    """The samples' depth. Raises InputError where they have none."""
    if samples.depth is None:
        raise InputError("input: rgbd needs depth, and these samples have none. Set input: rgb, or give depth.")
    return samples.depth


def fit_depth_scale(depth: Depths) -> DepthScale:
    """The 1st and 99th percentile and the median of all known depth (N, H, W). InputError where none is known."""
    stride = max(1, math.ceil(math.prod(depth.shape) / MOST_VALUES))
    known = []
    for start in range(0, len(depth), READING_BATCH):
        values = depth[np.arange(start, min(start + READING_BATCH, len(depth)))].reshape(-1)[::stride]
        known.append(values[np.isfinite(values)])
    values = np.concatenate(known)
    if not len(values):
        raise InputError(
            "No depth is known in any training picture. Set input: rgb, or look at the depth files with "
            "`orchestrate inspect`."
        )
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high), float(np.median(values))


def scale_depth(depth: NDArray[np.float32], scale: DepthScale) -> NDArray[np.float32]:
    """Depth (...) in [0, 1]; what is unknown as the median, what is beyond the percentiles clipped."""
    low, high, median = scale
    filled = np.where(np.isfinite(depth), depth, np.float32(median))
    scaled = (filled - low) / (high - low) if high > low else np.zeros_like(filled)
    return np.clip(scaled, 0, 1).astype(np.float32)
