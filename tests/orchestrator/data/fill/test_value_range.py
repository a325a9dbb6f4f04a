"""Deep pictures of one data set are read by one divisor; turned ones meet their masks and depth; unclear masks count
nowhere."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from orchestrator.data.files.content_hashes import look_at
from orchestrator.data.files.picture_facts import Facts, bits_for
from orchestrator.data.fill import value_range
from orchestrator.data.fill.value_range import look_into, settled_bits
from orchestrator.data.inspect.inspection import inspect
from orchestrator.data.layouts.table import find_files
from orchestrator.data.store.store import Store
from trainables.errors import InputError

Fill = Callable[..., Store]
TURNED = 0x0112


def save_deep(root: Path, top: int, suffix: str = "png", dtype: type = np.uint16) -> np.ndarray:
    """Six pictures in two classes, of which one reaches `top` and the others half of it; the values, by path."""
    values = np.random.default_rng(0).integers(0, top // 2 + 1, (6, 8, 10))
    values[3, 2, 2] = top
    for number, picture in enumerate(values):
        path = root / "ab"[number % 2] / f"{number}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == "png":
            Image.fromarray(picture.astype(dtype)).save(path)
        else:
            tifffile.imwrite(path, picture.astype(dtype), photometric="minisblack")
    return values[[0, 2, 4, 1, 3, 5]]


def turned(values: np.ndarray, turn: int, path: Path) -> None:
    """A file that viewers show as `values`, and that holds them turned."""
    back = {3: lambda one: np.rot90(one, 2), 6: lambda one: np.rot90(one), 8: lambda one: np.rot90(one, -1)}
    exif = Image.Exif()
    exif[TURNED] = turn
    Image.fromarray(np.ascontiguousarray(back[turn](values))).save(path, exif=exif)


@pytest.mark.parametrize(
    ("top", "dtype", "suffix", "bits"),
    [
        (255, np.int32, "tif", 8),
        (255, np.uint16, "png", 8),
        (1023, np.uint16, "png", 10),
        (4095, np.uint16, "png", 12),
        (4000, np.uint16, "tif", 12),
        (16383, np.uint32, "tif", 14),
        (40000, np.uint16, "png", 16),
    ],
)
def test_one_divisor_comes_from_the_largest_value(
    top: int, dtype: type, suffix: str, bits: int, tmp_path: Path, fill: Fill
) -> None:
    values = save_deep(tmp_path / "tree", top, suffix, dtype)
    store = fill(tmp_path / "tree", "images")
    assert store.recipe.bits == (None if bits == 16 else bits)
    expected = np.floor(values * 255 / (2**bits - 1) + 0.5)
    assert np.array_equal(store.pictures[np.arange(6)][..., 0], expected)
    (remark,) = store.remarks
    assert f"6 of 6 pictures have more than 8 bits, with values up to {top}: all are read as of {bits} bits" in remark
    assert remark in inspect(tmp_path / "tree").remarks


def test_bits_that_are_asked_for_hold_for_all(tmp_path: Path, fill: Fill) -> None:
    values = save_deep(tmp_path / "tree", 900)
    store = fill(tmp_path / "tree", "images", bits=12)
    assert np.array_equal(store.pictures[np.arange(6)][..., 0], np.floor(values * 255 / 4095 + 0.5))
    with pytest.raises(InputError, match=r"data.bits is 9, which ends at 511, and 'b/3.png' has a value of 900\. Set"):
        fill(tmp_path / "tree", "images", bits=9)


def test_pictures_of_8_bits_have_no_bits(tmp_path: Path, fill: Fill) -> None:
    save_deep(tmp_path / "tree", 255, dtype=np.uint8)
    store = fill(tmp_path / "tree", "images", bits=12)
    assert (store.recipe.bits, store.remarks) == (None, ())


def test_a_second_run_decodes_nothing_and_an_older_one_goes_on_as_it_was(
    tmp_path: Path, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, folder = tmp_path / "tree", tmp_path / "store"
    save_deep(tree, 4095)
    for path in tree.rglob("*.png"):  # old enough to be known by its time
        os.utime(path, (1, 1))
    fill(tree, "images")
    listing = find_files(tree, "images")
    with monkeypatch.context() as patched:
        patched.setattr(value_range, "facts_of", None)  # a call would raise
        facts = look_into(listing, look_at(listing), folder)
    assert max(facts.values()) == Facts(1, 4095)
    assert settled_bits(facts, None, folder, resumed=True) == 12
    # As a release wrote it that knew of no bits.
    described = json.loads((folder / "store.json").read_text())
    del described["bits"], described["upright"]
    (folder / "store.json").write_text(json.dumps(described))
    assert settled_bits(facts, None, folder, resumed=True) is None
    assert settled_bits(facts, None, folder, resumed=False) == 12


def test_bits_are_the_usual_ones() -> None:
    tops = [0, 255, 256, 1023, 1024, 4095, 4096, 16383, 16384, 65535]
    assert [bits_for([0, top]) for top in tops] == [None, 8, 10, 10, 12, 12, 14, 14, None, None]


@pytest.mark.parametrize("turn", [3, 6, 8])
def test_turned_pictures_meet_their_masks_as_a_viewer_shows_them(turn: int, mvtec_tree: Path, fill: Fill) -> None:
    plain = fill(mvtec_tree, "mvtec")
    row = plain.paths.index("test/crack/000.png")
    path = mvtec_tree / "test/crack/000.png"
    turned(np.asarray(Image.open(path)), turn, path)
    for with_mask in (False, True):  # its mask lies upright, or is turned itself
        mask = mvtec_tree / "ground_truth/crack/000_mask.png"
        if with_mask:
            turned(np.asarray(Image.open(mask)), turn, mask)
        store = fill(mvtec_tree, "mvtec")
        assert store.mask_states[row] == "known"
        assert np.array_equal(store.pictures[np.array([row])], plain.pictures[np.array([row])])
        assert store.masks is not None
        assert plain.masks is not None
        assert np.array_equal(store.masks[np.array([row])], plain.masks[np.array([row])])
        assert store.remarks[0].startswith("1 of 22 pictures carry a camera's turn (EXIF): they, their depth and their")


def test_turned_depth_meets_its_picture(rgbd_tree: Path, fill: Fill) -> None:
    plain = fill(rgbd_tree, "rgbd")
    path = rgbd_tree / "test/anomaly/depth/1.png"
    turned(np.asarray(Image.open(path)), 3, path)
    store = fill(rgbd_tree, "rgbd")
    assert store.depth is not None
    assert plain.depth is not None
    assert np.array_equal(store.depth[np.arange(15)], plain.depth[np.arange(15)], equal_nan=True)


def test_turns_in_class_folders_are_told_and_not_followed(tmp_path: Path, fill: Fill) -> None:
    values = save_deep(tmp_path / "tree", 255, dtype=np.uint8)
    turned(values[0].astype(np.uint8), 3, tmp_path / "tree/a/0.png")
    store = fill(tmp_path / "tree", "images")
    assert np.array_equal(store.pictures[np.arange(1)][0, ..., 0], np.rot90(values[0], 2))
    (remark,) = store.remarks
    assert remark.startswith("1 of 6 pictures carry a camera's turn (EXIF): it is not followed")
    assert remark in inspect(tmp_path / "tree").remarks


def test_unclear_masks_count_nowhere_and_are_named(mvtec_tree: Path, fill: Fill) -> None:
    mask = mvtec_tree / "ground_truth/crack/000_mask.png"
    classes = np.arange(6, dtype=np.uint8).repeat(32).reshape(12, 16)
    Image.fromarray(classes).save(mask)
    Image.fromarray(np.full((12, 16), 255, np.uint8)).save(mvtec_tree / "ground_truth/crack/001_mask.png")
    Image.fromarray(np.full((12, 16), 7, np.uint8)).save(mvtec_tree / "ground_truth/crack/002_mask.png")
    store = fill(mvtec_tree, "mvtec")
    states = {path: state for path, state in zip(store.paths, store.mask_states, strict=True) if "/crack/" in path}
    assert list(states.values()) == ["unclear", "known", "unclear"]
    assert store.masked.sum() == 22 - 2
    (remark,) = store.remarks
    assert "2 with a mask whose values can mean several things (found: 0, 1, 2, 3, 4, 5; 7;" in remark
    assert any("(found: 0, 1, 2, 3, 4, 5; 7;" in one for one in inspect(mvtec_tree).remarks)
    for path in (mvtec_tree / "ground_truth").rglob("*.png"):
        Image.fromarray(classes).save(path)
    with pytest.raises(InputError, match=r"None of the 6 masks .* says what is a defect.*found: 0, 1, 2, 3, 4, 5"):
        fill(mvtec_tree, "mvtec")


def test_masks_in_small_numbers_are_read_as_those_of_255(mvtec_tree: Path, fill: Fill) -> None:
    before = fill(mvtec_tree, "mvtec")
    for path in (mvtec_tree / "ground_truth").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)) // 255).save(path)
    Image.fromarray(np.ones((12, 16), np.uint8)).save(mvtec_tree / "ground_truth/crack/000_mask.png")
    store = fill(mvtec_tree, "mvtec")
    assert store.masks is not None
    assert before.masks is not None
    assert store.masked.all()
    masks, row = store.masks[np.arange(22)], store.paths.index("test/crack/000.png")
    assert (masks[row] == 255).all()
    rest = np.arange(22) != row
    assert np.array_equal(masks[rest], before.masks[np.arange(22)][rest])
