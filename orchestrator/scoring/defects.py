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


@dataclass(frozen=True)
class PixelRanks:
    """How each defect pixel ranks among the normal ones.

    A defect pixel of value v is found at every threshold up to v. As the threshold falls through v, the false-positive
    rate rises from a, the share of normal pixels above v, to b, the share not below v. So on the ROC curve, with equal
    values taken as one step and straight lines between steps, each defect pixel is a ramp from 0 at a to 1 at b, and
    its area up to any rate is known in closed form.
    """

    start: NDArray[np.float64]
    """(Q,): a of each defect pixel."""
    end: NDArray[np.float64]
    """(Q,): b."""
    region: NDArray[np.int64]
    """(Q,): the region that it is in, numbered from 0 without gaps."""

    def roc_auc(self) -> float:
        """The mean area of all defect pixels up to 1 (Hanley and McNeil 1982)."""
        return float(ramp_areas(self.start, self.end, 1.0).mean())

    def overlap(self, limit: float = LIMIT) -> float:
        """The per-region overlap, integrated to `limit` and divided by it (Bergmann et al. 2019 and 2021): the mean
        over regions of the mean over their pixels."""
        areas = ramp_areas(self.start, self.end, limit) / limit
        return float((np.bincount(self.region, areas) / np.bincount(self.region)).mean())


def pixel_ranks(judged: Pixels, *others: Pixels) -> PixelRanks | None:
    """The defects of `judged` among the normal pixels of all; None without either."""
    sets = [part.normal for part in (judged, *others)]
    total = sum(map(len, sets))
    if total == 0 or len(judged.defect) == 0:
        return None
    order = np.argsort(judged.defect)  # neighbours in order are neighbours in memory
    values = judged.defect[order]
    not_above = np.sum([np.searchsorted(normal, values, side="right") for normal in sets], axis=0)
    below = np.sum([np.searchsorted(normal, values, side="left") for normal in sets], axis=0)
    return PixelRanks((total - not_above) / total, (total - below) / total, judged.region[order])


@dataclass(frozen=True)
class BinnedRanks:
    """How the pixels of R regions rank among the normal ones in each of D weightings of the pictures, bin by bin."""

    start: NDArray[np.float64]
    """(D, B): the false-positive rate above each bin."""
    end: NDArray[np.float64]
    """(D, B): that down to its lower edge."""
    inside: NDArray[np.float64]
    """(D, B): the defect pixels in each bin."""
    shares: NDArray[np.float64]
    """(D, B): the same, each region's adding up to its weight."""
    regions: NDArray[np.float64]
    """(D,): the weight of all regions."""

    def roc_auc(self) -> NDArray[np.float64]:
        """(D,): the mean area of the defect pixels, as `PixelRanks.roc_auc`."""
        areas = (self.inside * ramp_areas(self.start, self.end, 1.0)).sum(axis=1)
        return np.asarray(areas / self.inside.sum(axis=1))

    def overlap(self, limit: float = LIMIT) -> NDArray[np.float64]:
        """(D,): the mean area of the regions, as `PixelRanks.overlap`."""
        areas = (self.shares * ramp_areas(self.start, self.end, limit) / limit).sum(axis=1) / self.regions
        return np.asarray(np.minimum(areas, 1.0))  # the shares of a region add up to 1 only nearly


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
