"""Planes: depth keeps its values and its gaps, masks their edges, and what can't be used says why."""

import io
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from orchestrator.data.files.depth_files import decode_depth
from orchestrator.data.files.image_files import ImageError
from orchestrator.data.files.picture_layers import (
    channels,
    channels_of,
    decode_planes,
    identity,
    mask_state,
    planes_of,
)
from orchestrator.data.layouts.listing import ListedFile
from orchestrator.data.layouts.table import LAYOUTS


def png(values: np.ndarray, format: str = "png") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, format=format)
    return file.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(file, values, **options)
    return file.getvalue()


PICTURE = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
DEPTH = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000


def test_planes_are_what_any_file_has() -> None:
    plain, deep = ListedFile("a", "x", None), ListedFile("b", "x", None, depth="d")
    masked = ListedFile("c", "x", None, mask="m")
    assert planes_of([plain]) == "rgb"
    assert planes_of([plain, masked]) == "rgb+mask"
    assert planes_of([deep, masked]) == "rgb+depth+mask"
    assert channels("rgb+depth+mask") == 8
    assert channels_of("rgb+mask", "mask") == slice(3, 4)
    assert channels_of("rgb+depth+mask", "mask") == slice(7, 8)
    assert channels_of("rgb+mask", "depth") is None
    assert identity(LAYOUTS["images"], "rgb") != identity(LAYOUTS["mvtec"], "rgb+mask")
    assert identity(LAYOUTS["mvtec"], "rgb+mask") != identity(LAYOUTS["mvtec3d"], "rgb+mask")


def test_depth_of_16_bits_keeps_its_units_and_0_is_unknown() -> None:
    depth = decode_depth(png(DEPTH))
    assert depth.dtype == np.float32
    assert np.isnan(depth[0, 0])
    assert np.array_equal(depth.ravel()[1:], DEPTH.ravel()[1:].astype(np.float32))


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_depth_of_points_is_z(planar: str) -> None:
    points = np.random.default_rng(1).normal(size=(6, 8, 3)).astype(np.float32)
    points[2, 3] = 0
    points[4, 4, 2] = np.inf
    stored = points if planar == "contig" else np.moveaxis(points, 2, 0)
    depth = decode_depth(tiff(stored, photometric="rgb", planarconfig=planar))
    expected = points[..., 2].copy()
    expected[2, 3] = expected[4, 4] = np.nan
    assert np.array_equal(depth, expected, equal_nan=True)
    # Values that Pillow alone can't tell: compressed, and of one channel.
    one = decode_depth(tiff(points[..., 2], compression="zlib"))
    assert np.array_equal(one, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(PICTURE), "its depth: it has colours"),
        (b"", "its depth: empty"),
        (b"II*\0broken", "its depth: a TIFF without values"),
        (tiff(PICTURE[..., 0] + np.float32(1))[:60], "its depth"),
        (tiff(np.zeros((4, 6, 8), np.float32)), "its depth: a TIFF of 4x6x8 float32"),
    ],
)
def test_what_is_no_depth_has_a_reason(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode_depth(data)


def test_a_mask_says_whether_it_can_be_used() -> None:
    drawn = np.zeros((6, 8), dtype=np.uint8)
    assert mask_state(png(drawn), (6, 8), None) == ("empty", "0")
    drawn[0, 0] = 255
    assert mask_state(png(drawn), (6, 8), None) == ("known", "0, 255")
    assert mask_state(png(drawn), (6, 8), (2, 2)) == ("vanished", "0, 255")
    assert mask_state(png(drawn), (8, 6), None) == ("size", "")
    assert mask_state(b"x", (6, 8), None) == ("unreadable", "")
    assert mask_state(png(drawn // 255), (6, 8), None) == ("known", "0, 1")
    assert mask_state(png(np.full((6, 8), 7, np.uint8)), (6, 8), None) == ("alone", "7")
    drawn[0, :3] = 1, 2, 3
    assert mask_state(png(drawn), (6, 8), None) == ("unclear", "0, 1, 2, 3")


@pytest.mark.parametrize("size", [None, (12, 16), (3, 4), (5, 7)])
def test_planes_lie_behind_each_other_and_take_the_nearest(size: tuple[int, int] | None) -> None:
    drawn = np.zeros((6, 8), dtype=np.uint8)
    drawn[2:5, 3:7] = 200
    planes = decode_planes(png(PICTURE), png(DEPTH), png(drawn), "rgb+depth+mask", size)
    height, width = size or (6, 8)
    assert planes.shape == (height, width, 8)
    image = Image.fromarray(PICTURE).resize((width, height), Image.Resampling.BILINEAR)
    assert np.array_equal(planes[..., :3], np.asarray(image))
    rows = [min(int((row + 0.5) * 6 / height), 5) for row in range(height)]
    columns = [min(int((column + 0.5) * 8 / width), 7) for column in range(width)]
    depth = np.ascontiguousarray(planes[..., 3:7]).view(np.float32)[..., 0]
    for at, row in enumerate(rows):
        for over, column in enumerate(columns):
            assert planes[at, over, 7] == (255 if drawn[row, column] else 0)
            there = float(DEPTH[row, column]) or np.nan
            assert depth[at, over] == there or (np.isnan(there) and np.isnan(depth[at, over]))


def test_a_mask_that_can_not_be_used_leaves_its_plane_empty() -> None:
    for mask in (None, b"x", png(np.full((3, 3), 255, np.uint8))):
        planes = decode_planes(png(PICTURE), None, mask, "rgb+mask", None)
        assert np.array_equal(planes[..., :3], PICTURE)
        assert not planes[..., 3].any()


def test_depth_that_can_not_belong_to_the_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="its depth has 8x6 pixels, the picture 6x8"):
        decode_planes(png(PICTURE), png(DEPTH.T.copy()), None, "rgb+depth", None)
    with pytest.raises(ImageError, match="unknown everywhere"):
        decode_planes(png(PICTURE), png(np.zeros_like(DEPTH)), None, "rgb+depth", None)
    half = decode_planes(png(PICTURE), png(DEPTH[::2, ::2].copy() + 1), None, "rgb+depth", None)
    assert half.shape == (6, 8, 7)
