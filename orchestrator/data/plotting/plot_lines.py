"""The lines of a plot: a series, and the straight ones of grids and spines."""

import math

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_cells import Clip
from orchestrator.data.plotting.agg_fill import Canvas, Colour, Scratch, fill
from orchestrator.data.plotting.agg_stroke import SHORTEST_SIMPLIFIED, outline, simplify
from trainables.compiled import compiled


@compiled
def draw_series(
    canvas: Canvas,
    scratch: Scratch,
    values: NDArray[np.float64],
    transform: tuple[float, float, float, float],
    width: float,
    threshold: float,
    box: Clip,
    colour: Colour,
) -> None:
    """Draw `values` at x = 0, 1, … as a line of `width` pixels. `transform`: sx, tx, sy, ty; y downwards."""
    n = len(values)
    sx, tx, sy, ty = transform
    points = np.empty((n, 2))
    for i in range(n):
        points[i, 0] = float(i) * sx + tx
        points[i, 1] = values[i] * sy + ty
    if n >= SHORTEST_SIMPLIFIED and threshold > 0.0:
        simplified = np.empty((2 * n + 2, 2))
        count = simplify(points, threshold, simplified)
    else:
        simplified = points
        count = n
    vertices = np.empty((12 * count + 16, 2))
    count = outline(simplified, count, width, np.empty(count), vertices)
    if count > 0:
        fill(canvas, scratch, vertices, count, box, colour)


@compiled
def draw_straight(
    canvas: Canvas,
    scratch: Scratch,
    ends: NDArray[np.float64],
    width: float,
    box: Clip,
    colour: Colour,
) -> None:
    """Draw lines parallel to an axis, snapped to pixels. `ends` (n, 4): x and y of both ends, y downwards."""
    snap = 0.5 if math.floor(width + 0.5) % 2 == 1 else 0.0
    points = np.empty((2, 2))
    lengths = np.empty(2)
    vertices = np.empty((40, 2))
    for index in range(len(ends)):
        for end in range(2):
            points[end, 0] = math.floor(ends[index, 2 * end] + 0.5) + snap
            points[end, 1] = math.floor(ends[index, 2 * end + 1] + 0.5) + snap
        corners = outline(points, 2, width, lengths, vertices)
        if corners > 0:
            fill(canvas, scratch, vertices, corners, box, colour)
