"""What a mask says in every notation; what can be read in several ways is refused with its values."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from orchestrator.data.files.image_files import ImageError
from orchestrator.data.files.mask_reading import read_mask, settled_states

DEFECT = np.zeros((24, 32), dtype=np.bool_)
DEFECT[6:15, 8:20] = True
PLANE = np.where(DEFECT, 255, 0)


def encoded(picture: np.ndarray | Image.Image, form: str = "png", **options: object) -> bytes:
    file = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(file, format=form, **options)
    return file.getvalue()


def tiff(values: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack"} | options)
    return file.getvalue()


def deep_png(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, (h, w, 2 to 4)."""
    height, width, count = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def two(low: object, high: object, dtype: type = np.uint8) -> np.ndarray:
    """Two values, or two colours, of background and defect."""
    mask = DEFECT if np.ndim(high) == 0 else DEFECT[..., None]
    return np.where(mask, np.asarray(high, dtype), np.asarray(low, dtype))


def palette(colours: list[int], low: int = 0, high: int = 1, **options: object) -> bytes:
    image = Image.fromarray(two(low, high)).convert("L")
    image = Image.frombytes("P", image.size, image.tobytes())
    image.putpalette(colours)
    return encoded(image, **options)


def smeared(side: int = 40) -> Image.Image:
    """A disk, drawn large and made small, so that its edge has all greys."""
    rows, columns = np.mgrid[: 4 * side, : 4 * side]
    disk = (rows - 70) ** 2 + (columns - 80) ** 2 < 45**2
    return Image.fromarray(np.where(disk, 255, 0).astype(np.uint8)).resize((side, side), Image.Resampling.BOX)


NOTATIONS = {
    "0 and 255": encoded(two(0, 255)),
    "0 and 1": encoded(two(0, 1)),
    "0 and 128": encoded(two(0, 128)),
    "0 and 100": encoded(two(0, 100)),
    "one bit": encoded(DEFECT),
    "one bit as TIFF": encoded(Image.fromarray(DEFECT), "tiff"),
    "16 bits, 0 and 65535": encoded(two(0, 65535, np.uint16)),
    "16 bits, 0 and 1": encoded(two(0, 1, np.uint16)),
    "16 bits, 0 and 255": tiff(two(0, 255, np.uint16)),
    "16 bits, big end first": tiff(two(0, 255, np.uint16), byteorder=">"),
    "32 bits": tiff(two(0, 1, np.int32)),
    "32 bits, all set": tiff(two(0, 0xFFFFFFFF, np.uint32)),
    "fractions, 0 and 1": tiff(two(0, 1, np.float32)),
    "fractions, 0 and 255": tiff(two(0, 255, np.float32)),
    "grey as RGB": encoded(two([0, 0, 0], [1, 1, 1])),
    "red on black": encoded(two([0, 0, 0], [255, 0, 0])),
    "dark blue on black": encoded(two([0, 0, 0], [0, 0, 60])),
    "red on black as BMP": encoded(two([0, 0, 0], [255, 0, 0]), "bmp"),
    "red on black as WebP": encoded(two([0, 0, 0], [255, 0, 0]), "webp", lossless=True),
    "CMYK": encoded(Image.fromarray(two([0, 0, 0], [255, 255, 255])).convert("CMYK"), "tiff"),
    "palette of black and white": palette([0, 0, 0, 255, 255, 255]),
    "palette of white and black": palette([255, 255, 255, 0, 0, 0], 1, 0),
    "palette of black and dark red": palette([0, 0, 0, 128, 0, 0]),
    "palette without black": palette([255, 255, 255, 255, 0, 0]),
    "palette without colours": palette([0, 0, 0, 0, 0, 0]),
    "palette of greys, 0 and 7": palette([grey for value in range(256) for grey in [value] * 3], 0, 7),
    "white, and transparent elsewhere": encoded(two([255, 255, 255, 0], [255, 255, 255, 255])),
    "black, and transparent elsewhere": encoded(two([0, 0, 0, 0], [0, 0, 0, 255])),
    "red on nothing": encoded(two([0, 0, 0, 0], [255, 0, 0, 255])),
    "white, elsewhere transparent black": encoded(two([0, 0, 0, 0], [255, 255, 255, 255])),
    "half transparent": encoded(two([255, 0, 0, 0], [255, 0, 0, 128])),
    "opaque white on black": encoded(two([0, 0, 0, 255], [255, 255, 255, 255])),
    "white on black, all transparent": encoded(two([0, 0, 0, 0], [255, 255, 255, 0])),
    "grey and transparency": encoded(Image.fromarray(two([0, 255], [255, 255]), "LA")),
    "transparency beside one grey": encoded(Image.fromarray(two([255, 0], [255, 255]), "LA")),
    "transparent palette entry": palette([255, 0, 0, 255, 0, 0], transparency=0),
    "16 bits of colour, 0 and 1": deep_png(two([0, 0, 0], [1, 1, 1], np.uint16)),
    "16 bits of colour, red": deep_png(two([0, 0, 0], [300, 0, 0], np.uint16)),
    "16 bits of grey and transparency": deep_png(two([0, 65535], [1, 65535], np.uint16)),
    "16 bits of colour as TIFF": tiff(two([0, 0, 0], [1, 1, 1], np.uint16), photometric="rgb"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("notation", NOTATIONS)
def test_two_values_are_zero_and_non_zero(notation: str) -> None:
    marks = read_mask(NOTATIONS[notation])
    assert marks.reading == "known", marks.values
    assert np.array_equal(marks.plane, PLANE)


@pytest.mark.parametrize(
    ("picture", "values"),
    [
        (two(1, 2), "1, 2"),
        (two(100, 200), "100, 200"),
        (two([255, 255, 255], [255, 0, 0]), "RGB(255 0 0), RGB(255 255 255)"),
        (np.arange(6, dtype=np.uint8).repeat(64).reshape(16, 24), "0, 1, 2, 3, 4, 5"),
        (np.array([0, 50, 100, 150, 200, 250], dtype=np.uint8).repeat(64).reshape(16, 24), "0, 50, 100"),
        (np.array([0, 128, 255], dtype=np.uint8).repeat(64).reshape(16, 12), "0, 128, 255"),
        (np.array([0, 1, 255], dtype=np.uint8).repeat(64).reshape(16, 12), "0, 1, 255"),
        (np.array([0, 1, 2, 65535], dtype=np.uint16).repeat(64).reshape(16, 16), "0, 1, 2, 65535"),
        (np.arange(255, dtype=np.uint8).repeat(9).reshape(45, 51), "255 values from 0 to 254"),
        (np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8), "values from 0 to 255"),
        (np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8), "and more"),
        (np.array([[[0, 0, 0], [255, 0, 0], [0, 255, 0]]], dtype=np.uint8).repeat(9, 0), "RGB(0 255 0)"),
        (np.random.default_rng(0).integers(0, 256, (20, 20, 4), dtype=np.uint8), "both vary"),
    ],
)
def test_values_that_can_mean_several_things_are_named(picture: np.ndarray, values: str) -> None:
    marks = read_mask(encoded(picture))
    assert marks.reading == "unclear"
    assert values in marks.values
    assert not marks.plane.any()


def test_fractions_that_are_no_numbers_are_unclear() -> None:
    assert read_mask(tiff(two(0, np.nan, np.float32))).reading == "unclear"


@pytest.mark.parametrize("quality", [20, 50, 75, 90, 95])
@pytest.mark.parametrize("colour", [(255, 255, 255), (255, 0, 0), (0, 255, 0)])
def test_a_mask_saved_as_jpeg_keeps_its_threshold(quality: int, colour: tuple[int, int, int]) -> None:
    marks = read_mask(encoded(two([0, 0, 0], colour), "jpeg", quality=quality))
    assert marks.reading == "known", marks.values
    assert (marks.plane != PLANE).mean() < 0.03


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "I;16", "F"])
def test_a_smeared_edge_keeps_its_threshold(mode: str) -> None:
    values = np.asarray(smeared())
    images = {
        "L": encoded(values),
        "RGB": encoded(np.repeat(values[..., None], 3, axis=2)),
        "LA": encoded(Image.fromarray(np.dstack([np.full_like(values, 255), values]), "LA")),
        "I;16": encoded(values.astype(np.uint16) * 257),
        "F": tiff(values.astype(np.float32) / 255),
    }
    marks = read_mask(images[mode])
    assert marks.reading == "known", marks.values
    assert np.array_equal(marks.plane, np.where(values > 127, 255, 0))


def test_a_thin_smeared_line_is_still_a_mask() -> None:
    large = Image.new("L", (240, 240))
    large.paste(255, (0, 117, 240, 125))
    line = large.rotate(20, Image.Resampling.BICUBIC).resize((60, 60), Image.Resampling.BOX)
    assert read_mask(encoded(line)).reading == "known"


def test_one_value_is_told_by_the_others() -> None:
    def one(*values: int) -> bytes:
        channels = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[len(values)]
        return encoded(Image.new(channels, (4, 4), values if len(values) > 1 else values[0]))

    def settled(*masks: bytes) -> list[str]:
        read = [read_mask(mask) for mask in masks]
        return list(settled_states([marks.reading for marks in read], [marks.values for marks in read]))

    assert settled(one(0), one(255)) == ["empty", "known"]
    assert settled(one(1)) == ["unclear"]
    assert settled(one(1), one(0)) == ["unclear", "empty"]
    assert settled(one(1), NOTATIONS["0 and 1"]) == ["known", "known"]
    assert settled(one(2), NOTATIONS["0 and 1"]) == ["unclear", "known"]
    assert settled(one(255, 0, 0), NOTATIONS["red on black"]) == ["known", "known"]
    assert settled(one(0, 255, 0), NOTATIONS["red on black"]) == ["unclear", "known"]
    alpha = NOTATIONS["black, and transparent elsewhere"]
    assert settled(one(0, 0, 0, 255), one(0, 0, 0, 0), alpha) == ["known", "empty", "known"]
    assert settled(one(255, 255, 255, 0), alpha) == ["empty", "known"]
    assert settled(one(0, 0, 0, 255), one(255, 255, 255, 255)) == ["empty", "known"]
    entries, white, red = NOTATIONS["palette without black"], [255, 255, 255, 255, 0, 0], [255, 0, 0]
    assert settled(palette(white, 0, 0), palette(white, 1, 1), entries) == ["empty", "known", "known"]
    assert settled(palette([0, 0, 0, *red], 0, 0), palette([0, 0, 0, *red], 1, 1)) == ["empty", "unclear"]


def test_a_turned_mask_is_brought_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(two(0, 255)), exif=exif)
    assert np.array_equal(read_mask(data).plane, PLANE)
    assert np.array_equal(read_mask(data, upright=True).plane, np.rot90(PLANE, -1))


@pytest.mark.parametrize("data", [b"", b"x", encoded(two(0, 255))[:60]])
def test_what_is_no_picture_is_no_mask(data: bytes) -> None:
    with pytest.raises(ImageError):
        read_mask(data)
