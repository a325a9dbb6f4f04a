"""What is seen has one name whatever the bytes, and views of a copy that was moved hold the unmoved ones."""

import io

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.files.picture_layers import Planes, decode_full
from orchestrator.data.files.series import parse_series
from orchestrator.data.files.sight import (
    MOVES,
    PICTURE_BYTES,
    SERIES_BYTES,
    SIDE,
    Sight,
    lengths_and_scales,
    moves_of,
    picture_sight,
    series_sight,
    views_at,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
NORTH_WEST = 0
"""The move by one pixel up and to the left."""


def encoded(values: np.ndarray, form: str = "png", **options: object) -> bytes:
    written = io.BytesIO()
    Image.fromarray(values).save(written, form, **options)
    return written.getvalue()


def seen(data: bytes, depth: bytes | None = None, planes: Planes = "rgb", bits: int | None = None) -> Sight:
    return picture_sight(decode_full(data, depth, planes, bits))


def of_series(text: str) -> Sight:
    return series_sight(parse_series(text.encode()).values)


def test_equal_pixels_have_one_name_in_any_format() -> None:
    first = seen(encoded(PICTURE))
    for form in ("bmp", "tiff", "png"):
        assert seen(encoded(PICTURE, form, **({"compress_level": 0} if form == "png" else {}))).name == first.name
    opaque = np.dstack([PICTURE, np.full((40, 50), 255, np.uint8)])
    assert seen(encoded(opaque)).name == first.name
    grey = PICTURE[..., 0]
    assert seen(encoded(grey)).name == seen(encoded(np.repeat(grey[..., None], 3, axis=2))).name
    others = [PICTURE + np.uint8(1), PICTURE.transpose(1, 0, 2), PICTURE[:, ::-1], PICTURE[:-1]]
    assert len({first.name, *(seen(encoded(np.ascontiguousarray(one))).name for one in others)}) == 5


def test_depth_is_seen_too() -> None:
    depths = [np.arange(1, 2001, dtype=np.uint16).reshape(40, 50) + add for add in (0, 1)]
    names = [seen(encoded(PICTURE), encoded(one, form), "rgb+depth").name for one in depths for form in ("png", "tiff")]
    assert names[0] == names[1] != names[2] == names[3]
    assert names[0] != seen(encoded(PICTURE)).name


@pytest.mark.parametrize("side", [(40, 50), (7, 9), (33, 200), (600, 900)])
def test_a_moved_copy_has_the_unmoved_view(side: tuple[int, int]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (*side, 3), dtype=np.uint8)
    if max(side) > 512:  # averaged in blocks first, and another one may begin where the copy's does
        picture = np.asarray(Image.fromarray(picture[::8, ::8]).resize(side[::-1]))
    packed = np.stack([seen(encoded(one)).views for one in (picture, np.roll(picture, (1, 1), (0, 1)))])
    assert packed.shape == (2, PICTURE_BYTES)
    unmoved = views_at(packed[:1], np.array([len(MOVES) ** 2 // 2]))
    moved = views_at(np.repeat(packed[1:], 9, axis=0), np.arange(9))
    errors = np.abs(moved - unmoved).mean(axis=1)
    assert unmoved.shape == (1, SIDE**2)
    assert errors.argmin() == 8 - NORTH_WEST
    assert errors.min() < 0.2 < errors[4]


def test_a_picture_of_a_pixel_has_views() -> None:
    views = views_at(seen(encoded(np.full((1, 1, 3), 7, np.uint8))).views[None], np.array([4]))
    assert np.array_equal(views, np.zeros((1, SIDE**2)))


def test_equal_numbers_have_one_name_in_any_notation() -> None:
    first = of_series("value\n1\n2.5\n-1000\n0\n").name
    for text in (
        "value\r\n1.0\r\n2.50\r\n-1e3\r\n0\r\n",
        "a;value\n1;1,0\n2;2,5\n3;-1000,00\n4;0,0\n",
        "value\n1\n\n2.5000000001\n-1000.0000001\n-0.0\n",
    ):
        assert of_series(text).name == first
    for text in ("1\n2.5\n-1000\n0\n0\n", "1\n2.50001\n-1000\n0\n", "1\n2.5\n1000\n0\n", "10\n25\n-10000\n0\n"):
        assert of_series(f"value\n{text}").name != first


def test_rounding_joins_what_differs_in_the_tenth_digit_however_large() -> None:
    for power in (-320, -300, -7, 0, 9, 300):
        value = 9.99999999999 * 10.0**power
        near, other = series_sight(np.array([1.0, value])), series_sight(np.array([1.0, 10.0 * 10.0**power]))
        assert near.name == other.name
        assert series_sight(np.array([1.0, 9.9999 * 10.0**power])).name != other.name or power == -320


def test_gaps_are_seen() -> None:
    nan = np.nan
    rows = [[1, nan, 2], [1, 0, 2], [1, 2], [1, nan, nan, 2], [1, 10, 2]]
    assert len({series_sight(np.array(row, dtype=float)).name for row in rows}) == 5


def test_views_of_series_are_standardised_and_know_their_length() -> None:
    values = np.cumsum(np.random.default_rng(0).normal(size=300))
    packed = np.stack(
        [series_sight(one).views for one in (values, 3 * values + 5, np.roll(values, -1), 1e200 * values)]
    )
    assert packed.shape == (4, SERIES_BYTES)
    assert moves_of(SERIES_BYTES) == 3
    middle = views_at(packed, np.full(4, 1))
    assert np.allclose(middle.std(axis=1), 1, atol=0.1)
    assert np.allclose(middle[0], middle[1], atol=1e-5)
    assert np.allclose(middle[0], middle[3], atol=1e-5)
    assert np.allclose(middle[0], views_at(packed[2:3], np.array([0])), atol=0.05)
    lengths, scales = lengths_and_scales(packed)
    assert lengths.tolist() == [300] * 4
    assert scales / scales[0] == pytest.approx([1, 3, 1, 1e200])


def test_constant_and_shortest_series_have_views() -> None:
    for values in ([5.0] * 40, [1.0, 2.0], [0.1, 0.1, 0.1], [np.nan, 1.0, 2.0, np.nan], [0.0, 0.0]):
        assert np.isfinite(views_at(series_sight(np.array(values)).views[None], np.array([1]))).all()
