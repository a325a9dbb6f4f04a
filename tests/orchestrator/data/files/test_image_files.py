"""Pictures of every common kind become RGB; others give a reason."""

import io

import numpy as np
import pytest
from PIL import Image

from orchestrator.data.files.image_files import ImageError, decode_picture, picture_size


def encoded(pixels: np.ndarray | Image.Image, form: str = "png", **options: object) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, format=form, **options)
    return file.getvalue()


RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RGB[..., 0]


@pytest.mark.parametrize("form", ["png", "bmp", "tiff", "webp"])
def test_rgb_is_taken_as_it_is(form: str) -> None:
    data = encoded(RGB, form, **({"lossless": True} if form == "webp" else {}))
    assert np.array_equal(decode_picture(data, None), RGB)
    assert picture_size(data) == (6, 9)


def test_jpeg_is_decoded_as_pillow_does() -> None:
    data = encoded(RGB, "jpeg")
    assert np.array_equal(decode_picture(data, None), np.asarray(Image.open(io.BytesIO(data))))


def test_grey_pictures_get_three_equal_channels() -> None:
    assert np.array_equal(decode_picture(encoded(GREY), None), np.repeat(GREY[..., None], 3, axis=2))
    bits = Image.fromarray(GREY > 127)
    assert np.array_equal(decode_picture(encoded(bits), None)[..., 0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize("form", ["png", "tiff"])
def test_sixteen_bits_are_rounded_to_eight(form: str) -> None:
    deep = np.array([[0, 128, 129, 257, 32768, 65535]], dtype=np.uint16)
    picture = decode_picture(encoded(deep, form), None)
    assert picture[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert np.array_equal(picture[..., 0], picture[..., 2])


def test_what_is_transparent_lies_on_white() -> None:
    clear = np.dstack([RGB, np.zeros_like(GREY)])
    assert np.array_equal(decode_picture(encoded(clear), None), np.full_like(RGB, 255))
    solid = np.dstack([RGB, np.full_like(GREY, 255)])
    assert np.array_equal(decode_picture(encoded(solid), None), RGB)
    half = np.array([[[0, 0, 0, 128]]], dtype=np.uint8)
    assert decode_picture(encoded(half), None)[0, 0].tolist() == [127, 127, 127]
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), mode="L").convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert decode_picture(encoded(palette), None).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert decode_picture(encoded(palette, transparency=0), None).tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_a_cameras_turn_is_not_followed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_picture(encoded(Image.fromarray(RGB), exif=exif), None).shape == RGB.shape


def test_the_size_is_height_and_width_by_bilinear_resize() -> None:
    expected = np.asarray(Image.fromarray(RGB).resize((4, 3), Image.Resampling.BILINEAR))
    assert np.array_equal(decode_picture(encoded(RGB), (3, 4)), expected)
    assert np.array_equal(decode_picture(encoded(RGB), (6, 9)), RGB)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"value\n1\n2\n", "no picture of a known format"),
        (encoded(RGB, "jpeg")[:-60], "can't be decoded"),
        (encoded(np.zeros((300, 300, 3), np.uint8))[:60], "can't be decoded"),
        (encoded(GREY.astype(np.float32), "tiff"), "fractions"),
        (encoded(np.full((2, 2), 70_000, np.int32), "tiff"), "grey values from 70000 to 70000"),
        (encoded(Image.new("1", (10_000, 9_000))), "too large"),
        (encoded(Image.new("1", (20_000, 9_000))), "too large"),
    ],
)
def test_a_file_without_a_picture_gives_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode_picture(data, (4, 4))
