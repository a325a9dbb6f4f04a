"""The RGB-D layouts: each picture finds its depth and, if it is an anomaly, its mask."""

from collections import Counter
from pathlib import Path

import pytest

from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.layouts.table import find_files
from trainables.errors import InputError

SHARED = Path(__file__).parents[5] / "shared" / "data"


def test_rgbd_pictures_have_depth_and_masks(rgbd_tree: Path) -> None:
    listing = find_files(rgbd_tree, "rgbd")
    assert Counter((file.part, file.class_name) for file in listing.files) == {
        ("train", "normal"): 6,
        ("validation", "normal"): 3,
        ("test", "normal"): 3,
        ("test", "anomaly"): 3,
    }
    place = "test/anomaly"
    expected = ListedFile(f"{place}/rgb/0.jpg", "anomaly", "test", f"{place}/depth/0.png", f"{place}/mask/0.png")
    assert expected in listing.files
    assert (listing.normal, listing.skipped) == ("normal", ())


def test_depth_may_lie_beside_the_picture(rgbd_tree: Path) -> None:
    for folder in ("train/normal", "test/anomaly"):
        for path in sorted((rgbd_tree / folder).glob("*/*")):
            ending = {"rgb": "", "depth": "_depth", "mask": "_mask"}[path.parent.name]
            path.rename(rgbd_tree / folder / f"{path.stem}{ending}{path.suffix}")
    listing = find_files(rgbd_tree, "rgbd")
    place = "test/anomaly"
    assert ListedFile(f"{place}/0.jpg", "anomaly", "test", f"{place}/0_depth.png", f"{place}/0_mask.png") in (
        listing.files
    )
    assert len(listing.files) == 15


def test_pictures_without_depth_are_skipped_and_where_all_are_it_is_an_error(rgbd_tree: Path) -> None:
    (rgbd_tree / "train/normal/depth/0.png").unlink()
    (rgbd_tree / "train/normal/rgb/1.jpg").unlink()
    listing = find_files(rgbd_tree, "rgbd")
    assert dict(listing.skipped) == {
        "train/normal/depth/1.png": "a depth or mask without its picture",
        "train/normal/rgb/0.jpg": "no depth",
    }
    assert "1 files left out: no depth." in listing.remarks
    for path in rgbd_tree.rglob("depth/*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"None of the 14 pictures .* has its depth"):
        find_files(rgbd_tree, "rgbd")


def test_mvtec3d_pictures_have_points_and_masks_of_defects_only(mvtec3d_tree: Path) -> None:
    listing = find_files(mvtec3d_tree, "mvtec3d")
    assert len(listing.files) == 10
    assert listing.normal == "good"
    place = "test/hole"
    expected = ListedFile(f"{place}/rgb/000.png", "hole", "test", f"{place}/xyz/000.tiff", f"{place}/gt/000.png")
    assert expected in listing.files
    assert all(file.mask is None for file in listing.files if file.class_name == "good")
    assert listing.skipped == ()


def test_the_real_pothole_tree() -> None:
    if not (SHARED / "pothole").is_dir():
        pytest.skip("needs the real data ../shared/data/pothole")
    listing = find_files(SHARED / "pothole", "rgbd")
    assert len(listing.files) == 272
    assert all(file.depth is not None for file in listing.files)
    assert sum(file.mask is not None for file in listing.files) == 39
