"""A closed outline -> how much of each pixel it covers, with Agg's integers.

Agg collects the signed cover and area of every pixel that an edge crosses, sorts these cells and sums them
along each row. The sums are of integers, so their order is free: here they are added straight into a dense
grid of differences, whose running sum along x is Agg's value. Grids are column-major: series are
steep, and a running sum over columns is a sum of whole vectors.
"""

import numpy as np
from numpy.typing import NDArray

from orchestrator.data.plotting.agg_stroke import Points
from trainables.compiled import compiled

Grid = NDArray[np.int32]
"""(W + 2, H + 1): at column x, what the running sum changes by; one row a pixel row."""

Rows = NDArray[np.int32]
"""(W + 2, 2): the first and the last row of each column that changed; where none did, a large and a negative one."""

UNTOUCHED = 1 << 30

Clip = tuple[int, int, int, int]
"""The first and the one-past-last column and row: x0, y0, x1, y1."""


@compiled
def _fixed(value: float) -> int:
    """1/256 of a pixel, rounded half away from zero."""
    return int(value * 256.0 - 0.5) if value < 0.0 else int(value * 256.0 + 0.5)


@compiled
def _add(grid: Grid, column: int, row: int, cover: int, area: int) -> None:
    grid[column, row] += (cover << 9) - area
    grid[column + 1, row] += area


@compiled
def _touch(touched: Rows, column: int, first: int, last: int) -> None:
    """Note that rows first to last of a column changed."""
    if first < touched[column, 0]:
        touched[column, 0] = first
    if last > touched[column, 1]:
        touched[column, 1] = last


@compiled
def _span(grid: Grid, touched: Rows, row: int, x1: int, y1: int, x2: int, y2: int) -> None:
    """The part of an edge inside one pixel row; x in 1/256 pixel, y within the row from 0 to 256."""
    if y1 == y2:
        return
    column, last = x1 >> 8, x2 >> 8
    part1, part2 = x1 & 255, x2 & 255
    _touch(touched, column, row, row)
    if column == last:
        delta = y2 - y1
        _add(grid, column, row, delta, (part1 + part2) * delta)
        return
    dx = x2 - x1
    if dx < 0:
        product, first, move, dx = part1 * (y2 - y1), 0, -1, -dx
    else:
        product, first, move = (256 - part1) * (y2 - y1), 256, 1
    delta = product // dx
    error = product - delta * dx
    _add(grid, column, row, delta, (part1 + first) * delta)
    column += move
    y1 += delta
    if column != last:
        product = 256 * (y2 - y1 + delta)
        lift = product // dx
        remainder = product - lift * dx
        error -= dx
        while column != last:
            delta = lift
            error += remainder
            if error >= 0:
                error -= dx
                delta += 1
            _add(grid, column, row, delta, 256 * delta)
            _touch(touched, column, row, row)
            y1 += delta
            column += move
    delta = y2 - y1
    _touch(touched, last, row, row)
    _add(grid, last, row, delta, (part2 + 256 - first) * delta)


@compiled
def _steep(grid: Grid, touched: Rows, row: int, rows: int, down: bool, x: int, step: int) -> None:
    """Whole rows of an edge that moves less along x than along y.

    `rows` of them in the edge's direction, the first being `row`; `x` where it enters, `step` what it moves a row,
    both times 2**30. So many bits make each x, cut to 1/256 pixel, that of an exact division.
    """
    done = 0
    cover = 256 if down else -256
    while done < rows:
        column = x >> 38
        if step > 0:
            inside = (((column + 1) << 38) - 1 - x) // step
        elif step < 0:
            inside = (x - (column << 38)) // -step
        else:
            inside = rows
        inside = min(inside, rows - done)
        if inside > 0:
            # The rows until the edge leaves the column, from the top down.
            top, start, move = row + done, x, step
            if not down:
                top, start, move = row - done - inside + 1, x + inside * step, -step
            _touch(touched, column, top, top + inside - 1)
            here, after = grid[column, top : top + inside], grid[column + 1, top : top + inside]
            for i in range(inside):
                part = np.int32((start + i * move) >> 30) & np.int32(255)
                next_part = np.int32((start + (i + 1) * move) >> 30) & np.int32(255)
                area = np.int32((part + next_part) * cover)
                here[i] += np.int32((cover << 9) - area)
                after[i] += area
            done += inside
            x += inside * step
        if done < rows:
            y = row + done if down else row - done
            _span(grid, touched, y, x >> 30, 0 if down else 256, (x + step) >> 30, 256 if down else 0)
            done += 1
            x += step


@compiled
def _edge(grid: Grid, touched: Rows, x1: int, y1: int, x2: int, y2: int) -> None:
    """One edge, in 1/256 pixel."""
    row, last = y1 >> 8, y2 >> 8
    enter = y1 & 255
    dx, dy = x2 - x1, abs(y2 - y1)
    down = y2 > y1
    leave, move = (256, 1) if down else (0, -1)
    product, delta, error, lift, remainder = 0, 0, 0, 0, 0
    if row != last:
        product = abs(leave - enter) * dx
        delta = product // dy
        error = product - delta * dy - dy
        lift = 256 * dx // dy
        remainder = 256 * dx - lift * dy
    x = x1
    while True:
        if row == last:
            _span(grid, touched, row, x, enter, x2, y2 & 255)
            return
        _span(grid, touched, row, x, enter, x + delta, leave)
        x += delta
        enter = 256 - leave
        row += move
        rows = abs(last - row)
        if abs(dx) <= dy and rows > 0:
            # Rounded up: at most one part in 2**30 a row too much, which never reaches the next whole number.
            start = (x1 << 30) - (-(product << 30)) // dy
            step = -((-(dx << 38)) // dy)
            _steep(grid, touched, row, rows, down, start, step)
            x = (start + rows * step) >> 30
            row = last
        else:
            delta = lift
            error += remainder
            if error >= 0:
                error -= dy
                delta += 1


@compiled
def _beyond(value: float, low: int, high: int) -> int:
    return 1 if value > high else (-1 if value < low else 0)


@compiled
def _clipped_in_y(grid: Grid, touched: Rows, box: Clip, x1: float, y1: float, x2: float, y2: float) -> None:
    """An edge whose x lies in the box: the part of it inside the box's rows."""
    outside1, outside2 = _beyond(y1, box[1], box[3]), _beyond(y2, box[1], box[3])
    if outside1 == outside2 and outside1 != 0:
        return
    from_x, from_y, to_x, to_y = x1, y1, x2, y2
    if outside1 != 0:
        from_y = float(box[3] if outside1 > 0 else box[1])
        from_x = x1 + (from_y - y1) * (x2 - x1) / (y2 - y1)
    if outside2 != 0:
        to_y = float(box[3] if outside2 > 0 else box[1])
        to_x = x1 + (to_y - y1) * (x2 - x1) / (y2 - y1)
    left, top = box[0] << 8, box[1] << 8
    _edge(grid, touched, _fixed(from_x) - left, _fixed(from_y) - top, _fixed(to_x) - left, _fixed(to_y) - top)


@compiled
def _clipped(grid: Grid, touched: Rows, box: Clip, x1: float, y1: float, x2: float, y2: float) -> None:
    """An edge, cut to the box; what lies left and right of it runs along the box's sides."""
    above1, above2 = _beyond(y1, box[1], box[3]), _beyond(y2, box[1], box[3])
    if above1 == above2 and above1 != 0:
        return
    side1, side2 = _beyond(x1, box[0], box[2]), _beyond(x2, box[0], box[2])
    border1 = float(box[2] if side1 > 0 else box[0])
    border2 = float(box[2] if side2 > 0 else box[0])
    cut1 = y1 + (border1 - x1) * (y2 - y1) / (x2 - x1) if side1 != side2 and side1 != 0 else y2
    cut2 = y1 + (border2 - x1) * (y2 - y1) / (x2 - x1) if side1 != side2 and side2 != 0 else y2
    # Along the side that it starts beyond, through the box, along the side that it ends beyond.
    for piece in range(3):
        if piece == 0 and side1 != 0:
            from_x, from_y, to_x, to_y = border1, y1, border1, cut1
        elif piece == 1 and (side1 == 0 or side1 != side2):
            from_x, from_y = (x1, y1) if side1 == 0 else (border1, cut1)
            to_x, to_y = (x2, y2) if side2 == 0 else (border2, cut2)
        elif piece == 2 and side2 != 0 and side1 != side2:
            from_x, from_y, to_x, to_y = border2, cut2, border2, y2
        else:
            continue
        _clipped_in_y(grid, touched, box, from_x, from_y, to_x, to_y)


@compiled
def accumulate(outline: Points, count: int, box: Clip, grid: Grid, touched: Rows) -> None:
    """Add the closed outline[:count], cut to `box`, to `grid`, whose origin is the box's first corner."""
    x1, y1 = outline[count - 1, 0], outline[count - 1, 1]
    for index in range(count):
        x2, y2 = outline[index, 0], outline[index, 1]
        _clipped(grid, touched, box, x1, y1, x2, y2)
        x1, y1 = x2, y2
