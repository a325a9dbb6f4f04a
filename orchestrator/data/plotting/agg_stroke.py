"""A polyline -> the outline of its stroke, with the coordinates that Agg 2.4 computes for matplotlib.

Written from the published method: matplotlib's path simplification (merging of segments that stay within a
ninth of a pixel of a straight line), then Agg's stroke with round joins and projecting caps. Every expression
keeps Agg's order of operations, so that each coordinate has the same bits.
"""

import math

import numpy as np
from numpy.typing import NDArray

from trainables.compiled import compiled

Points = NDArray[np.float64]
"""(n, 2): x and y in pixels, y downwards."""

SHORTEST_SIMPLIFIED = 128
"""matplotlib simplifies a path of at least so many vertices."""

_COINCIDENT = 1e-14
_PARALLEL = 1e-30
_INNER_LIMIT = 1.01


@compiled
def simplify(points: Points, threshold: float, out: Points) -> int:
    """Write the simplified polyline to `out` (at least 2 n + 2 rows) and return how many points it has.

    `threshold` is in pixels; `points` are finite.
    """
    limit = threshold * threshold
    count = 0
    last_x, last_y = points[0, 0], points[0, 1]
    out[0, 0], out[0, 1] = last_x, last_y
    count = 1
    # The run being merged: its first vector, where it starts, and its farthest points ahead and behind.
    run_dx, run_dy, run_norm = 0.0, 0.0, 0.0
    start_x, start_y = last_x, last_y
    ahead, behind = 0.0, 0.0
    ahead_x, ahead_y, behind_x, behind_y = last_x, last_y, 0.0, 0.0
    last_is_ahead, last_is_behind = False, False
    for index in range(1, len(points)):
        x, y = points[index, 0], points[index, 1]
        if run_norm == 0.0:
            run_dx, run_dy = x - last_x, y - last_y
            run_norm = run_dx * run_dx + run_dy * run_dy
            ahead, behind = run_norm, 0.0
            last_is_ahead, last_is_behind = True, False
            start_x, start_y = last_x, last_y
            ahead_x = last_x = x
            ahead_y = last_y = y
            continue
        total_dx, total_dy = x - start_x, y - start_y
        dot = run_dx * total_dx + run_dy * total_dy
        along_x, along_y = dot * run_dx / run_norm, dot * run_dy / run_norm
        across_x, across_y = total_dx - along_x, total_dy - along_y
        if across_x * across_x + across_y * across_y < limit:
            along = along_x * along_x + along_y * along_y
            last_is_ahead, last_is_behind = False, False
            if dot > 0.0:
                if along > ahead:
                    last_is_ahead = True
                    ahead = along
                    ahead_x, ahead_y = x, y
            elif along > behind:
                last_is_behind = True
                behind = along
                behind_x, behind_y = x, y
            last_x, last_y = x, y
            continue
        # The run ends: write its extremes, then walk back to where it truly ended.
        if behind > 0.0 and last_is_ahead:
            out[count, 0], out[count, 1] = behind_x, behind_y
            count += 1
        out[count, 0], out[count, 1] = ahead_x, ahead_y
        count += 1
        if behind > 0.0 and not last_is_ahead:
            out[count, 0], out[count, 1] = behind_x, behind_y
            count += 1
        if not last_is_ahead and not last_is_behind:
            out[count, 0], out[count, 1] = last_x, last_y
            count += 1
        run_dx, run_dy = x - last_x, y - last_y
        run_norm = run_dx * run_dx + run_dy * run_dy
        ahead, behind = run_norm, 0.0
        last_is_ahead, last_is_behind = True, False
        start_x, start_y = out[count - 1, 0], out[count - 1, 1]
        ahead_x = last_x = x
        ahead_y = last_y = y
    if run_norm != 0.0:
        out[count, 0], out[count, 1] = ahead_x, ahead_y
        count += 1
        if behind > 0.0:
            out[count, 0], out[count, 1] = behind_x, behind_y
            count += 1
    out[count, 0], out[count, 1] = last_x, last_y
    return count + 1


@compiled
def _intersection(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> tuple[bool, float, float]:
    """Where the lines ab and cd cross."""
    numerator = (ay - cy) * (dx - cx) - (ax - cx) * (dy - cy)
    denominator = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
    if abs(denominator) < _PARALLEL:
        return False, 0.0, 0.0
    u = numerator / denominator
    return True, ax + u * (bx - ax), ay + u * (by - ay)


@compiled
def _side(x1: float, y1: float, x2: float, y2: float, x: float, y: float) -> float:
    return (x - x2) * (y2 - y1) - (y - y2) * (x2 - x1)


@compiled
def _cap(out: Points, count: int, x0: float, y0: float, x1: float, y1: float, length: float, half: float) -> int:
    """A projecting cap at (x0, y0) of the segment to (x1, y1)."""
    dx = (y1 - y0) / length * half
    dy = (x1 - x0) / length * half
    out[count, 0], out[count, 1] = x0 - dx - dy, y0 + dy - dx
    out[count + 1, 0], out[count + 1, 1] = x0 + dx - dy, y0 - dy - dx
    return count + 2


@compiled
def _arc(
    out: Points,
    count: int,
    x: float,
    y: float,
    dx1: float,
    dy1: float,
    dx2: float,
    dy2: float,
    half: float,
    step: float,
) -> int:
    """An arc around (x, y), from one offset to the other."""
    start = math.atan2(dy1, dx1)
    end = math.atan2(dy2, dx2)
    out[count, 0], out[count, 1] = x + dx1, y + dy1
    count += 1
    if start > end:
        end += 2.0 * math.pi
    between = int((end - start) / step)
    angle_step = (end - start) / (between + 1)
    angle = start + angle_step
    for _ in range(between):
        out[count, 0], out[count, 1] = x + math.cos(angle) * half, y + math.sin(angle) * half
        count += 1
        angle += angle_step
    out[count, 0], out[count, 1] = x + dx2, y + dy2
    return count + 1


@compiled
def _join(
    out: Points,
    count: int,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    length1: float,
    length2: float,
    half: float,
    step: float,
) -> int:
    """The outline's vertices at the corner (x1, y1), on its left side."""
    dx1 = half * (y1 - y0) / length1
    dy1 = half * (x1 - x0) / length1
    dx2 = half * (y2 - y1) / length2
    dy2 = half * (x2 - x1) / length2
    if _side(x0, y0, x1, y1, x2, y2) > 0.0:  # an inner corner: mitred, or bevelled where the mitre is too long
        limit = min(length1, length2) / half
        if limit < _INNER_LIMIT:
            limit = _INNER_LIMIT
        crossed, x, y = _intersection(x0 + dx1, y0 - dy1, x1 + dx1, y1 - dy1, x1 + dx2, y1 - dy2, x2 + dx2, y2 - dy2)
        if crossed:
            if math.sqrt((x - x1) * (x - x1) + (y - y1) * (y - y1)) <= half * limit:
                out[count, 0], out[count, 1] = x, y
                return count + 1
        else:
            x, y = x1 + dx1, y1 - dy1
            if (_side(x0, y0, x1, y1, x, y) < 0.0) == (_side(x1, y1, x2, y2, x, y) < 0.0):
                out[count, 0], out[count, 1] = x, y
                return count + 1
        out[count, 0], out[count, 1] = x1 + dx1, y1 - dy1
        out[count + 1, 0], out[count + 1, 1] = x1 + dx2, y1 - dy2
        return count + 2
    middle_x, middle_y = (dx1 + dx2) / 2.0, (dy1 + dy2) / 2.0
    if half - math.sqrt(middle_x * middle_x + middle_y * middle_y) < half / 1024.0:  # as good as straight
        crossed, x, y = _intersection(x0 + dx1, y0 - dy1, x1 + dx1, y1 - dy1, x1 + dx2, y1 - dy2, x2 + dx2, y2 - dy2)
        if not crossed:
            x, y = x1 + dx1, y1 - dy1
        out[count, 0], out[count, 1] = x, y
        return count + 1
    return _arc(out, count, x1, y1, dx1, -dy1, dx2, -dy2, half, step)


@compiled
def outline(points: Points, count: int, width: float, lengths: NDArray[np.float64], out: Points) -> int:
    """Write the closed outline of the stroke of points[:count] to `out`; return how many vertices it has.

    `width` in pixels. `points` is overwritten: coinciding neighbours are dropped. `lengths` (count,) is scratch.
    `out` needs 12 rows a point. Zero: there is nothing to draw.
    """
    kept = 0
    for index in range(count):
        x, y = points[index, 0], points[index, 1]
        if kept > 1:
            dx, dy = points[kept - 1, 0] - points[kept - 2, 0], points[kept - 1, 1] - points[kept - 2, 1]
            lengths[kept - 2] = math.sqrt(dx * dx + dy * dy)
            if not lengths[kept - 2] > _COINCIDENT:
                kept -= 1
        points[kept, 0], points[kept, 1] = x, y
        kept += 1
    while kept > 1:
        dx, dy = points[kept - 1, 0] - points[kept - 2, 0], points[kept - 1, 1] - points[kept - 2, 1]
        lengths[kept - 2] = math.sqrt(dx * dx + dy * dy)
        if lengths[kept - 2] > _COINCIDENT:
            break
        points[kept - 2, 0], points[kept - 2, 1] = points[kept - 1, 0], points[kept - 1, 1]
        kept -= 1
    if kept < 2:
        return 0
    half = width * 0.5
    step = math.acos(half / (half + 0.125)) * 2.0
    p = points
    vertices = _cap(out, 0, p[0, 0], p[0, 1], p[1, 0], p[1, 1], lengths[0], half)
    for i in range(1, kept - 1):
        vertices = _join(
            out, vertices, p[i - 1, 0], p[i - 1, 1], p[i, 0], p[i, 1], p[i + 1, 0], p[i + 1, 1],
            lengths[i - 1], lengths[i], half, step,
        )  # fmt: skip
    i = kept - 1
    vertices = _cap(out, vertices, p[i, 0], p[i, 1], p[i - 1, 0], p[i - 1, 1], lengths[i - 1], half)
    for i in range(kept - 2, 0, -1):
        vertices = _join(
            out, vertices, p[i + 1, 0], p[i + 1, 1], p[i, 0], p[i, 1], p[i - 1, 0], p[i - 1, 1],
            lengths[i], lengths[i - 1], half, step,
        )  # fmt: skip
    return vertices
