"""Stores of the detection layouts: pictures, depth and masks by row, and every change in them is seen."""

import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.store.index import read_index
from orchestrator.data.store.store import Store, open_store
from trainables.interface import Depths, Pictures

Fill = Callable[..., Store]
ALL = slice(None)


def rewrite(path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(path)
    os.utime(path, (time.time() - 50, time.time() - 50))


def rows_of(store: Store, name: str) -> np.ndarray:
    return np.flatnonzero(store.labels == store.classes.index(name))


def test_a_store_holds_pictures_depth_and_masks(rgbd_tree: Path, fill: Fill) -> None:
    store = fill(rgbd_tree, "rgbd")
    assert store.recipe.planes == "rgb+depth+mask"
    pictures: Pictures = store.pictures
    assert store.depth is not None
    assert store.masks is not None
    depth: Depths = store.depth
    assert (pictures.shape, depth.shape, store.masks.shape) == ((15, 12, 16, 3), (15, 12, 16), (15, 12, 16))
    for row, path in enumerate(store.paths):
        at = np.array([row])
        file = rgbd_tree / path
        assert np.array_equal(pictures[at][0], np.asarray(Image.open(file)))
        there = np.asarray(Image.open(file.parents[1] / "depth" / f"{file.stem}.png")).astype(np.float32)
        assert np.isnan(depth[at][0, 0, 0])
        assert np.array_equal(depth[at][0].ravel()[1:], there.ravel()[1:])
    drawn = store.masks[np.arange(15)]
    assert drawn[rows_of(store, "anomaly")].sum(axis=(1, 2)).tolist() == [4 * 6 * 255] * 3
    assert not drawn[rows_of(store, "normal")].any()
    assert store.masked.all()
    assert store.remarks == ()


def test_planes_travel_as_places(rgbd_tree: Path, fill: Fill) -> None:
    store = fill(rgbd_tree, "rgbd", (6, 8))
    rows = np.array([14, 3, 3])
    for planes in (store.pictures, store.depth, store.masks):
        assert planes is not None
        chosen = pickle.loads(pickle.dumps(planes.select(rows)))
        assert chosen.shape == (3, *planes.shape[1:])
        assert np.array_equal(chosen[np.arange(3)], planes[rows], equal_nan=True)
        assert len(pickle.dumps(planes.select(np.zeros(100_000, dtype=np.int64)))) < 1_000_000


def test_points_give_depth(mvtec3d_tree: Path, fill: Fill) -> None:
    store = fill(mvtec3d_tree, "mvtec3d")
    assert store.depth is not None
    depth = store.depth[np.arange(10)]
    assert np.isnan(depth[:, 0, 0]).all()
    assert ((depth[:, 1:] >= 0.5) & (depth[:, 1:] <= 2)).all()
    assert store.masked.all()


def test_a_store_without_masks_has_none(spill_tree: Path, fill: Fill) -> None:
    store = fill(spill_tree, "spill", (8, 8))
    assert (store.recipe.planes, store.depth, store.masks, store.remarks) == ("rgb", None, None, ())
    assert store.pictures.shape == (30, 8, 8, 3)


def test_masks_that_can_not_be_used_are_counted_and_their_pictures_stay(mvtec_tree: Path, fill: Fill) -> None:
    truth = mvtec_tree / "ground_truth"
    rewrite(truth / "crack/000_mask.png", np.zeros((12, 16), np.uint8))
    rewrite(truth / "crack/001_mask.png", np.full((4, 4), 255, np.uint8))
    (truth / "crack/002_mask.png").unlink()
    (truth / "hole/000_mask.png").write_bytes(b"x")
    dot = np.zeros((12, 16), np.uint8)
    dot[0, 0] = 255
    rewrite(truth / "hole/001_mask.png", dot)
    store = fill(mvtec_tree, "mvtec", (4, 4))
    assert len(store.paths) == 22
    states = {store.paths[row]: store.mask_states[row] for row in np.flatnonzero(store.labels != 1)}
    assert states == {
        "test/crack/000.png": "empty",
        "test/crack/001.png": "size",
        "test/crack/002.png": "",
        "test/hole/000.png": "unreadable",
        "test/hole/001.png": "vanished",
        "test/hole/002.png": "known",
    }
    assert store.masked.sum() == 16 + 1
    assert store.masks is not None
    assert store.masks[~store.masked].sum() == 0
    assert [remark.split(":")[0] for remark in store.remarks] == [
        "Of 6 anomalies, 1 without a mask",
        "Of 6 anomalies, 1 with an empty mask (all of it is 0)",
        "Of 6 anomalies, 1 with a mask of which nothing is left at this size",
        "Of 6 anomalies, 1 with a mask of another size than the picture",
        "Of 6 anomalies, 1 with a mask that can't be read as a picture",
    ]


def test_a_changed_mask_or_depth_is_seen(rgbd_tree: Path, fill: Fill) -> None:
    before = fill(rgbd_tree, "rgbd")
    drawn = np.zeros((12, 16), np.uint8)
    drawn[0, :5] = 255
    rewrite(rgbd_tree / "test/anomaly/mask/1.png", drawn)
    masked = fill(rgbd_tree, "rgbd")
    assert masked.fingerprint != before.fingerprint
    assert masked.content == before.content
    assert masked.masks is not None
    row = masked.paths.index("test/anomaly/rgb/1.jpg")
    assert np.array_equal(masked.masks[np.array([row])][0], drawn)
    rewrite(rgbd_tree / "test/anomaly/depth/1.png", np.full((12, 16), 77, np.uint16))
    deeper = fill(rgbd_tree, "rgbd")
    assert deeper.fingerprint != masked.fingerprint
    assert [a != b for a, b in zip(deeper.content, masked.content, strict=True)].count(True) == 1
    assert deeper.depth is not None
    assert (deeper.depth[np.array([row])] == 77).all()
    assert open_store(deeper.folder).mask_states == deeper.mask_states


def test_masks_that_come_later_make_another_store(mvtec_tree: Path, fill: Fill, tmp_path: Path) -> None:
    (mvtec_tree / "ground_truth").rename(tmp_path / "elsewhere")
    before = fill(mvtec_tree, "mvtec")
    assert before.masks is None
    pixels = before.pictures[np.arange(22)]
    (tmp_path / "elsewhere").rename(mvtec_tree / "ground_truth")
    after = fill(mvtec_tree, "mvtec")
    assert after.masks is not None
    assert after.masked.all()
    assert np.array_equal(after.pictures[np.arange(22)], pixels)


def test_another_annotation_is_other_data(spill_tree: Path, fill: Fill) -> None:
    before = fill(spill_tree, "spill")
    annotation = spill_tree / "test/test_annotation.txt"
    annotation.write_text(annotation.read_text().replace("3.png 0", "3.png 1"))
    after = fill(spill_tree, "spill")
    assert after.fingerprint != before.fingerprint
    assert (after.labels == 1).sum() == (before.labels == 1).sum() + 1


def test_pictures_without_readable_depth_are_left_out(rgbd_tree: Path, fill: Fill) -> None:
    (rgbd_tree / "train/normal/depth/0.png").write_bytes(b"x")
    rewrite(rgbd_tree / "train/normal/depth/1.png", np.zeros((12, 16), np.uint16))
    store = fill(rgbd_tree, "rgbd")
    assert dict(store.skipped) == {
        "train/normal/rgb/0.jpg": "its depth: no picture of a known format",
        "train/normal/rgb/1.jpg": "its depth is unknown everywhere",
    }


def test_the_same_picture_with_two_masks_is_two_of_one_content(mvtec_tree: Path, fill: Fill) -> None:
    (mvtec_tree / "test/hole/000.png").write_bytes((mvtec_tree / "test/crack/000.png").read_bytes())
    drawn = np.zeros((12, 16), np.uint8)
    drawn[8:, 8:] = 255
    rewrite(mvtec_tree / "ground_truth/hole/000_mask.png", drawn)
    store = fill(mvtec_tree, "mvtec")
    rows = np.array([store.paths.index("test/crack/000.png"), store.paths.index("test/hole/000.png")])
    assert store.content[rows[0]] == store.content[rows[1]]
    assert store.masks is not None
    assert not np.array_equal(*store.masks[rows])
    assert np.array_equal(*store.pictures[rows])


def test_an_index_of_an_older_release_is_read(spill_tree: Path, fill: Fill) -> None:
    store = fill(spill_tree, "spill")
    path = store.folder / "index.json"
    index = json.loads(path.read_bytes())
    del index["rows"]["mask"], index["rows"]["state"]
    path.write_text(json.dumps(index))
    described = json.loads((store.folder / "store.json").read_bytes())
    del described["planes"]
    (store.folder / "store.json").write_text(json.dumps(described))
    read = read_index(store.folder)
    assert read is not None
    assert open_store(store.folder).fingerprint == store.fingerprint


@pytest.mark.parametrize("size", [None, (8, 8)])
def test_pictures_of_several_sizes_need_a_size(mvtec_tree: Path, fill: Fill, size: tuple[int, int] | None) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (20, 10)).astype(np.uint16)
    rewrite(mvtec_tree / "train/good/000.png", values)
    if size is None:
        with pytest.raises(ValueError, match="all pictures must have one size"):
            fill(mvtec_tree, "mvtec", size)
    else:
        assert fill(mvtec_tree, "mvtec", size).pictures.shape == (22, 8, 8, 3)
