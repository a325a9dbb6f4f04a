"""How fast maps and masks become PRO-AUC, beside the obvious way (a loop over thresholds and regions).

    python benchmarks/pro_auc.py                 one core: 200 pictures of 256 × 256, and the obvious way on fewer

Both ways run in alternation on one machine, so that its load weighs on both; figures are medians. Both must give the
same number, or there is nothing to compare. Ratios travel between machines, seconds don't.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from orchestrator.scoring.defects import PixelRanks, countable, pixel_ranks, pixels
from orchestrator.scoring.pixels import PixelHistograms, histograms, resample_pixels

Maps = NDArray[np.float32]
Masks = NDArray[np.uint8]


def maps_and_masks(pictures: int, size: int, seed: int = 0, levels: int | None = None) -> tuple[Maps, Masks]:
    """Smooth noise, higher in the defects; half of the pictures have one to four. `levels`: the distinct values."""
    draws = np.random.default_rng(seed)
    masks = np.zeros((pictures, size, size), dtype=np.uint8)
    rows, columns = np.mgrid[:size, :size]
    for row in range(0, pictures, 2):
        for _ in range(draws.integers(1, 5)):
            centre, radius = draws.integers(size, size=2), draws.uniform(size / 60, size / 12)
            masks[row][(rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2] = 255
    noise = ndimage.gaussian_filter(draws.normal(size=masks.shape), (0, 2, 2)) * 6
    maps = noise + ndimage.gaussian_filter((masks > 0).astype(np.float64), (0, 2, 2)) * 1.5
    if levels is not None:
        maps = np.floor(levels / (1 + np.exp(-maps)))
    return maps.astype(np.float32), masks


def obvious_pro_auc(maps: Maps, masks: Masks, limit: float = 0.3) -> float:
    """At each distinct value: threshold all maps, overlap each region; then trapezoids up to the limit."""
    labelled = [ndimage.label(mask, structure=np.ones((3, 3)))[0] for mask in masks]
    regions = [(row, numbers == n) for row, numbers in enumerate(labelled) for n in range(1, numbers.max() + 1)]
    normal = masks == 0
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        found = maps >= threshold
        rates.append(float(found[normal].mean()))
        overlaps.append(float(np.mean([found[row][region].mean() for row, region in regions])))
        if rates[-1] >= limit:
            break
    if rates[-1] > limit:
        share = (limit - rates[-2]) / (rates[-1] - rates[-2])
        rates[-1], overlaps[-1] = limit, overlaps[-2] + share * (overlaps[-1] - overlaps[-2])
    return float(np.trapezoid(overlaps, rates) / limit)


def ranks(maps: Maps, masks: Masks) -> PixelRanks:
    found = pixel_ranks(pixels(maps, masks, countable(maps, masks, None).rows))
    assert found is not None
    return found


def both(found: PixelRanks) -> tuple[float, float]:
    return found.roc_auc(), found.overlap()


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def beside(pictures: int, size: int, levels: int, rounds: int) -> None:
    """Ours and the obvious way in turns on one small input."""
    maps, masks = maps_and_masks(pictures, size, levels=levels)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        slow, expected = timed(lambda: obvious_pro_auc(maps, masks))
        fast, found = timed(lambda: ranks(maps, masks).overlap())
        assert abs(found - expected) < 1e-12, (found, expected)
        taken[0].append(slow)
        taken[1].append(fast)
    slow, fast = map(statistics.median, taken)
    print(
        f"{pictures:4} of {size} × {size}, {len(np.unique(maps)):6,} values  "
        f"obvious {slow:8.3f} s  ours {fast:8.4f} s  {slow / fast:8,.0f}×",
        flush=True,
    )


def whole(pictures: int, size: int, rounds: int) -> None:
    """Ours at full size: the exact metrics, histograms, and their bootstrap."""
    maps, masks = maps_and_masks(pictures, size)
    print(f"\n{pictures} of {size} × {size}, {len(np.unique(maps)):,} values, {rounds} rounds; seconds (median)")
    ways: dict[str, Callable[[], Any]] = {
        "both metrics, exact": lambda: both(ranks(maps, masks)),
        "histograms": lambda: histograms(maps, masks),
    }
    kept = histograms(maps, masks)
    ways["1,000 bootstrap draws"] = lambda: resample_pixels(kept, np.arange(pictures))
    for name, way in ways.items():
        print(f"  {name:24} {statistics.median(timed(way)[0] for _ in range(rounds)):7.3f}", flush=True)
    with TemporaryDirectory() as name:
        path = Path(name) / "pixels.npz"
        kept.save(path)
        bins = PixelHistograms.load(path).normal.shape[1]
        print(f"  {bins:,} bins, {len(kept.regions)} regions, {path.stat().st_size / 1e6:.2f} MB on disk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(f"PRO-AUC, one core, {options.rounds} rounds in alternation; seconds (median)")
    for pictures, size, levels in ((10, 64, 100), (10, 64, 1_000), (20, 128, 1_000)):
        beside(pictures, size, levels, options.rounds)
    whole(options.pictures, options.size, options.rounds)


if __name__ == "__main__":
    main()
