"""A closed outline, filled on a canvas: Agg's coverage of each pixel, blended as matplotlib's Agg blends."""

import math

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_cells import UNTOUCHED, Clip, Grid, Rows, accumulate
from orchestrator.data.plotting.agg_stroke import Points
from trainables.compiled import compiled

Canvas = NDArray[np.uint8]
"""(W, 3, H): an opaque picture, column by column, each column's reds, greens and blues from the top down."""

Colour = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0 to 255."""

Scratch = tuple[Grid, Rows, NDArray[np.int32]]
"""What `fill` works in: the grid, the touched rows and (H + 1,) totals, all as they were before when it returns."""


def scratch(width: int, height: int) -> Scratch:
    """The scratch for canvases of this size."""
    touched = np.full((width + 2, 2), -1, np.int32)
    touched[:, 0] = UNTOUCHED
    return np.zeros((width + 2, height + 1), np.int32), touched, np.zeros(height + 1, np.int32)


@compiled
def fill(
    canvas: Canvas,
    scratch: Scratch,
    outline: Points,
    count: int,
    box: Clip,
    colour: Colour,
) -> None:
    """Fill the closed outline[:count], cut to `box`, with `colour`, by the non-zero rule."""
    grid, touched, totals = scratch
    left, right = box[2], box[0]
    for index in range(count):
        x = math.floor(outline[index, 0])
        left, right = min(left, x), max(right, x + 2)
    left, right = max(left, box[0]), min(right, box[2])
    if left >= right:
        return
    accumulate(outline, count, box, grid, touched)
    width, height = right - box[0], box[3] - box[1]
    alphas = np.empty(height, np.int32)
    # Rows whose total is not zero, and those that the column before adds to.
    first, last = UNTOUCHED, -1
    carried_first, carried_last = UNTOUCHED, -1
    for column in range(left - box[0], width):
        own_first, own_last = touched[column, 0], touched[column, 1]
        first = min(first, min(own_first, carried_first))
        last = min(max(last, max(own_last, carried_last)), height - 1)
        carried_first, carried_last = own_first, own_last
        touched[column, 0], touched[column, 1] = UNTOUCHED, -1
        if first > last:
            continue
        _paint(
            canvas[box[0] + column, :, box[1] + first : box[1] + last + 1],
            grid[column, first : last + 1],
            totals[first : last + 1],
            alphas,
            colour,
        )
        while first <= last and totals[first] == 0:
            first += 1
        while first <= last and totals[last] == 0:
            last -= 1
        if first > last:
            first, last = UNTOUCHED, -1
    totals[:] = 0
    # What edges along the right border left beyond it.
    grid[width : width + 2, : height + 1] = 0
    touched[width : width + 2, 0] = UNTOUCHED
    touched[width : width + 2, 1] = -1


@compiled
def _paint(
    pixels: NDArray[np.uint8],
    changes: NDArray[np.int32],
    totals: NDArray[np.int32],
    alphas: NDArray[np.int32],
    colour: Colour,
) -> None:
    """Add `changes` to `totals`, clear them, and blend `colour` over one column's `pixels` (3, rows)."""
    rows = len(changes)
    for i in range(rows):
        total = np.int32(totals[i] + changes[i])
        totals[i] = total
        changes[i] = 0
        cover = np.int32(total >> np.int32(9))
        cover = np.int32(abs(cover))
        alphas[i] = np.int32(min(cover, np.int32(255)))
    if colour[3] != 255:
        for i in range(rows):
            product = alphas[i] * colour[3] + 128
            alphas[i] = ((product >> 8) + product) >> 8
    for channel in range(3):
        value = np.int32(colour[channel])
        run = pixels[channel]
        for i in range(rows):
            alpha = alphas[i]
            under = np.int32(np.int32(run[i]) * np.int32(255))
            # Exact in float32: the dividend is below 2**24 and the divisor below 2**16.
            dividend = np.int32(np.int32(np.int32(value << 8) * alpha) + np.int32(under * np.int32(256 - alpha)))
            blended = np.int32(np.float32(dividend) / np.float32(np.int32(alpha + 65280)))
            run[i] = np.uint8(value if alpha == 255 else blended)
