"""Pixel metrics against a slow, obvious way and scikit-learn; histograms against the exact way."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from orchestrator.scoring import draws
from orchestrator.scoring import pixels as pixel_module
from orchestrator.scoring.defects import PixelRanks, countable, pixel_ranks, pixels, ramp_areas
from orchestrator.scoring.draws import Sources
from orchestrator.scoring.pixels import PixelHistograms, binned_ranks, histograms, resample_pixels


def ranks(maps: np.ndarray, masks: np.ndarray, masked: np.ndarray | None = None) -> PixelRanks | None:
    return pixel_ranks(pixels(maps, masks, countable(maps, masks, masked).rows))


def pixel_roc_auc(maps: np.ndarray, masks: np.ndarray) -> float:
    found = ranks(maps, masks)
    assert found is not None
    return found.roc_auc()


def pro_auc(maps: np.ndarray, masks: np.ndarray, masked: np.ndarray | None = None, limit: float = 0.3) -> float:
    found = ranks(maps, masks, masked)
    assert found is not None
    return found.overlap(limit)


def binned(kept: PixelHistograms, weights: np.ndarray) -> dict[str, np.ndarray]:
    found = binned_ranks(kept, weights)
    return {} if found is None else {"pixel_roc_auc": found.roc_auc(), "pro_auc": found.overlap()}


def obvious_pro_auc(maps: np.ndarray, masks: np.ndarray, limit: float = 0.3) -> float:
    """A loop over thresholds and regions; trapezoids over the curve, its end interpolated."""
    regions = []
    for row, mask in enumerate(masks):
        labelled, count = ndimage.label(mask > 0, structure=np.ones((3, 3)))
        regions += [(row, labelled == number) for number in range(1, count + 1)]
    normal = masks == 0
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        found = maps >= threshold
        rates.append((found & normal).sum() / normal.sum())
        overlaps.append(float(np.mean([found[row][region].mean() for row, region in regions])))
    area = 0.0
    for (x0, y0), (x1, y1) in zip(
        zip(rates, overlaps, strict=True), zip(rates[1:], overlaps[1:], strict=True), strict=False
    ):
        if x0 >= limit:
            break
        if x1 > limit:
            x1, y1 = limit, y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


def example(seed: int, levels: int | None = None, shape: tuple[int, int, int] = (6, 14, 11)) -> tuple:
    """Maps that are higher in defects, with `levels` distinct values or all distinct, and masks of several regions."""
    generator = np.random.default_rng(seed)
    masks = np.zeros(shape, dtype=np.uint8)
    for row in range(1, shape[0], 2):
        for _ in range(4):
            top, left = generator.integers(shape[1] - 3), generator.integers(shape[2] - 3)
            masks[row, top : top + generator.integers(1, 5), left : left + generator.integers(1, 4)] = 255
    maps = generator.normal(size=shape) + (masks > 0) * 0.8
    if levels is not None:
        maps = np.floor(levels / (1 + np.exp(-maps)))
    return maps.astype(np.float32), masks


@pytest.mark.parametrize("levels", [None, 2, 5, 40])
@pytest.mark.parametrize("limit", [0.3, 0.05, 1.0])
def test_pro_auc_is_that_of_the_obvious_way(levels: int | None, limit: float) -> None:
    for seed in range(4):
        maps, masks = example(seed, levels)
        assert pro_auc(maps, masks, limit=limit) == pytest.approx(obvious_pro_auc(maps, masks, limit), abs=1e-12)


@pytest.mark.parametrize("levels", [None, 2, 5, 40])
def test_pixel_roc_auc_is_scikit_learns(levels: int | None) -> None:
    for seed in range(4):
        maps, masks = example(seed, levels)
        expected = roc_auc_score(masks.ravel() > 0, maps.ravel().astype(np.float64))
        assert pixel_roc_auc(maps, masks) == pytest.approx(expected, abs=1e-12)


def test_pro_auc_by_hand() -> None:
    # Ten normal pixels, a large and a small region: the large one above all normals, the small one above nine.
    maps = np.array([[[*range(10), 20, 20, 20, 0, 8.5]]], dtype=np.float32)
    masks = np.array([[[0] * 10 + [255, 255, 255, 0, 255]]], dtype=np.uint8)
    assert pro_auc(maps, masks) == pytest.approx((1 + (0.3 - 1 / 11) / 0.3) / 2)
    assert pixel_roc_auc(maps, masks) == pytest.approx((3 + 10 / 11) / 4)


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    masks = np.zeros((1, 4, 6), dtype=np.uint8)
    masks[0, [0, 1, 0], [0, 1, 5]] = 255
    assert len(histograms(np.zeros((1, 4, 6), dtype=np.float32), masks).regions) == 2


def test_the_ends_of_the_scale() -> None:
    _, masks = example(0)
    right = (masks > 0).astype(np.float32)
    for metric in (pixel_roc_auc, pro_auc):
        assert metric(right, masks) == 1.0
        assert metric(-right, masks) == 0.0
        assert 0 < metric(0 * right, masks) <= 0.5
    assert pro_auc(0 * right, masks) == pytest.approx(0.15)  # half of the limit: the diagonal


def test_ramps_that_end_beyond_the_limit_are_cut() -> None:
    start, end = np.array([0.0, 0.1, 0.2, 0.4, 0.3, 0.1]), np.array([0.0, 0.3, 0.4, 0.5, 0.3, 0.1])
    expected = [0.3, 0.1, (0.1 * 0.5) / 2, 0.0, 0.0, 0.2]
    assert ramp_areas(start, end, 0.3) == pytest.approx(expected)


def test_pictures_without_a_known_mask_are_left_out_and_counted() -> None:
    maps, masks = example(3)
    masked = np.array([True, True, False, False, True, True])
    assert pro_auc(maps, masks, masked) == pytest.approx(obvious_pro_auc(maps[masked], masks[masked]), abs=1e-12)
    kept = histograms(maps, masks, masked)
    assert kept.pictures_left_out == 2
    assert (kept.normal.sum(axis=1) > 0).tolist() == masked.tolist()
    assert set(kept.picture) == {1, 5}


def test_an_anomaly_whose_mask_is_empty_is_dropped_and_counted() -> None:
    maps, masks = example(3)
    labels = masks.any(axis=(1, 2)).astype(np.int64)
    masks[1] = 0
    found = countable(maps, masks, np.arange(6) != 2, labels)
    assert (found.rows.tolist(), found.dropped, found.left_out) == ([0, 3, 4, 5], 1, 1)
    kept = histograms(maps, masks, None, labels=labels)
    assert (kept.dropped, kept.pictures_left_out, kept.normal[1].sum()) == (1, 0, 0)


def test_without_defects_or_normal_pixels_there_is_no_metric() -> None:
    maps, masks = example(0)
    for without in (masks * 0, masks * 0 + 255):
        assert ranks(maps, without) is None
    assert ranks(maps, masks, np.zeros(6, dtype=bool)) is None
    for without in (masks * 0, masks * 0 + 255):
        assert resample_pixels(histograms(maps, without), np.arange(6)) == {}
        assert binned(histograms(maps, without), np.ones((1, 6))) == {}
    assert resample_pixels(histograms(maps, masks, np.zeros(6, dtype=bool)), np.arange(6)) == {}


def exact(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    return {"pixel_roc_auc": pixel_roc_auc(maps, masks), "pro_auc": pro_auc(maps, masks)}


@pytest.mark.parametrize("levels", [None, 3, 300])
@pytest.mark.parametrize("shift", [0.0, 3.0, -2.0])
def test_histograms_agree_with_the_exact_way(levels: int | None, shift: float) -> None:
    for seed in range(2):
        maps, masks = example(seed, None, (8, 60, 60))
        maps = maps + (masks > 0) * np.float32(shift)
        if levels is not None:
            maps = np.round(maps * levels / 8)
        kept = histograms(maps, masks)
        found = binned(kept, np.ones((1, 8)))
        for name, value in exact(maps, masks).items():
            assert found[name][0] == pytest.approx(value, abs=1e-3), name
            if len(np.unique(maps)) <= 2_048:
                assert found[name][0] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("bins", [10, 100, 2_048])
def test_no_arrangement_passes_the_stated_bound(bins: int) -> None:
    """All defect pixels just below, or just above, the normal ones of their bin: the worst that can be."""
    generator = np.random.default_rng(0)
    normal = np.sort(generator.random(9_000)).astype(np.float32)
    edges = histograms(normal[None, None], np.zeros((1, 1, 9_000), dtype=np.uint8), bins=bins).edges[1:-1]
    for side in (0, -np.inf):
        defect = np.nextafter(edges, np.float32(side)) if side else edges
        maps = np.concatenate((normal, defect))[None, None]
        masks = np.zeros(maps.shape, dtype=np.uint8)
        masks[..., len(normal) :] = 255
        found = binned(histograms(maps, masks, bins=bins), np.ones((1, 1)))
        # Half the share of a bin: 0.7 of the normal pixels are in one half of the bins, 0.3 in the other.
        slack = 1 / 9_000
        for name, bound in (("pixel_roc_auc", 0.7 / bins + slack), ("pro_auc", (0.3 / bins + slack) / 0.3)):
            assert abs(found[name][0] - exact(maps, masks)[name]) <= bound, name


def test_histograms_of_few_normal_pixels_are_exact() -> None:
    maps = np.array([[[1, 2, 3, 3, 2.5, 0.5, 3.5, 3]]], dtype=np.float32)
    masks = np.array([[[0, 0, 0, 0, 9, 9, 9, 9]]], dtype=np.uint8)
    found = binned(histograms(maps, masks), np.ones((1, 1)))
    for name, value in exact(maps, masks).items():
        assert found[name][0] == pytest.approx(value, abs=1e-12)


def test_histograms_hold_every_counted_pixel() -> None:
    maps, masks = example(1)
    kept = histograms(maps, masks, bins=16)
    np.testing.assert_array_equal(kept.normal.sum(axis=1), (masks == 0).sum(axis=(1, 2)))
    of_picture = np.bincount(kept.picture, kept.regions.sum(axis=1), minlength=6)
    np.testing.assert_array_equal(of_picture, (masks > 0).sum(axis=(1, 2)))
    assert (np.diff(kept.edges) > 0).all()
    with pytest.raises(ValueError, match="at least 2 bins; got 1"):
        histograms(maps, masks, bins=1)


def test_histograms_come_back_from_a_file(tmp_path: Path) -> None:
    maps, masks = example(1)
    kept = histograms(maps, masks, np.arange(6) != 0)
    kept.save(tmp_path / "pixels.npz")
    again = PixelHistograms.load(tmp_path / "pixels.npz")
    for name in ("edges", "normal", "regions", "picture"):
        np.testing.assert_array_equal(getattr(again, name), getattr(kept, name))
    assert (again.dropped, again.pictures_left_out) == (0, 1)
    assert kept.normal.dtype == np.uint8  # as small as the counts


@pytest.mark.parametrize(
    "change",
    [
        {"picture": np.array([99])},
        {"edges": np.array([0.0, 1.0])},
        {"normal": np.array([["x"]])},
        {"counts": np.array([1])},
        {"regions": None},
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, np.ndarray | None]) -> None:
    maps, masks = example(1)
    kept = histograms(maps, masks)
    kept.save(tmp_path / "pixels.npz")
    with np.load(tmp_path / "pixels.npz") as file:
        arrays = {name: file[name] for name in file.files} | change
    np.savez(tmp_path / "other.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ValueError, match="holds no pixel histograms"):
        PixelHistograms.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", **{**arrays, "edges": np.array([{}], dtype=object)})
    with pytest.raises(ValueError, match=r"allow_pickle=False|holds no pixel"):
        PixelHistograms.load(tmp_path / "pickled.npz")


@pytest.mark.parametrize("levels", [None, 6])
def test_each_draw_is_the_metric_of_the_drawn_pictures(levels: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    maps, masks = example(2, levels)
    masked = np.arange(6) != 4
    groups = np.array([0, 0, 1, 1, 2, 3])
    monkeypatch.setattr(draws, "_CHUNK_CELLS", 5_000)  # several chunks
    monkeypatch.setattr(pixel_module, "RESAMPLED_BINS", 10_000)  # all of them
    resampled = resample_pixels(histograms(maps, masks, masked), groups, draws=30, seed=4)
    assert {one.values.shape for one in resampled.values()} == {(30, 1)}

    with_region = np.array([(one > 0).any() for one in masks]) & masked
    sources = Sources.of(groups, with_region.astype(np.int64))
    drawn = np.concatenate(list(draws.picture_weights(sources, 30, 4, (with_region, masked))))
    assert set(np.unique(drawn * 2 % 1)) == {0}, "twice each weight is whole, so that pictures can be repeated"
    for draw, weights in enumerate(drawn):
        rows = np.repeat(np.arange(6), (2 * weights * masked).astype(int))
        for name, value in exact(maps[rows], masks[rows]).items():
            found = resampled[name].values[draw, 0]
            assert found == pytest.approx(value, abs=1e-3 if levels is None else 1e-12), name


def test_groups_that_do_not_fit() -> None:
    maps, masks = example(2)
    with pytest.raises(ValueError, match="one group a picture, 6; got 3"):
        resample_pixels(histograms(maps, masks), np.arange(3))


@pytest.mark.parametrize("skill", [1.0, 5.0])
def test_the_bootstraps_few_bins_spread_as_all_bins_do(monkeypatch: pytest.MonkeyPatch, skill: float) -> None:
    generator = np.random.default_rng(4)
    masks = np.zeros((20, 40, 40), dtype=np.uint8)
    masks[::2, 5:12, 8:20] = 255
    maps = (generator.normal(size=masks.shape) + skill * generator.uniform(0.5, 1.5, (20, 1, 1)) * (masks > 0)).astype(
        np.float32
    )
    kept = histograms(maps, masks)
    few = resample_pixels(kept, np.arange(20))
    monkeypatch.setattr(pixel_module, "RESAMPLED_BINS", kept.normal.shape[1])
    every = resample_pixels(kept, np.arange(20))
    assert kept.normal.shape[1] > 1_000
    for name in ("pixel_roc_auc", "pro_auc"):
        assert few[name].values.std() == pytest.approx(every[name].values.std(), rel=0.01), name
        np.testing.assert_allclose(few[name].values, every[name].values, atol=0.004)
