"""Pixels of a plot's fixed parts: bitmaps of text and ticks, and the way from a canvas to a picture."""

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_fill import Canvas
from trainables.compiled import compiled

Atlas = NDArray[np.uint8]
"""All bitmaps, one after another, each row by row: how much of each pixel is covered, 0 to 255."""

Table = NDArray[np.int32]
"""(bitmaps, 3): where each starts in the atlas, its width, its height."""

Placements = NDArray[np.int32]
"""(n, 3): which bitmap, and the column and row of its first corner."""


@compiled
def draw_bitmaps(canvas: Canvas, atlas: Atlas, table: Table, placements: Placements, count: int) -> None:
    """Draw the bitmaps in opaque black, in order; what lies outside the canvas is left out."""
    for index in range(count):
        bitmap, left, top = placements[index, 0], placements[index, 1], placements[index, 2]
        start, width, height = table[bitmap, 0], table[bitmap, 1], table[bitmap, 2]
        for dx in range(width):
            x = left + dx
            if x < 0 or x >= canvas.shape[0]:
                continue
            for dy in range(height):
                y = top + dy
                if y < 0 or y >= canvas.shape[2]:
                    continue
                alpha = np.int64(atlas[start + dy * width + dx])
                if alpha == 0:
                    continue
                for channel in range(3):
                    under = np.int64(canvas[x, channel, y])
                    canvas[x, channel, y] = (
                        0 if alpha == 255 else np.uint8(255 * under * (256 - alpha) // (65280 + alpha))
                    )


@compiled
def to_rgba(canvas: Canvas, picture: NDArray[np.uint8]) -> None:
    """Write the canvas to `picture` (H, W, 4), row by row, opaque."""
    width, _, height = canvas.shape
    for x0 in range(0, width, 16):
        x1 = min(x0 + 16, width)
        for y in range(height):
            for x in range(x0, x1):
                picture[y, x, 0] = canvas[x, 0, y]
                picture[y, x, 1] = canvas[x, 1, y]
                picture[y, x, 2] = canvas[x, 2, y]
                picture[y, x, 3] = 255
