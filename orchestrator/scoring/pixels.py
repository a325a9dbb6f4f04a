"""Pixel ROC-AUC and PRO-AUC: exact ones from maps, and resampled ones from histograms small enough to keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.scoring.defects import LIMIT, countable, label_regions, pixel_metrics, pixels, ramp_areas
from orchestrator.scoring.draws import PIXEL_DRAWS, picture_weights

if TYPE_CHECKING:
    from trainables.interface import Pictures

BINS = 2_048
RESAMPLED_BINS = 256
"""What the bootstrap adds them up to: eight times faster, and the spread over draws is within 1 % of that of all."""


def pixel_roc_auc(maps: NDArray[np.floating], masks: Pictures, masked: NDArray[np.bool_] | None = None) -> float:
    """ROC-AUC of the pixels of maps (N, H, W) against masks (N, H, W); ValueError where there is none.

    Pictures whose `masked` (N,) is False are left out; None: every picture counts.
    """
    return _one("pixel_roc_auc", maps, masks, masked)


def pro_auc(
    maps: NDArray[np.floating], masks: Pictures, masked: NDArray[np.bool_] | None = None, limit: float = LIMIT
) -> float:
    """The overlap of 8-connected regions, averaged over regions and false-positive rates 0 to `limit`, in 0 to 1.

    The rate is over all normal pixels of all counted pictures. Arguments and errors as in `pixel_roc_auc`.
    """
    if not 0 < limit <= 1:
        raise ValueError(f"The limit is a false-positive rate above 0, at most 1; got {limit}.")
    return _one("pro_auc", maps, masks, masked, limit=limit)


def _one(
    name: str, maps: NDArray[np.floating], masks: Pictures, masked: NDArray[np.bool_] | None, **options: Any
) -> float:
    found = pixel_metrics(pixels(maps, masks, countable(maps, masks, masked).rows), **options)
    if name not in found:
        raise ValueError(
            f"{name} needs normal and defect pixels in pictures with a known mask, and one kind is missing."
        )
    return found[name]


@dataclass(frozen=True)
class PixelHistograms:
    """What the pixel metrics of N pictures, in any weighting, can be computed from again, to within 0.001."""

    edges: NDArray[np.floating]
    """(B+1,), ascending, from -inf to inf: a value v is in bin b where edges[b] <= v < edges[b+1]."""
    normal: NDArray[np.integer]
    """(N, B): the pixels of each picture outside its mask; all 0 for a picture that is not counted."""
    regions: NDArray[np.integer]
    """(R, B): the pixels of each 8-connected region of a mask."""
    picture: NDArray[np.int64]
    """(R,): the row of the picture that each region is in."""
    dropped: int
    """Anomalous pictures left out because nothing is left of the defects in their masks, such as after resizing."""
    pictures_left_out: int
    """Pictures left out because their mask is not known."""

    def save(self, path: Path) -> None:
        """Write them as a compressed .npz."""
        counts = (self.dropped, self.pictures_left_out)
        with path.open("wb") as file:
            np.savez_compressed(
                file, edges=self.edges, normal=self.normal, regions=self.regions, picture=self.picture, counts=counts
            )

    @classmethod
    def load(cls, path: Path) -> PixelHistograms:
        """Read what `save` wrote; nothing is unpickled. OSError or ValueError where it is something else."""
        with np.load(path, allow_pickle=False) as kept:
            if not isinstance(kept, np.lib.npyio.NpzFile) or not {*_ARRAYS, "counts"} <= set(kept.files):
                raise ValueError(f"{path.name} holds no pixel histograms.")
            arrays = {name: kept[name] for name in _ARRAYS}
            counts = kept["counts"]
        edges, normal, regions, picture = arrays.values()
        bins = (len(edges) - 1,) if edges.ndim == 1 else None
        if not (
            np.issubdtype(edges.dtype, np.floating)
            and all(np.issubdtype(part.dtype, np.integer) for part in (normal, regions, picture, counts))
            and normal.shape[1:] == regions.shape[1:] == bins
            and (picture.shape, counts.shape) == (regions.shape[:1], (2,))
            and (picture >= 0).all()
            and (picture < len(normal)).all()
        ):
            raise ValueError(f"{path.name} holds no pixel histograms: their shapes or types do not fit.")
        return cls(edges, normal, regions, picture.astype(np.int64), int(counts[0]), int(counts[1]))


_ARRAYS = ("edges", "normal", "regions", "picture")


def histograms(
    maps: NDArray[np.floating],
    masks: Pictures,
    masked: NDArray[np.bool_] | None = None,
    bins: int = BINS,
    labels: NDArray[np.int64] | None = None,
) -> PixelHistograms:
    """Histograms of maps (N, H, W) against masks (N, H, W), over some `bins` bins that fit these maps.

    A metric from them takes the values of a bin as equal. It is off by at most half the share of normal pixels in a
    bin (for PRO-AUC, divided by its limit), except where a bin holds one value alone: it is exact there. So edges are
    quantiles of the normal pixels, half of them among the top 0.3, and each value that several pixels share has a bin
    of its own: with the default bins the error is below 0.001 on these pictures. `masked` (N,) and `labels` (N,) say
    which pictures count, as in `countable`.
    """
    counted = countable(maps, masks, masked, labels)
    edges = _edges(pixels(maps, masks, counted.rows).normal, bins)
    size = len(edges) - 1
    normal = np.zeros((len(maps), size), dtype=np.int64)
    regions, picture = [np.empty((0, size), dtype=np.int64)], []
    for row in counted.rows:
        inside = masks[np.array([row])][0] != 0
        places = np.searchsorted(edges[1:-1], maps[row], side="right")
        normal[row] = np.bincount(places[~inside], minlength=size)
        if inside.any():
            labelled, count = label_regions(inside)
            cells = (labelled[inside] - 1) * size + places[inside]
            regions.append(np.bincount(cells, minlength=count * size).reshape(count, size))
            picture += [row] * count
    return PixelHistograms(
        edges,
        _smallest(normal),
        _smallest(np.concatenate(regions)),
        np.array(picture, dtype=np.int64),
        counted.dropped,
        counted.left_out,
    )


def _edges(normal: NDArray[np.floating], bins: int) -> NDArray[np.floating]:
    """(B+1,) ascending edges for the sorted values (P,) of normal pixels; none of these is in an outermost bin."""
    if bins < 2:
        raise ValueError(f"Histograms need at least 2 bins; got {bins}.")
    ends = np.array([-np.inf, np.inf], dtype=normal.dtype)
    if len(normal) == 0:
        return ends
    distinct = np.flatnonzero(np.r_[True, normal[1:] > normal[:-1]])
    if len(distinct) <= bins:
        shared = values = normal[distinct]
    else:
        top = (1 - LIMIT) * len(normal)
        lower, upper = np.linspace(0, top, bins - bins // 2 + 1)[:-1], np.linspace(top, len(normal), bins // 2 + 1)[:-1]
        values = np.unique(normal[np.r_[lower, upper].astype(np.int64)])
        several = np.searchsorted(normal, values, side="right") - np.searchsorted(normal, values, side="left") > 1
        shared = values[several]
    after = np.nextafter(np.r_[shared, normal[-1:]], ends[1])
    return np.unique(np.r_[values, after, ends])


def _smallest(counts: NDArray[np.int64]) -> NDArray[np.integer]:
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))))


def binned_metrics(kept: PixelHistograms, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """`pixel_roc_auc` and `pro_auc` (D,) with pictures weighted by `weights` (D, N); {} without defects or normals.

    Each row must weigh some picture with a region and some with normal pixels.
    """
    normal = weights @ kept.normal
    if not (len(kept.regions) and kept.normal.any()):
        return {}
    total = normal.sum(axis=1, keepdims=True)
    not_below = np.cumsum(normal[:, ::-1], axis=1)[:, ::-1]
    start, end = (not_below - normal) / total, not_below / total
    sizes = kept.regions.sum(axis=1, keepdims=True)
    of_region = weights[:, kept.picture]
    inside, shares = of_region @ kept.regions, of_region @ (kept.regions / sizes)
    overlap = (shares * ramp_areas(start, end, LIMIT) / LIMIT).sum(axis=1) / of_region.sum(axis=1)
    return {
        "pixel_roc_auc": (inside * ramp_areas(start, end, 1.0)).sum(axis=1) / inside.sum(axis=1),
        "pro_auc": np.minimum(overlap, 1.0),  # the shares of a region add up to 1 only nearly
    }


def resample_pixels(
    kept: PixelHistograms, groups: NDArray[np.int64], draws: int = PIXEL_DRAWS, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """The pixel metrics on bootstrap draws of the pictures: (draws,) by name; {} without defects or normal pixels.

    `groups` (N,) numbers from 0 without gaps: the source picture of each (see `picture_weights`). A draw without
    defects or without normal pixels is drawn again. Draws are the same for every model judged on the same masks.
    Neighbouring bins are added up to RESAMPLED_BINS, which moves all draws alike, and their spread hardly at all.
    """
    if len(groups) != len(kept.normal):
        raise ValueError(f"There must be one group a picture, {len(kept.normal)}; got {len(groups)}.")
    with_normal = kept.normal.max(axis=1) > 0
    if not (len(kept.regions) and with_normal.any()):
        return {}
    with_region = np.bincount(kept.picture, minlength=len(groups)) > 0
    kept = _coarser(kept, RESAMPLED_BINS)
    width = max(kept.normal.shape[1], len(kept.regions))
    parts = [
        binned_metrics(kept, weights)
        for weights in picture_weights(groups, draws, seed, (with_region, with_normal), width)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _coarser(kept: PixelHistograms, bins: int) -> PixelHistograms:
    """The same with at most so many bins: half of the edges even over the bins, half over the pixels of regions.

    Where defects stand out, the curve rises within few bins of normal pixels: the second half keeps these apart.
    """
    size = kept.normal.shape[1]
    if size <= bins:
        return kept
    even = np.linspace(0, size, bins // 2 + 1)[:-1].astype(np.int64)
    inside = np.cumsum(kept.regions.sum(axis=0, dtype=np.int64))
    rising = np.searchsorted(inside, np.linspace(0, inside[-1], bins - bins // 2 + 1)[:-1], side="right")
    starts = np.unique(np.r_[even, rising])
    normal, regions = (
        np.add.reduceat(counts, starts, axis=1, dtype=np.int64) for counts in (kept.normal, kept.regions)
    )
    return replace(kept, edges=np.r_[kept.edges[starts], kept.edges[-1:]], normal=normal, regions=regions)
