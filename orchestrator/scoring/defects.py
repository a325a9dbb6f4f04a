"""Anomaly maps against masks: the pixels inside and outside defects, and what their ranking is worth, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from trainables.interface import Pictures

LIMIT = 0.3
"""The false-positive rate up to which PRO-AUC is integrated."""
_TOUCHING = np.ones((3, 3), dtype=np.uint8)
"""Pixels that touch at a side or a corner belong to one region."""


@dataclass(frozen=True)
class Pixels:
    """The pixels of some pictures, in defects and outside them."""

    normal: NDArray[np.floating]
    """(P,): the values outside the masks, ascending."""
    defect: NDArray[np.floating]
    """(Q,): the values inside."""
    region: NDArray[np.int64]
    """(Q,): the region of each value in `defect`, numbered from 0 without gaps."""


def pixels(maps: NDArray[np.floating], masks: Pictures, rows: NDArray[np.int64]) -> Pixels:
    """The pixels of the pictures at `rows` of maps (N, H, W) and masks (N, H, W), where 0 is no defect."""
    some, inside = maps[rows], masks[rows] != 0
    normal = some[~inside]
    normal.sort()
    defect: list[NDArray[np.floating]] = []
    regions: list[NDArray[np.int64]] = []
    total = 0
    for row in np.flatnonzero(inside.any(axis=(1, 2))):
        labelled, count = label_regions(inside[row])
        defect.append(some[row][inside[row]])
        regions.append(labelled[inside[row]] - 1 + total)
        total += count
    if not defect:
        return Pixels(normal, np.empty(0, some.dtype), np.empty(0, np.int64))
    return Pixels(normal, np.concatenate(defect), np.concatenate(regions))


def label_regions(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """The 8-connected regions of one mask (H, W): their numbers from 1 (0: outside), and how many there are."""
    labelled, count = ndimage.label(inside, structure=_TOUCHING)
    return np.asarray(labelled, dtype=np.int64), int(count)


def pixel_metrics(judged: Pixels, *others: Pixels, limit: float = LIMIT) -> dict[str, float]:
    """`pixel_roc_auc` and `pro_auc` of the defects of `judged` against the normal pixels of all; {} without either.

    A defect pixel of value v is found at every threshold up to v. As the threshold falls through v, the false-positive
    rate rises from a, the share of normal pixels above v, to b, the share not below v. So on the ROC curve, with equal
    values taken as one step and straight lines between steps, each defect pixel is a ramp from 0 at a to 1 at b, and
    its area up to any rate is known in closed form. ROC-AUC is the mean area of all defect pixels up to 1 (Hanley and
    McNeil 1982); the per-region overlap, integrated to `limit` and divided by it (Bergmann et al. 2019 and 2021), is
    the mean over regions of the mean over their pixels.
    """
    sets = [part.normal for part in (judged, *others)]
    total = sum(map(len, sets))
    if total == 0 or len(judged.defect) == 0:
        return {}
    order = np.argsort(judged.defect)  # neighbours in order are neighbours in memory
    values, region = judged.defect[order], judged.region[order]
    not_above = np.sum([np.searchsorted(normal, values, side="right") for normal in sets], axis=0)
    below = np.sum([np.searchsorted(normal, values, side="left") for normal in sets], axis=0)
    start, end = (total - not_above) / total, (total - below) / total
    sizes = np.bincount(region)
    overlap = np.bincount(region, ramp_areas(start, end, limit) / limit) / sizes
    return {
        "pixel_roc_auc": float(ramp_areas(start, end, 1.0).mean()),
        "pro_auc": float(overlap.mean()),
    }


def ramp_areas(start: NDArray[np.float64], end: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """The area over [0, limit] under a line that rises from 0 at `start` to 1 at `end` and stays there."""
    within = np.maximum(limit - start, 0.0)
    width = end - start
    rising = np.minimum(within, width)
    areas: NDArray[np.float64] = np.divide(rising**2, 2 * width, out=np.zeros_like(rising), where=width > 0)
    areas += within - rising
    return areas


@dataclass(frozen=True)
class Countable:
    """Which pictures pixel metrics count."""

    rows: NDArray[np.int64]
    dropped: int
    """Anomalous pictures left out because nothing is left of the defects in their masks, such as after resizing."""
    left_out: int
    """Pictures left out because their mask is not known."""


def countable(
    maps: NDArray[np.floating],
    masks: Pictures,
    masked: NDArray[np.bool_] | None,
    labels: NDArray[np.int64] | None = None,
) -> Countable:
    """The rows that count of maps and masks (N, H, W); ValueError where shapes differ or maps are not finite.

    A picture counts where its mask is known (`masked`), unless its label (N,) is 1 and its mask holds no defect: its
    defects lie somewhere among its pixels. Without labels an empty mask means a normal picture.
    """
    if maps.ndim != 3 or tuple(masks.shape) != maps.shape:
        raise ValueError(f"Maps and masks must both be (N, H, W); got {maps.shape} and {tuple(masks.shape)}.")
    every = np.arange(len(maps))
    known = np.ones(len(maps), dtype=np.bool_) if masked is None else np.asarray(masked, dtype=np.bool_)
    if known.shape != every.shape or (labels is not None and np.shape(labels) != every.shape):
        raise ValueError(f"There must be one entry of masked and of labels for each of the {len(maps)} maps.")
    empty = np.zeros(len(maps), dtype=np.bool_)
    if labels is not None:
        anomalous = np.flatnonzero(known & (np.asarray(labels) == 1))
        empty[anomalous] = ~(masks[anomalous] != 0).any(axis=(1, 2))
    rows = np.flatnonzero(known & ~empty)
    bad = ~np.isfinite(maps).all(axis=(1, 2))
    if bad[rows].any():
        raise ValueError(
            f"Maps must be finite; {bad[rows].sum()} of {len(rows)} are not, row {rows[bad[rows]][0]} first."
        )
    return Countable(rows, int(empty.sum()), int((~known).sum()))
