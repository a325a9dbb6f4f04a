"""Pillow's bilinear resize of a canvas, with Pillow's integers.

Pillow weighs the pixels under a triangle as wide as two output pixels, with weights of 22 fractional bits, first
along x, then along y, and rounds to 8 bits after each.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_fill import Canvas
from trainables.compiled import compiled

_BITS = 22
_HALF = 1 << (_BITS - 1)

_BLOCK = 8
"""Output columns that are resized together: their rows then fill a vector register."""


@dataclass(frozen=True)
class Weights:
    """Which input pixels make each output pixel, along one axis."""

    starts: NDArray[np.int32]
    """(n,): the first input pixel."""
    counts: NDArray[np.int32]
    """(n,): how many."""
    weights: NDArray[np.int32]
    """(n, most): times 2**22."""


def bilinear_weights(size: int, new_size: int) -> Weights:
    """The weights that Pillow uses to bring `size` pixels to `new_size`."""
    scale = size / new_size
    width = max(scale, 1.0)
    starts, counts = np.zeros(new_size, np.int32), np.zeros(new_size, np.int32)
    weights = np.zeros((new_size, math.ceil(width) * 2 + 1), np.int32)
    for i in range(new_size):
        centre = (i + 0.5) * scale
        start = max(int(centre - width + 0.5), 0)
        end = min(int(centre + width + 0.5), size)
        raw = [max(1.0 - abs((x - centre + 0.5) * (1.0 / width)), 0.0) for x in range(start, end)]
        total = 0.0
        for weight in raw:
            total += weight
        starts[i], counts[i] = start, end - start
        weights[i, : end - start] = [int(weight / total * (1 << _BITS) + 0.5) for weight in raw]
    return Weights(starts, counts, weights)


@compiled
def resample(
    canvas: Canvas,
    x_starts: NDArray[np.int32],
    x_counts: NDArray[np.int32],
    x_weights: NDArray[np.int32],
    y_starts: NDArray[np.int32],
    y_counts: NDArray[np.int32],
    y_weights: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None:
    """Write the canvas (W, 3, H), brought to the size of `out` (h, w, 3), to `out`."""
    width, height = out.shape[1], out.shape[0]
    rows = canvas.shape[2]
    columns = canvas.reshape(canvas.shape[0], 3 * rows)
    sums = np.empty(3 * rows, np.int32)
    strip = np.empty((rows, 3 * _BLOCK), np.uint8)
    line = np.empty(3 * _BLOCK, np.int32)
    for left in range(0, width, _BLOCK):
        block = min(_BLOCK, width - left)
        for j in range(block):
            x = left + j
            sums[:] = _HALF
            for t in range(x_counts[x]):
                weight = x_weights[x, t]
                pixels = columns[x_starts[x] + t]
                for i in range(3 * rows):
                    sums[i] += np.int32(pixels[i]) * weight
            for channel in range(3):
                for y in range(rows):
                    strip[y, 3 * j + channel] = np.uint8(sums[channel * rows + y] >> _BITS)
        for y in range(height):
            line[:] = _HALF
            for t in range(y_counts[y]):
                weight = y_weights[y, t]
                pixels = strip[y_starts[y] + t]
                for i in range(3 * _BLOCK):
                    line[i] += np.int32(pixels[i]) * weight
            for j in range(block):
                for channel in range(3):
                    out[y, left + j, channel] = np.uint8(line[3 * j + channel] >> _BITS)
