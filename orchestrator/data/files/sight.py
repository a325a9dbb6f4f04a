"""What is seen in one file, whatever its bytes: a name that equal pixels or equal numbers share, and small views.

Views are what near-duplicates are found by (`orchestrator.data.split.near_duplicates`): of a picture its grey values at
32 x 32, of a series its values at 128 points; each as it lies and moved by one pixel or one value.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orchestrator.data.files.picture_layers import FullPicture
from trainables.files import bytes_sha256

SIDE = 32
POINTS = 128
MOVES = (-1, 0, 1)
PICTURE_BYTES = len(MOVES) ** 2 * SIDE**2
SERIES_BYTES = 2 * 8 + 4 * len(MOVES) * POINTS
DIGITS = 9
"""Significant digits by which numbers are told apart."""
LARGEST = 8 * SIDE
"""Pictures with a side of twice this or more are averaged in whole blocks first, which costs a fraction."""


class Sight(NamedTuple):
    """What is seen in one file."""

    name: str
    """The same for equal pixels (of RGB with 8 bits a channel, as the data set is read), equal depth, or equal numbers
    to 9 significant digits; else another."""
    views: NDArray[np.uint8]
    """PICTURE_BYTES or SERIES_BYTES bytes, of which `views_at` gives one."""


def picture_sight(full: FullPicture) -> Sight:
    """Of a decoded picture, with its depth where that is kept."""
    pixels = np.asarray(full.picture)
    arrays = [pixels] if full.depth is None else [pixels, full.depth]
    told = [f"{array.shape}".encode("ascii") for array in arrays]
    name = bytes_sha256(b"picture", *told, *(np.ascontiguousarray(array).data for array in arrays))[:32]
    return Sight(name, _picture_views(full.picture))


def series_sight(values: NDArray[np.float64]) -> Sight:
    """Of the values (n,) that are drawn; NaN is a gap."""
    return Sight(bytes_sha256(b"series", *(part.data for part in _rounded(values)))[:32], _series_views(values))


def moves_of(length: int) -> int:
    """How many views there are in so many bytes; the one in the middle is unmoved."""
    return len(MOVES) ** 2 if length == PICTURE_BYTES else len(MOVES)


def views_at(packed: NDArray[np.uint8], moves: NDArray[np.int64]) -> NDArray[np.float32]:
    """One view of each of N files (N, D), each of mean 0: of pictures grey levels, of series standard deviations.

    `packed` (N, PICTURE_BYTES) or (N, SERIES_BYTES); `moves` (N,): which of its views.
    """
    rows = np.arange(len(packed))
    if packed.shape[1] == PICTURE_BYTES:
        views = packed.reshape(len(packed), -1, SIDE**2)[rows, moves].astype(np.float32)
        views -= views.mean(axis=1, keepdims=True)
        return views
    tail = np.ascontiguousarray(packed[:, SERIES_BYTES - 4 * len(MOVES) * POINTS :]).view("<f4")
    return tail.reshape(len(packed), -1, POINTS)[rows, moves].astype(np.float32)


def lengths_and_scales(packed: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N,) of series: how many values each has, and their standard deviation. Of pictures, 0 and 1."""
    if packed.shape[1] == PICTURE_BYTES:
        return np.zeros(len(packed), dtype=np.int64), np.ones(len(packed))
    head = np.ascontiguousarray(packed[:, : SERIES_BYTES - 4 * len(MOVES) * POINTS]).view("<f8")
    return head[:, 0].astype(np.int64), head[:, 1].copy()


def _picture_views(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey values at SIDE x SIDE, by area, of the picture without its outermost pixels, moved by each pair of MOVES.

    So a copy that was moved by one pixel has among its views the very pixels that this one has unmoved.
    """
    blocks = max(1, min(picture.width, picture.height) // LARGEST)
    grey = picture.convert("L")
    if blocks > 1:
        grey = grey.reduce(blocks)
    down = _averages(np.asarray(grey), 1 / blocks)
    views = _averages(down.T, 1 / blocks).reshape(len(MOVES), SIDE, len(MOVES), SIDE)
    packed: NDArray[np.uint8] = np.rint(views.transpose(2, 0, 3, 1)).astype(np.uint8).ravel()
    return packed


def _averages(values: NDArray[Any], moved: float) -> NDArray[np.float32]:
    """(n, m) -> (moves * SIDE, m): the means of SIDE equal stretches of the first side without its ends, for each move.

    By sums, as products of matrices start threads that wait for one another where many processes work.
    """
    count = len(values)
    margin = moved if count >= 4 * moved else 0.0
    sums = np.zeros((count + 1, values.shape[1]), dtype=np.float32)
    np.cumsum(values, axis=0, dtype=np.float32, out=sums[1:])
    means = []
    for move in MOVES:
        edges = np.linspace(margin, count - margin, SIDE + 1) + move * margin
        below = np.minimum(edges.astype(np.int64), count - 1)
        share = (edges - below).astype(np.float32)[:, None]
        at_edges = sums[below] * (1 - share) + sums[below + 1] * share
        means.append(np.diff(at_edges, axis=0) * np.float32(SIDE / (count - 2 * margin)))
    return np.concatenate(means)


def _series_views(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Number of values, their standard deviation, and the values at POINTS points, standardised, for each of MOVES."""
    known = np.isfinite(values)
    filled = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    top = float(np.abs(filled).max())
    # Divided by the largest first: squares of large numbers are none.
    centred = filled / top - (filled / top).mean() if top > 0 else filled
    scale = float(centred.std())
    views = np.zeros((len(MOVES), POINTS))
    if scale > 1e-12:  # else constant, but for rounding
        ends = len(MOVES) - 1 if len(values) > 2 * len(MOVES) else 0
        for number in range(len(MOVES)):
            first = number if ends else 0
            view = _resampled(centred[first : len(values) - ends + first])
            views[number] = (view - view.mean()) / scale
    head = np.array([len(values), scale * top], dtype="<f8")
    return np.concatenate([head.view(np.uint8), views.astype("<f4").ravel().view(np.uint8)])


def _resampled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) -> (POINTS,): means of equal stretches where there are more values, else points on the line through them."""
    count = len(values)
    if count <= POINTS:
        return np.interp(np.linspace(0, count - 1, POINTS), np.arange(count), values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    at_edges = np.interp(np.linspace(0, count, POINTS + 1), np.arange(count + 1), sums)
    means: NDArray[np.float64] = np.diff(at_edges) * POINTS / count
    return means


def _rounded(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    """Values as whole numbers of DIGITS digits and powers of ten; gaps as what no number gives."""
    known, zero = np.isfinite(values), values == 0
    safe = np.where(known & ~zero, values, 1.0)
    powers = np.floor(np.log10(np.abs(safe))).astype(np.int64)
    shift = DIGITS - 1 - powers
    half = shift // 2  # in two steps, as ten to the power of 330 is no number
    digits = np.rint(safe * 10.0**half * 10.0 ** (shift - half)).astype(np.int64)
    carried = np.abs(digits) >= 10**DIGITS
    digits, powers = np.where(carried, digits // 10, digits), powers + carried
    digits = np.where(zero, 0, np.where(known, digits, 0))
    powers = np.where(zero, 0, np.where(known, powers, 1))
    return digits.astype("<i8"), powers.astype("<i2")
